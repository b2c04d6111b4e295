"""What a run says: its calls by model and concurrency, as numbers and in comparison with another's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from ollameter import PerformanceMetrics
from ollameter.cli.bench.record import MeasuredCall, Run
from ollameter.cli.bench.statistics import Difference, Distribution, difference, distribution


class Group(NamedTuple):
    """Which calls belong together."""

    model: str
    concurrency: int
    cold: bool

    def __str__(self) -> str:
        return f"{self.model}, {'cold start' if self.cold else f'{self.concurrency} at once'}"


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """One group's numbers: seconds, tokens per second, ratios 0-1; None where nothing was measured.

    `throughput` is all output tokens by the wall time from the first start to the last end.
    """

    model: str
    concurrency: int
    cold: bool
    calls: int
    failed: int
    tokens_per_second: Distribution | None
    time_to_first_chunk_s: Distribution | None
    duration_s: Distribution | None
    load_s: float | None
    queue_s: float | None
    prompt_eval_s: float | None
    eval_s: float | None
    throughput: float | None
    cpu_utilization: float | None
    ollama_cpu_utilization: float | None


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Two groups side by side: `verdict` is the second's, with the reason the machine gives for it."""

    first: str
    second: str
    verdict: str
    reason: str | None
    tokens_per_second: Difference | None
    time_to_first_chunk_s: Difference | None
    duration_s: Difference | None


def grouped(calls: Iterable[MeasuredCall]) -> dict[Group, list[MeasuredCall]]:
    """Return the calls by group, in the order in which the groups began."""
    groups: dict[Group, list[MeasuredCall]] = {}
    for call in calls:
        groups.setdefault(Group(call.metrics.model, call.concurrency, call.cold), []).append(call)
    return groups


def summaries(run: Run) -> list[Summary]:
    """Return each group's summary."""
    return [_summary(group, calls) for group, calls in grouped(run.calls).items()]


def compare_groups(
    first: Sequence[MeasuredCall], second: Sequence[MeasuredCall], names: tuple[str, str]
) -> Comparison:
    """Say whether the second group is faster or slower than the first, and what explains it."""
    speed = difference(values_of(first, _speed), values_of(second, _speed))
    first_chunk = difference(values_of(first, _first_chunk), values_of(second, _first_chunk))
    duration = difference(values_of(first, _duration), values_of(second, _duration))
    verdict = _verdict(speed, first_chunk, duration)
    return Comparison(
        first=names[0],
        second=names[1],
        verdict=verdict,
        reason=_reason(first, second) if verdict in {"slower", "faster"} else None,
        tokens_per_second=speed,
        time_to_first_chunk_s=first_chunk,
        duration_s=duration,
    )


def compare_runs(first: Run, second: Run, names: tuple[str, str]) -> list[Comparison]:
    """Compare the groups that both runs have."""
    ours, theirs = grouped(first.calls), grouped(second.calls)
    shared = [group for group in ours if group in theirs]
    titled = {group: (f"{group} ({names[0]})", f"{group} ({names[1]})") for group in shared}
    return [compare_groups(ours[group], theirs[group], titled[group]) for group in shared]


def compare_models(run: Run) -> list[Comparison]:
    """Compare each further model of a run with the first, where both ran in the same way."""
    groups = grouped(run.calls)
    models = list(dict.fromkeys(group.model for group in groups))
    pairs = [
        (group, group._replace(model=other))
        for group in groups
        if group.model == models[0]
        for other in models[1:]
        if group._replace(model=other) in groups
    ]
    return [compare_groups(groups[a], groups[b], (str(a), str(b))) for a, b in pairs]


def _summary(group: Group, calls: list[MeasuredCall]) -> Summary:
    return Summary(
        model=group.model,
        concurrency=group.concurrency,
        cold=group.cold,
        calls=len(calls),
        failed=sum(call.metrics.outcome != "completed" for call in calls),
        tokens_per_second=distribution(values_of(calls, _speed)),
        time_to_first_chunk_s=distribution(values_of(calls, _first_chunk)),
        duration_s=distribution(values_of(calls, _duration)),
        load_s=_mean(values_of(calls, attrgetter("load_s"))),
        queue_s=_mean(values_of(calls, attrgetter("unattributed_s"))),
        prompt_eval_s=_mean(values_of(calls, attrgetter("prompt_eval_s"))),
        eval_s=_mean(values_of(calls, attrgetter("eval_s"))),
        throughput=_throughput(calls),
        cpu_utilization=_mean(values_of(calls, _cpu)),
        ollama_cpu_utilization=_mean(values_of(calls, _ollama_cpu)),
    )


Field = Callable[[PerformanceMetrics], Any]


_speed = attrgetter("tokens_per_second")
_first_chunk = attrgetter("time_to_first_chunk_s")
_duration = attrgetter("duration_s")


def _cpu(metrics: PerformanceMetrics) -> float | None:
    return None if metrics.host is None else metrics.host.cpu_utilization_mean


def _ollama_cpu(metrics: PerformanceMetrics) -> float | None:
    return None if metrics.host is None else metrics.host.ollama_cpu_utilization_mean


def values_of(calls: Sequence[MeasuredCall], field: Field) -> list[float]:
    """Return one number of each call that completed, where it is known."""
    found = (field(call.metrics) for call in calls if call.metrics.outcome == "completed")
    return [value for value in found if value is not None]


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _throughput(calls: Sequence[MeasuredCall]) -> float | None:
    begin = min(call.at_s for call in calls)
    wall_s = max(call.at_s + call.metrics.duration_s for call in calls) - begin
    tokens = sum(call.metrics.output_tokens or 0 for call in calls)
    return tokens / wall_s if wall_s > 0 and tokens else None


def _verdict(speed: Difference | None, first_chunk: Difference | None, duration: Difference | None) -> str:
    """Return slower, faster, mixed, no difference or too few calls: decoding, waiting and the whole."""
    slower = _is(speed, "lower") or _is(first_chunk, "higher") or _is(duration, "higher")
    faster = _is(speed, "higher") or _is(first_chunk, "lower") or _is(duration, "lower")
    if slower and faster:
        return "mixed"
    if slower or faster:
        return "slower" if slower else "faster"
    known = [d for d in (speed, first_chunk, duration) if d is not None]
    return "too few calls" if all(d.direction == "too few calls" for d in known) else "no difference"


def _is(found: Difference | None, direction: str) -> bool:
    return found is not None and found.direction == direction


def _reason(first: Sequence[MeasuredCall], second: Sequence[MeasuredCall]) -> str | None:
    """Return how the machine's load differed; None when it was not measured."""
    loads = [
        (_mean(values_of(calls, _cpu)), _mean(values_of(calls, _ollama_cpu))) for calls in (first, second)
    ]
    shown = [_load_text(cpu, ollama) for cpu, ollama in loads]
    return f"CPU {shown[1]} against {shown[0]}" if all(cpu is not None for cpu, _ in loads) else None


def _load_text(cpu: float | None, ollama: float | None) -> str:
    share = "" if ollama is None else f" (Ollama {ollama:.0%}, others {max(0.0, (cpu or 0) - ollama):.0%})"
    return f"{cpu or 0:.0%} busy{share}"
