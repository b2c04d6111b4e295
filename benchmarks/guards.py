"""Loose bounds for a quick run: they fail for gross regressions alone, on any machine."""

from __future__ import annotations

from benchmarks.figures import Figure, difference, ratio
from benchmarks.sections import Results
from benchmarks.variants import CUT_OUT, OURS

_SLACK = 2.0  # the targets are for a quiet machine and many rounds


def broken(found: Results) -> list[str]:
    """Return what is grossly slower than it was, in words."""
    calls, chunks, cpu = found["calls"], found["chunks"], found["imports"]
    base = Figure.of(calls["requests"]).median
    imports = {name: [run["cpu_s"] for run in runs] for name, runs in cpu.items()}
    checks = {
        "a chat, in bare requests calls": (ratio(calls[OURS], calls["requests"]).median, 0.85),
        "telemetry of a call, in bare requests calls": (
            difference(calls[OURS], calls[CUT_OUT]).median / base,
            0.35,
        ),
        "a chunk, in bare requests chunks": (ratio(chunks[OURS], chunks["requests"]).median, 0.5),
        "import, in imports of requests": (
            ratio(imports["import ollameter"], imports["import requests"]).median,
            0.75,
        ),
    }
    return [
        f"{name}: {value:.2f}, more than {bound * _SLACK:.2f}"
        for name, (value, bound) in checks.items()
        if value > bound * _SLACK
    ]
