"""Programs that use the library as a user's would, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"

# What a program starts with: HTTP instrumentation as an application may have it.
INSTRUMENTED = """
    import runpy, sys
    from opentelemetry.instrumentation.requests import RequestsInstrumentor
    RequestsInstrumentor().instrument()
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")
"""
# `exported` holds the id of every span that has ended since.
RECORDING = """
    import json, sys, ollameter
    from opentelemetry import trace
    from opentelemetry.sdk.trace import SpanProcessor
    class Recorder(SpanProcessor):
        def on_end(self, span):
            exported.append(f"{span.context.span_id:016x}")
    exported = []
    def record():
        trace.get_tracer_provider().add_span_processor(Recorder())
"""


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Return this process's variables without a developer's own settings, plus the given ones."""
    ours = ("OTEL_", "OLLAMETER_", "OLLAMA_")
    return {**{k: v for k, v in os.environ.items() if not k.startswith(ours)}, **settings}


def run(script: str, *arguments: str, **settings: str) -> str:
    """Run a program to its end and return what it printed; it must end well."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *arguments],
        capture_output=True, text=True, timeout=60, check=False, env=environment(settings),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout
