"""Running the calls of a benchmark, so many at once, while the machine is looked at."""

from __future__ import annotations

import os
import platform
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from typing import Any

import msgspec

from ollameter import HostMonitor, OllamaProvider, OllameterError, __version__
from ollameter.cli.bench.record import LoadSample, MeasuredCall, Run

_LOOK_EVERY_S = 0.5


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be measured.

    Each model is called at each concurrency: every prompt `repeats` times, or for `seconds`,
    after `warm_up` calls that do not count; `cold` calls each follow an unloading.
    """

    models: tuple[str, ...]
    prompts: tuple[str, ...]
    concurrency: tuple[int, ...] = (1,)
    repeats: int = 5
    seconds: float | None = None
    warm_up: int = 1
    cold: int = 0
    options: dict[str, Any] = msgspec.field(default_factory=dict)

    def calls(self) -> int:
        """Return how many calls count, a time limit left aside."""
        each = sum(self._calls_at(level) for level in self.concurrency)
        return len(self.models) * (each + self.cold)

    def _calls_at(self, concurrency: int) -> int:
        return max(concurrency, self.repeats * len(self.prompts))

    def jobs(self, concurrency: int) -> Iterator[str]:
        """Yield the prompts of one level, as many as are to be called."""
        numbers = count() if self.seconds is not None else range(self._calls_at(concurrency))
        for number in numbers:
            yield self.prompts[number % len(self.prompts)]


class Bench:
    """One run in the making; `on_call` is told of each call that has ended."""

    def __init__(
        self,
        llm: OllamaProvider,
        plan: Plan,
        on_call: Callable[[MeasuredCall], None] = lambda _: None,
        monitor: HostMonitor | None = None,
    ) -> None:
        self._llm = llm
        self._plan = plan
        self._on_call = on_call
        self._monitor = HostMonitor.shared() if monitor is None else monitor
        self._calls: list[MeasuredCall] = []
        self._begun_s = time.perf_counter()

    def run(self) -> Run:
        """Make every call; a call that fails is measured as well. Raises what stops all of them."""
        plan, started_at = self._plan, datetime.now(UTC)
        with self._looking_at_the_machine() as load:
            for model in plan.models:
                for _ in range(plan.cold):
                    self._llm.unload(model)
                    self._measure(model, plan.prompts[0], 1, cold=True)
                for _ in range(plan.warm_up):
                    self._call(model, plan.prompts[0])
                for concurrency in plan.concurrency:
                    self._at_once(model, concurrency)
        settings = msgspec.to_builtins(plan)
        return Run(
            started_at=started_at,
            machine={**machine(), "ollama": self._llm.version()},
            settings=settings,
            calls=tuple(sorted(self._calls, key=lambda call: call.at_s)),
            load=tuple(load),
        )

    def _at_once(self, model: str, concurrency: int) -> None:
        jobs, taking, failures = self._plan.jobs(concurrency), threading.Lock(), list[BaseException]()
        limit_s = self._plan.seconds
        ends_s = float("inf") if limit_s is None else time.perf_counter() + limit_s

        def work() -> None:
            while not failures and time.perf_counter() < ends_s:
                with taking:
                    prompt = next(jobs, None)
                if prompt is None:
                    return
                try:
                    self._measure(model, prompt, concurrency)
                except BaseException as failure:  # raised again by the thread that waits
                    failures.append(failure)

        workers = [threading.Thread(target=work, daemon=True) for _ in range(concurrency)]
        for worker in workers:
            worker.start()
        try:
            for worker in workers:
                worker.join()
        except KeyboardInterrupt as stopped:
            failures.append(stopped)
        if failures:
            raise failures[0]

    def _measure(self, model: str, prompt: str, concurrency: int, *, cold: bool = False) -> None:
        at_s = time.perf_counter() - self._begun_s
        metrics = self._call(model, prompt)
        call = MeasuredCall(concurrency=concurrency, at_s=at_s, metrics=metrics, cold=cold)
        self._calls.append(call)
        self._on_call(call)

    def _call(self, model: str, prompt: str) -> Any:
        """Return what a call cost, failed or not; raise what never became a call."""
        question = [{"role": "user", "content": prompt}]
        stream = self._llm.stream(question, model, options=self._plan.options)
        try:
            with stream:
                for _ in stream:
                    pass
        except OllameterError as error:
            if error.metrics is None or error.error_type in _HOPELESS:
                raise
        return stream.metrics

    @contextmanager
    def _looking_at_the_machine(self) -> Iterator[list[LoadSample]]:
        load: list[LoadSample] = []
        done = threading.Event()

        def look() -> None:
            while not done.wait(_LOOK_EVERY_S):
                sample = self._sample()
                if sample is not None:
                    load.append(sample)

        watcher = threading.Thread(target=look, daemon=True)
        watcher.start()
        try:
            yield load
        finally:
            done.set()
            watcher.join()

    def _sample(self) -> LoadSample | None:
        seen = self._monitor.latest()
        if seen is None:
            return None
        ollama = [use.busy for use in seen.servers.values() if use.busy is not None]
        gpus = [gpu.utilization for gpu in seen.gpus if gpu.utilization is not None]
        return LoadSample(
            at_s=time.perf_counter() - self._begun_s,
            cpu=None if seen.cpu is None else seen.cpu.busy,
            ollama_cpu=sum(ollama) if ollama else None,
            memory_used_bytes=None if seen.memory is None else seen.memory.used_bytes,
            gpu=max(gpus) if gpus else None,
        )


_HOPELESS = {"connection_refused", "dns", "tls", "404"}  # the next call would fail in the same way


def machine() -> dict[str, Any]:
    """Return what kind of machine this is; no name of it and nobody's."""
    return {
        "system": f"{platform.system()} {platform.release()}",
        "architecture": platform.machine(),
        "processor": _processor(),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "ollameter": __version__,
    }


def _processor() -> str | None:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            found = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
            return next(found, None)
    except OSError:
        return platform.processor() or None


def prompts_from(lines: Sequence[str]) -> tuple[str, ...]:
    """Return the prompts of a file, one a line; blank lines and those that begin with # are none."""
    return tuple(line.strip() for line in lines if line.strip() and not line.startswith("#"))


BUILT_IN_PROMPTS = (
    "Why is the sky blue? Answer in two sentences.",
    "List five fruits, one a line.",
    "Summarise in one sentence: the wind had turned in the night, and every boat faced the open sea.",
)
