"""What a call's numbers say in plain sentences: rules that judge, each with its evidence.

A rule speaks only when every number that it needs is known and beyond its threshold;
docs/explain.md lists them all. Nothing here measures anything.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ollameter.verdict import call, machine
from ollameter.verdict.words import percent

if TYPE_CHECKING:
    from ollameter.metrics import PerformanceMetrics

RULES: tuple[Callable[[PerformanceMetrics], str | None], ...] = (
    call.failure,
    call.retries,
    call.load,
    call.slot,
    call.prompt,
    call.decoding,
    machine.processors,
    machine.memory,
    machine.disk,
    machine.gpus_busy,
    machine.gpus_slowed,
    machine.model_off_the_gpu,
    call.prompt_cut,
    call.answer_cut,
    call.context,
    call.cached,
    call.overhead,
)


def explain(metrics: PerformanceMetrics) -> list[str]:
    """Return what stands out, in the order in which it happened; one sentence when nothing does."""
    found = [sentence for rule in RULES if (sentence := rule(metrics)) is not None]
    return found or [_nothing(metrics)]


def _nothing(m: PerformanceMetrics) -> str:
    """Say so, with what is known: the call's own line, and the machine's."""
    host = m.host
    line = f"nothing stands out: {m}"
    if host is None or host.server_is_local is not True or host.cpu_utilization_mean is None:
        return line
    return f"{line}, processors {percent(host.cpu_utilization_mean)} busy"
