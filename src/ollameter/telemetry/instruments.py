"""The metrics of calls: one set of instruments a meter provider, one guarded record a number."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from opentelemetry import metrics as otel_metrics
from opentelemetry.context import Context
from opentelemetry.metrics import Meter

from ollameter._version import __version__
from ollameter.metrics import PerformanceMetrics
from ollameter.telemetry import names
from ollameter.telemetry.attributes import is_number
from ollameter.telemetry.guard import note_fault
from ollameter.telemetry.observables import ActiveCalls, Kind, active_calls_of

Attributes = Mapping[str, Any]
_CACHED_CALLERS = 256  # kinds of calls; past that the cache starts anew
_LIKE_ON_THE_SPAN = (
    names.REQUEST_DURATION, names.LOAD_DURATION, names.PROMPT_EVAL_DURATION, names.EVAL_DURATION,
    names.UNATTRIBUTED_DURATION, names.EVAL_THROUGHPUT, names.CONTEXT_UTILIZATION,
)  # fmt: skip


class Dimensions:
    """The attributes of one kind of call, as each group of metrics wants them, sorted by name."""

    __slots__ = ("gen_ai", "input", "kind", "ollama", "output")

    def __init__(self, operation: str, model: str, address: str, port: int) -> None:
        self.kind: Kind = (operation, model, address, port)
        call = {names.OPERATION_NAME: operation, names.REQUEST_MODEL: model}
        provider = {names.PROVIDER_NAME: names.PROVIDER}
        where = {names.SERVER_ADDRESS: address}
        self.ollama: Attributes = _sorted({**call, **where, names.SERVER_PORT: port})
        self.gen_ai: Attributes = _sorted({**self.ollama, **provider})
        tokens = {**call, **provider, **where}
        self.input: Attributes = _sorted({**tokens, names.TOKEN_TYPE: "input"})
        self.output: Attributes = _sorted({**tokens, names.TOKEN_TYPE: "output"})


class Instruments:
    """Records what a call cost; attribute dicts are made once for each kind of call."""

    def __init__(
        self, meter: Meter, active: ActiveCalls, *, times_chunks: bool = False, server_view: bool = False
    ) -> None:
        self.times_chunks = times_chunks
        self.active = active
        self._duration = _histogram(meter, names.OPERATION_DURATION)
        self._first_chunk = _histogram(meter, names.TIME_TO_FIRST_CHUNK)
        self._tokens = _histogram(meter, names.TOKEN_USAGE)
        self._per_chunk = _histogram(meter, names.TIME_PER_OUTPUT_CHUNK) if times_chunks else None
        self._shared = [(name, _histogram(meter, name)) for name in _LIKE_ON_THE_SPAN]
        self._server = _ServerView(meter) if server_view else None
        cold, retries = (names.METRICS[name] for name in (names.COLD_STARTS, names.RETRIES))
        self._cold_starts = meter.create_counter(cold.name, cold.unit, cold.description)
        self._retries = meter.create_counter(retries.name, retries.unit, retries.description)
        self._dimensions: dict[Kind, Dimensions] = {}

    def dimensions(self, operation: str, model: str, address: str, port: int) -> Dimensions:
        """Return the attributes for a kind of call."""
        key = (operation, model, address, port)
        found = self._dimensions.get(key)
        if found is None:
            if len(self._dimensions) >= _CACHED_CALLERS:
                self._dimensions.clear()
            found = self._dimensions[key] = Dimensions(*key)
            self.active.know(found)
        return found

    def ended(
        self,
        metrics: PerformanceMetrics,
        described: Attributes,
        of: Dimensions,
        context: Context,
        arrivals: Sequence[float] = (),
    ) -> None:
        """Record a call that has ended; `described` is what its span says of the same numbers."""
        known, plain = described.get, of.gen_ai
        failed = metrics.error_type
        duration = plain if failed is None else {names.ERROR_TYPE: failed, **plain}
        _record(self._duration, metrics.duration_s, duration, context)
        _record(self._first_chunk, known(names.RESPONSE_TIME_TO_FIRST_CHUNK), plain, context)
        _record(self._tokens, known(names.USAGE_INPUT_TOKENS), of.input, context)
        _record(self._tokens, known(names.USAGE_OUTPUT_TOKENS), of.output, context)
        for name, histogram in self._shared:
            _record(histogram, known(name), of.ollama, context)
        if metrics.cold_start is True:
            _add(self._cold_starts, 1, of.ollama, context)
        attempts = metrics.attempts or 1  # None when it was no number
        if attempts > 1:
            _add(self._retries, attempts - 1, of.ollama, context)
        if self._per_chunk is not None:
            for before, at in pairwise(arrivals):
                gap_s = at - before
                _record(self._per_chunk, gap_s if is_number(gap_s) else None, plain, context)
        if self._server is not None:
            self._server.record(metrics, described, plain, context)


class _ServerView:
    """The conventions' server metrics, reconstructed from what the server reported; opt-in."""

    def __init__(self, meter: Meter) -> None:
        self._request = _histogram(meter, names.SERVER_REQUEST_DURATION)
        self._first_token = _histogram(meter, names.SERVER_TIME_TO_FIRST_TOKEN)
        self._per_token = _histogram(meter, names.SERVER_TIME_PER_OUTPUT_TOKEN)

    def record(
        self, metrics: PerformanceMetrics, described: Attributes, of: Attributes, context: Context
    ) -> None:
        total_s, eval_s = described.get(names.REQUEST_DURATION), described.get(names.EVAL_DURATION)
        _record(self._request, total_s, of, context)
        if total_s is not None and eval_s is not None:
            _record(self._first_token, max(0.0, total_s - eval_s), of, context)
        _record(self._per_token, metrics.time_per_output_token_s, of, context)


_made: weakref.WeakKeyDictionary[Any, dict[tuple[bool, bool], Instruments]] = weakref.WeakKeyDictionary()
_making = threading.Lock()


def instruments_of(meter_provider: Any) -> Instruments:
    """Return the instruments of a meter provider (None: the global one), made once.

    `OLLAMETER_CHUNK_METRICS` and `OLLAMETER_SERVER_METRICS` add those that are opt-in.
    """
    provider = otel_metrics.get_meter_provider() if meter_provider is None else meter_provider
    asked = (is_true("OLLAMETER_CHUNK_METRICS"), is_true("OLLAMETER_SERVER_METRICS"))
    with _making:
        made = _made.get(provider)
        if made is None:
            made = _made[provider] = {}
        if asked not in made:
            meter = otel_metrics.get_meter(names.SCOPE, __version__, provider, names.SCHEMA_URL)
            active = active_calls_of(meter_provider)
            made[asked] = Instruments(meter, active, times_chunks=asked[0], server_view=asked[1])
        return made[asked]


def _sorted(attributes: Attributes) -> Attributes:
    # The SDK sorts them anew for each record: what is sorted already costs it less.
    return dict(sorted(attributes.items()))


def _histogram(meter: Meter, name: str) -> Any:
    metric = names.METRICS[name]
    return meter.create_histogram(
        name, metric.unit, metric.description, explicit_bucket_boundaries_advisory=metric.buckets
    )


def _record(histogram: Any, value: float | None, of: Attributes, context: Context) -> None:
    if value is None or value < 0:
        return
    try:
        histogram.record(value, of, context)
    except Exception:  # whatever a view, filter or reservoir raises
        note_fault("record a metric")


def _add(counter: Any, amount: int, of: Attributes, context: Context) -> None:
    try:
        counter.add(amount, of, context)
    except Exception:  # likewise
        note_fault("count a metric")


def is_true(variable: str) -> bool:
    """Whether an environment variable says `true`."""
    return os.environ.get(variable, "").strip().lower() == "true"
