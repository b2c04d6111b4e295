"""The server's phases as child spans: a waterfall, reconstructed from what the server reported."""

from __future__ import annotations

from opentelemetry.context import Context
from opentelemetry.trace import Tracer

from ollameter.metrics import NS_PER_S, PerformanceMetrics
from ollameter.telemetry import names

_RECONSTRUCTED = {names.RECONSTRUCTED: True}


def draw_phases(
    metrics: PerformanceMetrics, tracer: Tracer, parent: Context, start_ns: int, end_ns: int
) -> None:
    """Place the phases that are known back from the call's end, within its own interval."""
    until = end_ns
    placed: list[tuple[str, int, int]] = []
    for name, seconds in (
        (names.PHASE_EVAL, metrics.eval_s),
        (names.PHASE_PROMPT_EVAL, metrics.prompt_eval_s),
        (names.PHASE_QUEUE, metrics.unattributed_s),
        (names.PHASE_LOAD, metrics.load_s),
    ):
        if seconds is not None:
            begun = max(start_ns, until - round(seconds * NS_PER_S))
            placed.append((name, begun, until))
            until = begun
    for name, begun, ended in reversed(placed):
        phase = tracer.start_span(name, parent, attributes=_RECONSTRUCTED, start_time=begun)
        phase.end(ended)
