"""Runs fake_server.c: compiled at first use, on a processor of its own, asked what it did."""

from __future__ import annotations

import hashlib
import json
import os
import struct
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from tests.stack.cache import cache_folder

from benchmarks.scenarios import Scenario

_SOURCE = Path(__file__).with_name("fake_server.c")


class FakeServer:
    """One port for each scenario, until it is closed."""

    def __init__(self, scenarios: Mapping[str, Scenario], processor: int) -> None:
        packed = b"".join(scenario.packed() for scenario in scenarios.values())
        with tempfile.NamedTemporaryFile() as file:
            file.write(struct.pack("=I", len(scenarios)) + packed)
            file.flush()
            self._process = subprocess.Popen(
                [_program(), file.name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            os.sched_setaffinity(self._process.pid, {processor})
            ports = [int(self._line()) for _ in scenarios]
        self.urls = {name: f"http://127.0.0.1:{port}" for name, port in zip(scenarios, ports, strict=True)}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        assert self._process.stdin is not None  # noqa: S101  # a pipe, as asked for
        self._process.stdin.close()
        self._process.wait(10)

    def report(self) -> dict[str, Any]:
        """Return what it did since the last report: requests, CPU, how late it sent."""
        assert self._process.stdin is not None  # noqa: S101  # a pipe, as asked for
        self._process.stdin.write("?\n")
        self._process.stdin.flush()
        did: dict[str, Any] = json.loads(self._line())
        did["busy"] = did["cpu_s"] / did["wall_s"]
        return did

    def _line(self) -> str:
        assert self._process.stdout is not None  # noqa: S101  # a pipe, as asked for
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the fake server ended with {self._process.wait(10)}")
        return line


def _program() -> Path:
    """Return the compiled server; the name tells its source."""
    digest = hashlib.sha256(_SOURCE.read_bytes()).hexdigest()[:12]
    program = cache_folder() / "bench" / f"fake-server-{digest}"
    if not program.exists():
        program.parent.mkdir(parents=True, exist_ok=True)
        made = program.with_suffix(f".{os.getpid()}")
        command = [os.environ.get("CC", "cc"), "-O2", "-o", str(made), str(_SOURCE)]
        subprocess.run(command, check=True)
        made.rename(program)
    return program
