"""Whatever breaks, or comes at the worst moment: the caller does not notice, and nothing hangs."""

from __future__ import annotations

import gc
import threading
from typing import Any

import pytest
from opentelemetry.sdk.metrics._internal import aggregation
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import Sampler, SamplingResult

from ollameter.telemetry.spans import Telemetry
from tests.telemetry.seen import ALWAYS, SERVER, START_NS, Seen, answer, begin, call, measured


def test_numbers_that_are_none_are_neither_attribute_nor_record(caplog: pytest.LogCaptureFixture) -> None:
    """NaN, infinity, True, text, more than 64 bits: left out without a word; the rest is there."""
    seen = Seen()
    hostile: dict[str, Any] = {
        "total_duration": True, "load_duration": "1", "eval_count": float("nan"), "chunks": 3,
        "prompt_eval_count": 1 << 70, "time_to_first_chunk_s": float("inf"), "duration_s": float("nan"),
        "attempts": None, "eval_duration": 10**400,
    }  # fmt: skip
    call(seen.telemetry(), **hostile)

    assert seen.attributes == {**ALWAYS, "ollameter.outcome": "completed", "ollama.stream.chunks": 3}
    assert seen.numbers() == {("ollama.client.active_requests", None): 0}
    assert caplog.text == ""


class _Broken(SpanProcessor):
    def on_end(self, span: Any) -> None:
        raise RuntimeError("processor")


class _BrokenSampler(Sampler):
    def should_sample(self, *_: Any, **__: Any) -> SamplingResult:
        raise RuntimeError("sampler")

    def get_description(self) -> str:
        return "broken"


def test_a_broken_sampler_costs_the_span_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    """The metrics are recorded, headers and attachment work, and it is said once."""
    seen = Seen(_BrokenSampler())
    telemetry = seen.telemetry()
    headers: dict[str, str] = {}
    for _ in range(2):
        begun = begin(telemetry)
        begun.inject(headers)
        with begun.attached():
            pass
        begun.end(measured(), None, answer)

    assert (seen.spans, headers, begun.recording) == ([], {}, False)
    assert seen.numbers()["gen_ai.client.operation.duration", None] == 2.0
    assert [r.levelname for r in caplog.records if "could not start a span" in r.message] == ["WARNING"]


def test_a_broken_processor_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """What an application plugs in may raise; the caller does not notice."""
    provider = TracerProvider()
    provider.add_span_processor(_Broken())
    call(Telemetry(tracer_provider=provider))

    assert "could not end a span" in caplog.text


def test_a_body_that_cannot_be_described_is_still_a_call(caplog: pytest.LogCaptureFixture) -> None:
    """The span has the server at least."""
    seen = Seen()
    call(seen.telemetry(), body={"options": {"stop": 5}})

    assert SERVER.items() <= seen.attributes.items()
    assert "could not describe a call" in caplog.text


def test_an_interruption_while_ending_still_ends_the_span(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C may come at any line; it passes unchanged."""
    seen = Seen()
    begun = begin(seen.telemetry())

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ollameter.telemetry.spans.end_attributes", interrupted)
    with pytest.raises(KeyboardInterrupt):
        begun.end(measured(), None, answer)

    assert seen.span.end_time == START_NS + 1_000_000_000


def test_a_finalizer_in_the_middle_of_the_sdk_does_not_wait_for_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A collection may end an abandoned call while this very thread holds a histogram's lock."""
    seen = Seen()
    telemetry = seen.telemetry()
    really, left = vars(aggregation)["bisect_left"], [begin(telemetry)]

    class Left:
        """A stream that nobody closed, kept alive by a cycle only."""

        def __init__(self) -> None:
            self.me, self.begun = self, left.pop()

        def __del__(self) -> None:
            self.begun.end(measured(outcome="abandoned"), None, answer)

    def collecting(*args: Any) -> Any:
        if left:
            Left()
            gc.collect()
        return really(*args)

    monkeypatch.setattr(aggregation, "bisect_left", collecting)
    caller = threading.Thread(target=call, args=(telemetry,), daemon=True)
    caller.start()
    caller.join(10)

    assert not caller.is_alive()
    ended = [thread for thread in threading.enumerate() if thread.name == "ollameter-end"]
    for thread in ended:
        thread.join(10)
    assert sorted(str(dict(s.attributes or {})["ollameter.outcome"]) for s in seen.spans) == [
        "abandoned",
        "completed",
    ]


def test_an_abandoned_call_that_the_end_of_the_program_catches_is_let_go(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """No thread can be started any more: said, and no more."""

    def refused(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread at interpreter shutdown")

    begun = begin(Seen().telemetry())
    monkeypatch.setattr("ollameter.telemetry.spans.within_the_sdk", lambda: True)
    monkeypatch.setattr(threading.Thread, "start", refused)
    begun.end(measured(outcome="abandoned"), None, answer)

    assert "could not end an abandoned call" in caplog.text
