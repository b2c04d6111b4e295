"""The metrics of calls: one set of instruments a meter, one guarded record a call."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from opentelemetry.context import Context
from opentelemetry.metrics import Meter

from ollameter.messages import Request
from ollameter.metrics import PerformanceMetrics
from ollameter.telemetry import names
from ollameter.telemetry.attributes import is_number

Attributes = Mapping[str, Any]
_CACHED_CALLERS = 256  # models and operations of one provider; past that the cache starts anew


class Dimensions:
    """The attributes of one kind of call, as each group of metrics wants them."""

    def __init__(self, operation: str, model: str, address: str, port: int) -> None:
        server = {names.SERVER_ADDRESS: address, names.SERVER_PORT: port}
        self.ollama: Attributes = {
            names.OPERATION_NAME: operation,
            names.REQUEST_MODEL: model,
            **server,
        }
        self.gen_ai: Attributes = {**self.ollama, names.PROVIDER_NAME: names.PROVIDER}
        tokens = {name: value for name, value in self.gen_ai.items() if name != names.SERVER_PORT}
        self.input: Attributes = {**tokens, names.TOKEN_TYPE: "input"}
        self.output: Attributes = {**tokens, names.TOKEN_TYPE: "output"}


class Instruments:
    """Records what a call cost; attribute dicts are made once for each kind of call."""

    def __init__(self, meter: Meter) -> None:
        seconds = _histograms(meter, names.SECONDS)
        self._duration = seconds(
            names.OPERATION_DURATION, "GenAI operation duration.", names.DURATION_BUCKETS
        )
        self._first_chunk = seconds(
            names.TIME_TO_FIRST_CHUNK,
            "Time to the first chunk of a stream.",
            names.DURATION_BUCKETS,
        )
        self._tokens = _histograms(meter, names.TOKENS)(
            names.TOKEN_USAGE, "Number of input and output tokens used.", names.TOKEN_BUCKETS
        )
        long = names.LONG_DURATION_BUCKETS
        self._phases = (
            (seconds(names.REQUEST_DURATION, "The server's own total.", long), "total_s"),
            (seconds(names.LOAD_DURATION, "Scheduling and loading the model.", long), "load_s"),
            (seconds(names.PROMPT_EVAL_DURATION, "Evaluating the prompt.", long), "prompt_eval_s"),
            (seconds(names.EVAL_DURATION, "First to last token.", long), "eval_s"),
            (seconds(names.UNATTRIBUTED_DURATION, "In no phase: waiting.", long), "unattributed_s"),
        )
        self._throughput = _histograms(meter, names.TOKENS_PER_SECOND)(
            names.EVAL_THROUGHPUT, "Tokens decoded per second.", names.THROUGHPUT_BUCKETS
        )
        self._active = meter.create_up_down_counter(
            names.ACTIVE_REQUESTS, names.REQUESTS, "Calls that have begun and not ended."
        )
        self._cold_starts = meter.create_counter(
            names.COLD_STARTS, names.STARTS, "Calls that had to load their model."
        )
        self._retries = meter.create_counter(
            names.RETRIES, names.RETRIES_UNIT, "Requests beyond the first of a call."
        )
        self.times_chunks = _is_true("OLLAMETER_CHUNK_METRICS")
        if self.times_chunks:
            self._per_chunk = seconds(
                names.TIME_PER_OUTPUT_CHUNK, "Time between chunks of a stream.", names.DURATION_BUCKETS
            )
        self._server = _ServerView(meter) if _is_true("OLLAMETER_SERVER_METRICS") else None
        self._dimensions: dict[tuple[str, str, str, int], Dimensions] = {}

    def dimensions(self, request: Request, address: str, port: int) -> Dimensions:
        """Return the attributes for a kind of call."""
        key = (request.operation, request.model, address, port)
        found = self._dimensions.get(key)
        if found is None:
            if len(self._dimensions) >= _CACHED_CALLERS:
                self._dimensions.clear()
            found = self._dimensions[key] = Dimensions(*key)
        return found

    def started(self, of: Dimensions, context: Context) -> None:
        """Count a call that has begun."""
        self._active.add(1, of.ollama, context)

    def ended(
        self, metrics: PerformanceMetrics, of: Dimensions, context: Context, gaps_s: Sequence[float] = ()
    ) -> None:
        """Record a call that has ended: what is unknown is not recorded."""
        self._active.add(-1, of.ollama, context)
        failed = metrics.error_type
        plain = of.gen_ai
        _record(
            self._duration,
            metrics.duration_s,
            plain if failed is None else {**plain, names.ERROR_TYPE: failed},
            context,
        )
        _record(self._first_chunk, metrics.time_to_first_chunk_s, plain, context)
        _record(self._tokens, metrics.input_tokens, of.input, context)
        _record(self._tokens, metrics.output_tokens, of.output, context)
        if metrics.total_duration is not None:
            for histogram, name in self._phases:
                _record(histogram, getattr(metrics, name), of.ollama, context)
            _record(self._throughput, metrics.tokens_per_second, of.ollama, context)
        if metrics.cold_start:
            self._cold_starts.add(1, of.ollama, context)
        if metrics.attempts > 1:
            self._retries.add(metrics.attempts - 1, of.ollama, context)
        for gap_s in gaps_s:
            _record(self._per_chunk, gap_s, plain, context)
        if self._server is not None:
            self._server.record(metrics, plain, context)


class _ServerView:
    """The conventions' server metrics, reconstructed from what the server reported; opt-in."""

    def __init__(self, meter: Meter) -> None:
        seconds = _histograms(meter, names.SECONDS)
        self._request = seconds(
            names.SERVER_REQUEST_DURATION, "The server's own total.", names.DURATION_BUCKETS
        )
        self._first_token = seconds(
            names.SERVER_TIME_TO_FIRST_TOKEN,
            "The server's total without decoding.",
            names.FIRST_TOKEN_BUCKETS,
        )
        self._per_token = seconds(
            names.SERVER_TIME_PER_OUTPUT_TOKEN,
            "Decoding time for each token after the first.",
            names.OUTPUT_TOKEN_BUCKETS,
        )

    def record(self, metrics: PerformanceMetrics, of: Attributes, context: Context) -> None:
        total_s, eval_s = metrics.total_s, metrics.eval_s
        _record(self._request, total_s, of, context)
        if total_s is not None and eval_s is not None:
            _record(self._first_token, max(0.0, total_s - eval_s), of, context)
        _record(self._per_token, metrics.time_per_output_token_s, of, context)


def _histograms(meter: Meter, unit: str) -> Callable[[str, str, tuple[float, ...]], Any]:
    def make(name: str, description: str, buckets: tuple[float, ...]) -> Any:
        return meter.create_histogram(name, unit, description, explicit_bucket_boundaries_advisory=buckets)

    return make


def _record(histogram: Any, value: float | None, of: Attributes, context: Context) -> None:
    if value is not None and is_number(value):
        histogram.record(value, of, context)


def _is_true(variable: str) -> bool:
    return os.environ.get(variable, "").strip().lower() == "true"
