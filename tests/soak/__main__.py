"""Mixed good and bad calls, very many, and nothing left over: `python -m tests.soak [--calls N] …`.

Threads and tasks share one provider. Afterwards what the callers got, the spans and the points must be
the same numbers; descriptors, threads and tasks must be back; memory must not have grown in the second
half. Exits with 1 when any of that fails.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import subprocess
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random, SystemRandom

from ollameter import OllamaProvider, Timeouts
from ollameter.call import OPEN
from tests.soak.calls import Caller
from tests.soak.leaks import PATIENCE_S, Complaints, Held, back_to, held, rss_mib
from tests.soak.tally import CountingTelemetry, Tally
from tests.stack.install import installed
from tests.stack.servers import RealOllama

LIMITS = Timeouts(connect=10, first_byte=20, idle=0.25)
REAL_LIMITS = Timeouts(connect=10, first_byte=120, idle=30)
GROWTH_MIB = 2.0
_ENOUGH_TO_SETTLE = 50_000  # calls, before which memory says nothing: pools and caches still fill


@dataclass(frozen=True)
class Plan:
    """How many calls, by how many at once, for how long at most."""

    calls: int
    threads: int
    tasks: int
    rounds: int
    minutes: float
    seed: int

    @property
    def each(self) -> int:
        """How many calls each thread and task makes in a round."""
        return max(1, -(-self.calls // (self.rounds * (self.threads + self.tasks))))


@dataclass(frozen=True)
class Soaked:
    """What came of it."""

    plan: Plan
    got: Tally
    telemetry: CountingTelemetry
    rss_mib: list[float]
    before: Held
    after: Held
    complaints: list[str]
    tasks_left: int
    took_s: float

    def faults(self) -> list[str]:
        """Return what is not as it must be."""
        calls, (points, active) = self.got.endings.total(), self.telemetry.points()
        ended = self.telemetry.ended.endings
        errors: Counter[str | None] = Counter()
        for (_, error_type), count in self.got.endings.items():
            errors[error_type] += count
        checks = {
            f"{calls} calls, {self.telemetry.started} spans started": self.telemetry.started == calls,
            f"callers got {self.got.endings}, spans say {ended}": ended == self.got.endings,
            f"callers got {errors}, points say {points}": points == errors,
            f"{active} calls counted as active": active == 0,
            f"calls left open: {len(OPEN)}": not OPEN,
            f"tasks left: {self.tasks_left}": self.tasks_left == 0,
            f"{self.before} before, {self.after} after": all(
                now <= then for now, then in zip(self.after, self.before, strict=True)
            ),
            f"complaints: {self.complaints[:5]}": not self.complaints,
            f"memory grew by {self.growth_mib:.2f} MiB": self.growth_mib <= GROWTH_MIB
            or calls < _ENOUGH_TO_SETTLE,
        }
        return [fault for fault, is_right in checks.items() if not is_right]

    @property
    def growth_mib(self) -> float:
        """How much memory grew from the middle to the end."""
        return self.rss_mib[-1] - self.rss_mib[len(self.rss_mib) // 2]

    def __str__(self) -> str:
        calls, (points, active) = self.got.endings.total(), self.telemetry.points()
        first, middle, last = self.rss_mib[0], self.rss_mib[len(self.rss_mib) // 2], self.rss_mib[-1]
        endings = "".join(
            f"\n  {count:>8} {outcome}{f' ({error_type})' if error_type else ''}"
            for (outcome, error_type), count in self.got.endings.most_common()
        )
        return (
            f"{calls} calls by {self.plan.threads} threads and {self.plan.tasks} tasks "
            f"in {self.took_s:.0f} s ({calls / self.took_s:.0f}/s), seed {self.plan.seed}\n"
            f"spans started {self.telemetry.started}, ended {self.telemetry.ended.endings.total()}, "
            f"points {points.total()}, active {active}\n"
            f"memory in MiB: {first:.1f} at first, {middle:.1f} in the middle, {last:.1f} at the end: "
            f"{self.growth_mib:+.2f} in the second half\n"
            f"held before: {self.before}; after: {self.after}{endings}"
        )


def soak(plan: Plan, base_url: str, model: str, *, real: bool = False) -> Soaked:
    """Make the calls against one server."""
    complaints, telemetry, got = Complaints(), CountingTelemetry(), Tally()
    before, begun = held(), time.monotonic()
    provider = OllamaProvider(
        base_url, model=model, timeout=REAL_LIMITS if real else LIMITS, trust_env=False,
        host_monitor=False, **telemetry.providers,
    )  # fmt: skip
    caller = Caller(provider, got, only_good=real)
    rss, tasks_left = asyncio.run(_rounds(plan, caller, provider, complaints, begun + 60 * plan.minutes))
    after = back_to(before)
    return Soaked(
        plan, got, telemetry, rss, before, after, complaints.heard, tasks_left, time.monotonic() - begun
    )


async def _rounds(
    plan: Plan, caller: Caller, provider: OllamaProvider, complaints: Complaints, ends_at: float
) -> tuple[list[float], int]:
    """Make rounds of calls; return the memory after each, and how many tasks were left at the end."""
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(complaints.of_loop)
    rss = []
    with ThreadPoolExecutor(plan.threads) as pool:
        async with provider:
            for number in range(plan.rounds):
                seeds = [f"{plan.seed}/{number}/{i}" for i in range(plan.threads + plan.tasks)]
                await asyncio.gather(
                    *(loop.run_in_executor(pool, _several, caller, plan, s) for s in seeds[: plan.threads]),
                    *(_several_async(caller, plan, seed) for seed in seeds[plan.threads :]),
                )
                rss.append(rss_mib())
                if time.monotonic() > ends_at:
                    break
    return rss, await _tasks_left()


async def _tasks_left() -> int:
    """Return how many tasks there are besides this one, once those that are ending have."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    return len((await asyncio.wait(others, timeout=PATIENCE_S))[1]) if others else 0


def _several(caller: Caller, plan: Plan, seed: str) -> None:
    random = Random(seed)
    for _ in range(plan.each):
        caller.call(random)


async def _several_async(caller: Caller, plan: Plan, seed: str) -> None:
    random = Random(seed)
    for _ in range(plan.each):
        await caller.call_async(random)


@contextmanager
def fake_server() -> Iterator[str]:
    """Start a server in a process of its own; yield its URL."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.soak.wishes"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
        server.communicate()


def main() -> int:
    """Soak against the fake server, then against a real one if it is built; return 1 on any fault."""
    arguments = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    arguments.add_argument("--calls", type=int, default=200_000)
    arguments.add_argument(
        "--real-calls", type=int, default=500, help="against a real server, if there is one"
    )
    arguments.add_argument("--threads", type=int, default=64)
    arguments.add_argument("--tasks", type=int, default=512)
    arguments.add_argument("--rounds", type=int, default=40)
    arguments.add_argument("--minutes", type=float, default=30, help="no new round after so many")
    arguments.add_argument("--seed", type=int, default=SystemRandom().randrange(2**32))
    given = arguments.parse_args()
    warnings.simplefilter("error")
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # it tells of each header that is cut off
    plan = Plan(given.calls, given.threads, given.tasks, given.rounds, given.minutes, given.seed)
    with fake_server() as base_url:
        faults = _told("a fake server", soak(plan, base_url, "llama3.2"))
    prefix = installed("ollama")
    if prefix is not None and given.real_calls:
        few = Plan(given.real_calls, 16, 32, 4, given.minutes, given.seed)
        with RealOllama(prefix) as server:
            faults += _told("a real server", soak(few, server.base_url, server.model, real=True))
    return 1 if faults else 0


def _told(where: str, soaked: Soaked) -> list[str]:
    faults = soaked.faults()
    print(f"soak against {where}: {soaked}")  # noqa: T201  # what it is run for
    for fault in faults:
        print(f"FAULT: {fault}")  # noqa: T201  # likewise
    return faults


if __name__ == "__main__":
    sys.exit(main())
