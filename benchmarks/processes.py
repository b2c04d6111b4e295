"""The workers' processes: started once, told to run batches in turn, each on the same processor."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.variants import VARIANTS

_ROOT = Path(__file__).parent.parent


class WorkerFailed(Exception):
    """A worker could not do what it was told."""


class Process:
    """One variant's worker, until it is closed."""

    def __init__(
        self, variant: str, python: Path, urls: Mapping[str, str], processor: int, *, seeing: bool = False
    ) -> None:
        told = {"variant": variant, "urls": dict(urls), "processor": processor, "seeing": seeing}
        self._variant = variant
        self._process = subprocess.Popen(
            [str(python), "-m", "benchmarks.worker", json.dumps(told)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=clean_environment() | VARIANTS[variant].env,
            cwd=_ROOT,
        )

    def do(self, what: str, **how: Any) -> dict[str, Any]:
        """Have something done and measured; raises `WorkerFailed` with the worker's own words."""
        process = self._process
        assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018  # pipes
        process.stdin.write(json.dumps({"do": what, **how}) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
        told: dict[str, Any] = json.loads(line) if line else {"error": "it ended"}
        if "error" in told:
            raise WorkerFailed(f"{self._variant}: {what}: {told['error']}")
        return told

    def close(self) -> None:
        """End the process, by the end of its input."""
        assert self._process.stdin is not None  # noqa: S101  # a pipe, as asked for
        self._process.stdin.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextmanager
def processes(
    variants: Iterable[str],
    urls: Mapping[str, str],
    processor: int,
    peers: Path | None,
    *,
    seeing: bool = False,
) -> Iterator[dict[str, Process]]:
    """Start the variants that can be had; without the peers' environment theirs are left out."""
    with ExitStack() as stack:
        started = {}
        for name in variants:
            python = peers if VARIANTS[name].is_peer else Path(sys.executable)
            if python is not None:
                started[name] = Process(name, python, urls, processor, seeing=seeing)
                stack.callback(started[name].close)
        yield started


def clean_environment() -> dict[str, str]:
    """Return this environment without settings of telemetry or of a server, our source first."""
    ours = {"PYTHONPATH": f"{_ROOT / 'src'}{os.pathsep}{_ROOT}"}
    dropped = ("OTEL_", "OLLAMETER_", "OLLAMA_", "TRACELOOP_", "OPENLIT_", "PYTHON")
    return {name: value for name, value in os.environ.items() if not name.startswith(dropped)} | ours
