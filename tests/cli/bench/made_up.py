"""Runs with numbers that a test chooses."""

from __future__ import annotations

import random
from datetime import UTC, datetime

from ollameter import HostLoad, PerformanceMetrics
from ollameter.cli.bench.record import LoadSample, MeasuredCall, Run

S = 1_000_000_000
STARTED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def call(
    at_s: float,
    *,
    model: str = "m",
    concurrency: int = 1,
    speed: float = 50.0,
    cpu: float = 0.5,
    ollama_cpu: float = 0.45,
    failed: bool = False,
    cold: bool = False,
) -> MeasuredCall:
    """Return a call of 101 tokens that were decoded at this speed after half a second."""
    eval_ns = round(100 / speed * S)
    metrics = PerformanceMetrics(
        operation="chat",
        model=model,
        streaming=True,
        started_at=STARTED,
        outcome="error" if failed else "completed",
        error_type="503" if failed else None,
        duration_s=0.1 if failed else 0.6 + eval_ns / S,
        total_duration=None if failed else S // 2 + eval_ns,
        load_duration=None if failed else S // 10,
        prompt_eval_count=None if failed else 20,
        prompt_eval_duration=None if failed else S // 5,
        eval_count=None if failed else 101,
        eval_duration=None if failed else eval_ns,
        time_to_first_chunk_s=None if failed else 0.5,
        host=HostLoad(
            samples=4, interval_s=0.25, cpu_utilization_mean=cpu, ollama_cpu_utilization_mean=ollama_cpu
        ),
    )
    return MeasuredCall(concurrency=concurrency, at_s=at_s, metrics=metrics, cold=cold)


def run_of(*calls: MeasuredCall) -> Run:
    """Return a run of these calls on a machine that was half busy."""
    return Run(
        started_at=STARTED,
        machine={"cpus": 2, "processor": "A <fast> one"},
        settings={"repeats": 3, "prompts": ["x"]},
        calls=calls,
        load=tuple(LoadSample(at_s=i / 2, cpu=0.5, ollama_cpu=0.4) for i in range(8)),
    )


def steady(
    count: int = 12, *, model: str = "m", speed: float = 50.0, cpu: float = 0.5
) -> list[MeasuredCall]:
    """Return calls one after the other, whose speed varies by a per cent or so."""
    draw = random.Random(2)
    return [call(3.0 * i, model=model, speed=speed * draw.gauss(1, 0.01), cpu=cpu) for i in range(count)]
