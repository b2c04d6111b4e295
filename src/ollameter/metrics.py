"""What a call cost: plain frozen data, numbers exactly as measured; unknown is None, never 0."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, Literal

import msgspec

Operation = Literal["chat", "text_completion", "embeddings", "load", "unload", "pull"]
Outcome = Literal["completed", "error", "truncated", "abandoned", "cancelled"]
Number = int | float

NS_PER_S = 1_000_000_000


class ServerTimings(msgspec.Struct, frozen=True, kw_only=True):
    """Ollama's own numbers of one answer, its names; durations in nanoseconds.

    None: the server did not send it (Ollama leaves keys out when they are 0) or sent something
    that is no non-negative integer. `extra` holds every other number it sent.
    """

    total_duration: int | None = None
    load_duration: int | None = None
    prompt_eval_count: int | None = None
    prompt_eval_duration: int | None = None
    eval_count: int | None = None
    eval_duration: int | None = None
    prompt_eval_cached_count: int | None = None
    extra: dict[str, Number] = msgspec.field(default_factory=dict)


class GpuLoad(msgspec.Struct, frozen=True, kw_only=True):
    """One GPU during a call: ratios 0-1, bytes, watts, degrees Celsius, joules.

    `throttle_reasons`: what slowed it at some time; empty when nothing did.
    """

    id: str
    name: str
    utilization_mean: float | None = None
    utilization_peak: float | None = None
    memory_used_bytes_peak: int | None = None
    memory_total_bytes: int | None = None
    power_w_mean: float | None = None
    temperature_c_peak: float | None = None
    energy_j: float | None = None
    throttle_reasons: tuple[str, ...] | None = None


class HostLoad(msgspec.Struct, frozen=True, kw_only=True):
    """What the machine of this process did during one call.

    Every CPU ratio is of the whole machine: one busy core of two is 0.5. `samples` counts the
    samples within the call, taken every `interval_s`; 0 means that the call was shorter than an
    interval and the nearest sample is shown. `server_is_local` says whether the figures describe
    the machine that ran the model (None: unknown). `memory_stalled_mean` and `io_stalled_mean` are
    the share of time in which some task waited for memory or disks (Linux). None elsewhere: not
    measured here.
    """

    samples: int
    interval_s: float
    server_is_local: bool | None = None
    cpu_utilization_mean: float | None = None
    cpu_utilization_peak: float | None = None
    cpu_core_peak: float | None = None
    load_average_1m: float | None = None
    memory_used_bytes_mean: int | None = None
    memory_used_bytes_peak: int | None = None
    memory_total_bytes: int | None = None
    swap_used_bytes: int | None = None
    process_cpu_s: float | None = None
    process_rss_bytes_peak: int | None = None
    ollama_cpu_utilization_mean: float | None = None
    ollama_cpu_utilization_peak: float | None = None
    ollama_rss_bytes_peak: int | None = None
    gpus: tuple[GpuLoad, ...] = ()
    cpu_count: int | None = None
    memory_stalled_mean: float | None = None
    io_stalled_mean: float | None = None


class ModelFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the model that answered.

    `vram_share` is 0-1; `context_length` is the one in force, in tokens, not what it was trained for.
    """

    digest: str | None = None
    quantization: str | None = None
    parameter_size: str | None = None
    family: str | None = None
    context_length: int | None = None
    vram_share: float | None = None


class PerformanceMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """What one call cost: Ollama's numbers, the client's clock and the machine's load.

    Ollama's durations are nanoseconds under Ollama's names; names that end in `_s` are seconds.
    None is unknown. `time_to_first_chunk_s`, `time_to_first_answer_s` (the first chunk that is
    not thinking) and `chunks` exist for streams only. `cold_start`: the call had to load its model;
    False when `load_duration` is below 150 ms, True when the server did not have it in memory, else
    None. `prompt_truncated` is a suspicion, for the server cuts an over-long prompt without a word:
    fewer tokens than words, tokens up to the context length, or a growing conversation with fewer
    tokens; its rule and limits are in docs/telemetry.md. Not hashable; `str()` is one line.
    """

    __hash__: ClassVar[None] = None  # type: ignore[assignment]  # `extra` is a dict: equal, but never a key

    operation: Operation
    model: str
    response_model: str | None = None
    server_address: str | None = None
    server_port: int | None = None
    streaming: bool = False
    started_at: datetime
    outcome: Outcome
    error_type: str | None = None
    finish_reason: str | None = None

    total_duration: int | None = None
    load_duration: int | None = None
    prompt_eval_count: int | None = None
    prompt_eval_duration: int | None = None
    eval_count: int | None = None
    eval_duration: int | None = None
    prompt_eval_cached_count: int | None = None
    extra: dict[str, Number] = msgspec.field(default_factory=dict)

    duration_s: float
    time_to_first_chunk_s: float | None = None
    time_to_first_answer_s: float | None = None
    chunks: int | None = None
    attempts: int = 1

    host: HostLoad | None = None
    model_info: ModelFacts | None = None
    cold_start: bool | None = None
    prompt_truncated: bool | None = None

    @property
    def input_tokens(self) -> int | None:
        """The prompt's tokens after templating, cached ones included: `prompt_eval_count`."""
        return self.prompt_eval_count

    @property
    def output_tokens(self) -> int | None:
        """Every token sampled, thinking included: `eval_count`."""
        return self.eval_count

    @property
    def total_tokens(self) -> int | None:
        """`input_tokens + output_tokens`; None when either is unknown."""
        if self.prompt_eval_count is None or self.eval_count is None:
            return None
        return self.prompt_eval_count + self.eval_count

    @property
    def tokens_per_second(self) -> float | None:
        """`(eval_count - 1) / eval_duration`: the clock runs from the first token to the last.

        None below two tokens, or when the duration is absent or Ollama's placeholder of 1000 ns.
        """
        if self.eval_count is None or self.eval_count < 2 or (self.eval_duration or 0) <= 1000:
            return None
        assert self.eval_duration is not None  # noqa: S101  # narrowed for the type checker
        return (self.eval_count - 1) * NS_PER_S / self.eval_duration

    @property
    def prompt_tokens_per_second(self) -> float | None:
        """`(prompt_eval_count - prompt_eval_cached_count) / prompt_eval_duration`.

        None unless the server says how many tokens came from its cache: they cost nothing.
        """
        count, cached, ns = (
            self.prompt_eval_count,
            self.prompt_eval_cached_count,
            self.prompt_eval_duration,
        )
        if count is None or cached is None or not ns or cached > count:
            return None
        return (count - cached) * NS_PER_S / ns

    @property
    def time_per_output_token_s(self) -> float | None:
        """`eval_duration / (eval_count - 1)`: the inverse of `tokens_per_second`."""
        rate = self.tokens_per_second
        return None if rate is None else 1 / rate

    @property
    def load_s(self) -> float | None:
        """`load_duration` in seconds: queueing for the scheduler and loading, never a cold-start flag."""
        return _seconds(self.load_duration)

    @property
    def prompt_eval_s(self) -> float | None:
        """`prompt_eval_duration` in seconds: evaluation of the tokens that were not cached."""
        return _seconds(self.prompt_eval_duration)

    @property
    def eval_s(self) -> float | None:
        """`eval_duration` in seconds: first token to last token."""
        return _seconds(self.eval_duration)

    @property
    def total_s(self) -> float | None:
        """`total_duration` in seconds: the server's own clock from request to result."""
        return _seconds(self.total_duration)

    @property
    def unattributed_s(self) -> float | None:
        """`total - load - prompt_eval - eval`, at least 0; None when a part is unknown.

        With servers since v0.30 in practice the wait for a slot; before, an upper bound of it.
        """
        parts = (self.load_duration, self.prompt_eval_duration, self.eval_duration)
        if self.total_duration is None or None in parts:
            return None
        return max(0, self.total_duration - sum(part or 0 for part in parts)) / NS_PER_S

    @property
    def client_overhead_s(self) -> float | None:
        """`duration_s - total_s`: network, connecting, retries and the client itself."""
        return None if self.total_duration is None else self.duration_s - self.total_duration / NS_PER_S

    @property
    def context_utilization(self) -> float | None:
        """`total_tokens / model_info.context_length`, at most 1: a longer conversation was shifted.

        None unless both counts and the context length in force are known.
        """
        tokens = self.total_tokens
        length = None if self.model_info is None else self.model_info.context_length
        if tokens is None or length is None or length <= 0:
            return None
        return min(1.0, tokens / length)

    def explain(self) -> list[str]:
        """Return in a few plain sentences what stands out, each with the figures that show it.

        Never empty: when nothing stands out, that is said. docs/explain.md lists the rules.
        """
        from ollameter.verdict import explain  # only who asks pays for it

        return explain(self)

    def to_dict(self) -> dict[str, Any]:
        """Return stored and derived numbers as JSON types; times are ISO 8601 with Z."""
        stored: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(self))
        return stored | {name: getattr(self, name) for name in DERIVED}

    def to_json(self) -> str:
        """Return `to_dict()` as one line of JSON."""
        return msgspec.json.encode(self.to_dict()).decode()

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> PerformanceMetrics:
        """Rebuild from `to_dict()`; derived and unknown keys are ignored.

        Raises `ValueError` naming the field when one has the wrong type.
        """
        return msgspec.convert(dict(data), cls)

    def __str__(self) -> str:
        head = f"{self.operation} {self.model}: {self.outcome} in {self.duration_s:.3f} s"
        return ", ".join([head, *_parts(self)])


DERIVED = tuple(name for name, value in vars(PerformanceMetrics).items() if isinstance(value, property))


def _seconds(ns: int | None) -> float | None:
    return None if ns is None else ns / NS_PER_S


def _parts(metrics: PerformanceMetrics) -> list[str]:
    """Return what is known, in the order in which it happened."""
    values = (
        ("error {}", metrics.error_type),
        ("first chunk {:.3f} s", metrics.time_to_first_chunk_s),
        ("load {:.3f} s", metrics.load_s),
        ("prompt {} tok", metrics.input_tokens),
        ("in {:.3f} s", metrics.prompt_eval_s),
        ("output {} tok", metrics.output_tokens),
        ("in {:.3f} s", metrics.eval_s),
        ("{:.1f} tok/s", metrics.tokens_per_second),
        ("unattributed {:.3f} s", metrics.unattributed_s),
    )
    return [text.format(value) for text, value in values if value is not None]
