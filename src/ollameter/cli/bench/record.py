"""What a benchmark has measured, as one JSON file: every call's own metrics, and the machine's load."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from ollameter import InvalidRequest, PerformanceMetrics

FORMAT = 1


class MeasuredCall(msgspec.Struct, frozen=True, kw_only=True):
    """One call: its own metrics as it returned them; `at_s` is its start since the run's, in seconds.

    `cold`: the model was unloaded just before.
    """

    concurrency: int
    at_s: float
    metrics: PerformanceMetrics
    cold: bool = False


class LoadSample(msgspec.Struct, frozen=True, kw_only=True):
    """The machine at one moment; ratios 0-1 of all processors, bytes; None where not measured."""

    at_s: float
    cpu: float | None = None
    ollama_cpu: float | None = None
    memory_used_bytes: int | None = None
    gpu: float | None = None


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run of `ollameter bench`; `duration_s` is the wall time of its measured calls."""

    started_at: datetime
    machine: dict[str, Any]
    settings: dict[str, Any]
    calls: tuple[MeasuredCall, ...] = ()
    load: tuple[LoadSample, ...] = ()
    format: int = FORMAT

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n")


def load_run(path: Path) -> Run:
    """Read what `save` wrote; raises `InvalidRequest` naming the file when it is something else."""
    try:
        run = msgspec.json.decode(path.read_bytes(), type=Run)
    except (OSError, msgspec.DecodeError) as error:
        raise InvalidRequest(f"{path}: no run of `ollameter bench`: {error}") from error
    if run.format != FORMAT:
        raise InvalidRequest(f"{path}: format {run.format} is not the one this version reads ({FORMAT})")
    return run
