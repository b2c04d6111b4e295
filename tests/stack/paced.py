"""An application that makes calls at a pace, tells what each took, and can be compared with another."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from ollameter.testing import FakeOllama
from tests.stack.applications import RECORDING, environment
from tests.stack.servers import Collector

PACE_S = 0.04  # 1,500 calls in a minute: they fit the buffer of 2,048 spans
# Calls at a pace until a line comes in; says what each took, then, asked again, how it ended.
STEADY_CALLS = f"""{RECORDING}
    import threading, time
    handle = ollameter.configure("steady")
    record()
    told, took = threading.Event(), []
    with ollameter.OllamaProvider(sys.argv[1], model="llama3.2") as llm:
        def call():
            begun, cpu = time.perf_counter(), time.thread_time()
            llm.chat([{{"role": "user", "content": "x"}}])
            took.append((time.time(), time.perf_counter() - begun, time.thread_time() - cpu))
        with trace.get_tracer("app").start_as_current_span("all of it") as whole:
            call()
            took.clear()  # the first call connects
            print("ready", flush=True)
            threading.Thread(target=lambda: (sys.stdin.readline(), told.set()), daemon=True).start()
            due = time.perf_counter()
            while not told.wait(max(0.0, due - time.perf_counter())):
                due += {PACE_S}
                call()
        print(json.dumps([f"{{whole.get_span_context().trace_id:032x}}", exported, took]), flush=True)
        sys.stdin.readline()
        call()
    begun = time.monotonic()
    arrived = handle.shutdown()
    print(json.dumps([arrived, time.monotonic() - begun]))
"""


@dataclass(frozen=True, slots=True)
class Call:
    """When a call ended (Unix seconds), and the time and the thread's CPU time that it took."""

    ended_s: float
    wall_s: float
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Paced:
    """What a program that calls at a pace has sent, and what its calls took."""

    trace_id: str
    sent: frozenset[str]
    calls: Sequence[Call]


class PacedProgram:
    """A program that calls at a pace and exports to one collector."""

    def __init__(self, fake: FakeOllama, collector: Collector, stderr: Path) -> None:
        self.stderr = stderr
        with stderr.open("w", encoding="utf-8") as said:
            self._process = subprocess.Popen(
                [sys.executable, "-c", textwrap.dedent(STEADY_CALLS), fake.base_url],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
                env=environment({"OTEL_EXPORTER_OTLP_ENDPOINT": collector.grpc_endpoint}),
            )
        assert self._line() == "ready\n"

    def stop_calling(self) -> Paced:
        """Return what it did; it goes on living."""
        self._say()
        trace_id, sent, took = json.loads(self._line())
        return Paced(trace_id, frozenset(sent), [Call(*numbers) for numbers in took])

    def end(self) -> tuple[bool, float]:
        """Let it make one more call and shut down: whether that arrived, and how long it took."""
        self._say()
        out, _ = self._process.communicate(timeout=60)
        arrived, shutdown_s = json.loads(out)
        return arrived, shutdown_s

    def _say(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()


@dataclass(frozen=True, slots=True)
class Compared:
    """What calls took before and during a time, in a program that it concerns and in one beside it.

    Two processes alike differ by a tenth on a busy machine, and so do two minutes of one process; what
    concerns only one of them, and only during that time, is what remains.
    """

    before: Sequence[float]
    during: Sequence[float]
    before_beside: Sequence[float]
    during_beside: Sequence[float]

    def surely_slower(self, share: float) -> float:
        """Return by which factor a quantile (0.99: the 99th percentile) rose at least, at 95 % confidence.

        By drawing from all four again and again: one percentile of noisy durations says little.
        """
        draw = random.Random(1)

        def quantile(values: Sequence[float]) -> float:
            return sorted(draw.choices(values, k=len(values)))[int(len(values) * share)]

        factors = sorted(
            quantile(self.during) / quantile(self.before)
            / (quantile(self.during_beside) / quantile(self.before_beside))
            for _ in range(400)
        )  # fmt: skip
        return factors[20]


def compared(
    calls: Sequence[Call], beside: Sequence[Call], begin_s: float, end_s: float
) -> tuple[Compared, Compared]:
    """Compare what calls took until `begin_s` with what they took from then to `end_s`: time, CPU time."""

    def numbers(field: str) -> Compared:
        parts = (
            [getattr(call, field) for call in each if low < call.ended_s < high]
            for each in (calls, beside)
            for low, high in ((0.0, begin_s), (begin_s, end_s))
        )
        return Compared(*parts)

    return numbers("wall_s"), numbers("cpu_s")
