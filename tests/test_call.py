"""A call ends exactly once, whatever happens in whatever order, and is measured on one clock."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ollameter import (
    Chunk,
    HostLoad,
    IncompleteResponse,
    InvalidRequest,
    PerformanceMetrics,
    ServerTimings,
    ToolCall,
)
from ollameter.call import OPEN, Call, end_open_calls
from ollameter.messages import Final, Request
from ollameter.testing import ManualClock

FINAL = Final(ServerTimings(eval_count=2, extra={"x": 1}), "m:latest", "stop", {"done": True})


class Observer:
    """Keeps what it is told of the end."""

    recording = False
    attached: Any = None
    inject: Any = None
    retried: Any = None

    def __init__(self) -> None:
        self.ends: list[tuple[PerformanceMetrics | None, BaseException | None, Any]] = []

    def end(
        self,
        metrics: PerformanceMetrics | None,
        error: BaseException | None,
        message: Any,
        arrivals: Any = (),
    ) -> None:
        """Note the end."""
        self.ends.append((metrics, error, message()))


class Window:
    """A machine that did one thing."""

    def load(self) -> HostLoad:
        """Return it."""
        return HostLoad(samples=1, interval_s=0.25)


def begin(*, stream: bool = True) -> tuple[Call, ManualClock, Observer, list[PerformanceMetrics]]:
    """Return a call that has begun, its clock, its observer and what it noted at its end."""
    clock, observer = ManualClock(), Observer()
    noted: list[PerformanceMetrics] = []
    request = Request(operation="chat", path="/api/chat", model="m", stream=stream, body={})
    call = Call(request, "h", 1, clock=clock, window=Window(), on_end=noted.append)
    call.observer = observer
    return call, clock, observer, noted


def test_a_stream_is_measured_from_its_call_to_its_done_line() -> None:
    """First chunk, first answer, chunks, duration; and everything the server said."""
    call, clock, observer, noted = begin()
    clock.advance(1)
    call.add(Chunk(thinking="hm"), None)
    clock.advance(2)
    call.add(Chunk("a", tool_calls=(ToolCall("f"),), logprobs=[{}]), None)
    clock.advance(3)
    call.add(Chunk("b", final=True), FINAL)

    metrics = call.metrics
    assert metrics is not None
    assert (metrics.time_to_first_chunk_s, metrics.time_to_first_answer_s) == (1, 3)
    assert (metrics.chunks, metrics.duration_s, metrics.outcome) == (3, 6, "completed")
    assert (metrics.eval_count, metrics.extra, metrics.response_model) == (2, {"x": 1}, "m:latest")
    assert metrics.host == HostLoad(samples=1, interval_s=0.25)
    assert metrics.started_at.timestamp() == 1_700_000_000
    assert noted == [metrics]
    assert [(end[0] is metrics, end[1]) for end in observer.ends] == [(True, None)]
    reply = call.reply()
    assert (reply.text, reply.thinking, reply.tool_calls, reply.logprobs) == (
        "ab", "hm", (ToolCall("f"),), [{}],
    )  # fmt: skip


def test_a_long_answer_is_whole_wherever_it_is_looked_at() -> None:
    """Its text is joined part by part: nothing is lost or said twice between two parts."""
    call, *_ = begin()
    said = ""
    for number in range(5_000):
        said += f"{number} "
        call.add(Chunk(f"{number} "), None)
        if number % 509 == 0 or 2_040 < number < 2_055:
            assert call.text == said
    call.add(Chunk("end", final=True), FINAL)

    assert call.reply().text == said + "end"


def test_a_whole_answer_has_no_chunks_to_time() -> None:
    """They are None, not 0 and 1."""
    call, _, _, _ = begin(stream=False)
    call.add(Chunk("a", final=True), FINAL)

    assert call.metrics is not None
    assert (call.metrics.chunks, call.metrics.time_to_first_chunk_s) == (None, None)
    assert call.metrics.time_to_first_answer_s is None


ENDINGS: dict[str, tuple[Any, str, str | None]] = {
    "abandon": (lambda call: call.abandon(), "abandoned", None),
    "generator": (lambda call: call.fail(GeneratorExit()), "abandoned", None),
    "cut": (lambda call: call.fail(IncompleteResponse("x")), "truncated", "stream_truncated"),
    "fault": (lambda call: call.fail(KeyError("x")), "error", "KeyError"),
    "interrupt": (lambda call: call.fail(KeyboardInterrupt()), "cancelled", "cancelled"),
    "done": (lambda call: call.add(Chunk(final=True), FINAL), "completed", None),
}


@given(st.lists(st.sampled_from(sorted(ENDINGS)), min_size=1, max_size=6), st.integers(0, 3))
def test_the_first_ending_counts_in_any_order_of_events(endings: list[str], chunks: int) -> None:
    """Later ones do nothing."""
    call, _, observer, noted = begin()
    for _ in range(chunks):
        call.add(Chunk("x"), None)
    for ending in endings:
        ENDINGS[ending][0](call)

    assert call.metrics is not None
    assert (call.metrics.outcome, call.metrics.error_type) == ENDINGS[endings[0]][1:]
    assert (len(observer.ends), len(noted)) == (1, 1)
    assert call not in OPEN


EVENTS: dict[str, Any] = {
    "text": lambda call, _: call.add(Chunk("x"), None),
    "thinking": lambda call, _: call.add(Chunk(thinking="hm"), None),
    "a tool": lambda call, _: call.add(Chunk(tool_calls=(ToolCall("f"),)), None),
    "time": lambda _, clock: clock.advance(1),
    "another attempt": lambda call, _: setattr(call, "attempts", call.attempts + 1),
    **{name: lambda call, _, end=end: end[0](call) for name, end in ENDINGS.items()},
}


@settings(max_examples=500)
@given(st.lists(st.sampled_from(sorted(EVENTS)), max_size=20), st.booleans())
def test_no_order_of_events_changes_what_a_call_has_ended_with(events: list[str], stream: bool) -> None:
    """There is nothing before the end, one object at the end, and the same one for ever after."""
    call, clock, observer, noted = begin(stream=stream)
    ended_with: dict[str, Any] | None = None
    ending = next((event for event in events if event in ENDINGS), None)
    for event in events:
        EVENTS[event](call, clock)
        if call.metrics is not None and ended_with is None:
            assert event == ending
            ended_with = call.metrics.to_dict()

    assert (len(observer.ends), len(noted)) == ((0, 0) if ending is None else (1, 1))
    assert call.ended is (ending is not None) is (call not in OPEN)
    if call.metrics is not None:
        assert (call.metrics.to_dict(), call.metrics.outcome) == (ended_with, ENDINGS[str(ending)][1])
        assert noted[0] is observer.ends[0][0] is call.metrics
        with pytest.raises(AttributeError):
            call.metrics.duration_s = 0  # type: ignore[misc]  # frozen, as is shown here
    call.disown()


def test_an_error_carries_what_was_there_only_if_it_ended_the_call() -> None:
    """A second error is not given the first one's metrics."""
    call, _, _, _ = begin()
    call.add(Chunk("part"), None)
    first, second = IncompleteResponse("1"), IncompleteResponse("2")

    assert (call.fail(first), call.fail(second)) == (True, False)
    assert (first.partial_text, first.metrics) == ("part", call.metrics)
    assert (second.partial_text, second.metrics) == ("", None)
    with pytest.raises(InvalidRequest, match="ended as truncated"):
        call.reply()


def test_many_threads_end_a_call_once() -> None:
    """And each finds its metrics there afterwards."""
    call, _, observer, _ = begin()
    barrier = threading.Barrier(8)
    seen = []

    def end() -> None:
        barrier.wait()
        call.abandon()
        seen.append(call.metrics)

    threads = [threading.Thread(target=end) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(observer.ends) == 1
    assert seen == [call.metrics] * 8


def test_what_is_open_at_the_end_is_abandoned_and_what_is_disowned_is_not() -> None:
    """The exit hook and the fork hook."""
    call, _, observer, _ = begin()
    other, _, others, _ = begin()
    other.disown()
    end_open_calls()
    other.abandon()

    assert call.metrics is not None
    assert call.metrics.outcome == "abandoned"
    assert (len(observer.ends), others.ends, other.metrics) == (1, [], None)
