"""One call into one fault: everything that can be seen of it, from every side."""

from __future__ import annotations

import asyncio
import functools
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from ollameter import OllamaProvider
from ollameter.testing import CapturedTelemetry
from tests.faults.catalogue import FAULTS
from tests.faults.fault import Ending, Fault
from tests.faults.server import RawServer
from tests.providers.calls import Ran, run, run_async

SLACK_S = 0.5
"""What a call may take beyond the deadline that ends it."""


@dataclass(frozen=True)
class Observed:
    """What the caller, the telemetry, the server and the operating system saw of one call.

    - `agreed`: the span says what the metrics say, with one exception recorded if there was an error
    - `next_text`: what the provider's next call was answered
    - `descriptors_left`: files and sockets that are open after the provider was closed, over before
    """

    ending: Ending
    message: str
    spans: int
    points: int
    active: float
    agreed: bool
    took_s: float
    allowed_s: float
    next_text: str
    descriptors_left: int

    @property
    def in_time(self) -> bool:
        """Whether it came back no later than its deadline and the slack."""
        return self.took_s <= self.allowed_s


@functools.cache
def observed(name: str, side: str, kind: str) -> Observed:
    """Make one call into a fault; one that came back late is made again, for a machine may stall."""
    seen = _observe(FAULTS[name], side, kind)
    return seen if seen.in_time else _observe(FAULTS[name], side, kind)


def _observe(fault: Fault, side: str, kind: str) -> Observed:
    descriptors = _descriptors()
    with RawServer() as server, CapturedTelemetry(exemplars=False) as captured:
        llm = OllamaProvider(
            server.base_url,
            model="m",
            timeout=fault.limits,
            host_monitor=False,
            watch_models=False,
            trust_env=False,
            **fault.settings,
            **captured.providers,
        )
        call = _Watched(fault, server, captured)
        if side == "sync":
            with llm:
                ran, following = call.sync(llm, kind)
        else:
            ran, following = asyncio.run(call.asynchronous(llm, kind))
        ending = _ending(ran, server.fates(), fault.ending(side, kind).within)
        metrics = ran.metrics
        agreed = metrics is not None and call.exported == (
            metrics.outcome,
            metrics.error_type,
            "UNSET" if ran.error is None else "ERROR",
            0 if ran.error is None else 1,
        )
    allowed_s = SLACK_S
    if fault.ending(side, kind).within is not None:
        allowed_s += getattr(fault.limits, fault.ending(side, kind).within or "")
    return Observed(
        ending=ending,
        message=str(ran.error or ""),
        spans=call.spans,
        points=call.points,
        active=call.active,
        agreed=agreed,
        took_s=call.took_s,
        allowed_s=allowed_s,
        next_text=following.text,
        descriptors_left=_left_over(descriptors),
    )


class _Watched:
    """The call, between a good one before it (when the fault says so) and a good one after it."""

    def __init__(self, fault: Fault, server: RawServer, captured: CapturedTelemetry) -> None:
        self._fault = fault
        self._server = server
        self._captured = captured
        self.took_s = 0.0

    def sync(self, llm: OllamaProvider, kind: str) -> tuple[Ran, Ran]:
        """Run it blocking."""
        if self._fault.second:
            self._prepare(run(llm, "sync", kind))
        self._begin()
        ran = run(llm, "sync", kind)
        self._end()
        return ran, run(llm, "sync", kind)

    async def asynchronous(self, llm: OllamaProvider, kind: str) -> tuple[Ran, Ran]:
        """Run it awaiting, all in one loop."""
        async with llm:
            if self._fault.second:
                self._prepare(await run_async(llm, kind))
            await asyncio.to_thread(self._begin)
            ran = await run_async(llm, kind)
            await asyncio.to_thread(self._end)
            return ran, await run_async(llm, kind)

    def _prepare(self, first: Ran) -> None:
        assert first.text == "Hello!", first.error

    def _begin(self) -> None:
        self._server.serve, self._server.greet = self._fault.serve, self._fault.greet
        if self._fault.before is not None:
            self._fault.before(self._server)
        self._before = self._counted()
        self._begun = time.monotonic()

    def _end(self) -> None:
        self.took_s = time.monotonic() - self._begun
        spans, points, self.active = self._counted()
        self.spans, self.points = spans - self._before[0], points - self._before[1]
        span = self._captured.spans[-1]
        outcome, error_type = (span.attributes.get(name) for name in ("ollameter.outcome", "error.type"))
        recorded = [name for name, _ in span.events].count("exception")
        self.exported = (outcome, error_type, span.status, recorded)
        self._server.recover()

    def _counted(self) -> tuple[int, int, float]:
        durations = self._captured.points("gen_ai.client.operation.duration")
        active = self._captured.points("ollama.client.active_requests")
        return (
            len(self._captured.spans),
            sum(point.count or 0 for point in durations),
            sum(point.value or 0 for point in active),
        )


def _ending(ran: Ran, connection: str, within: str | None) -> Ending:
    metrics = ran.metrics
    return Ending(
        error=None if ran.error is None else type(ran.error).__name__,
        error_type=getattr(ran.error, "error_type", None),
        outcome="none" if metrics is None else metrics.outcome,
        text=ran.text if ran.error is None else getattr(ran.error, "partial_text", ran.text),
        attempts=0 if metrics is None else metrics.attempts,
        connection=connection,
        within=within,
    )


def _descriptors() -> int:
    return len(os.listdir("/dev/fd"))


def _left_over(before: int) -> int:
    """Return how many descriptors are more than before, once those that are being closed have been."""
    _poll(lambda: _descriptors() <= before)
    return max(0, _descriptors() - before)  # what an earlier test had open may be closed meanwhile


def _poll(condition: Callable[[], bool], timeout_s: float = 2.0) -> None:
    ends_at = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < ends_at:
        threading.Event().wait(0.002)
