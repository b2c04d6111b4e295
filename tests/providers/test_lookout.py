"""The background as callers meet it: there while a provider is used, unseen, and gone with it."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import aiohttp
import pytest
import requests

from ollameter import OllamaProvider
from ollameter.metrics import ModelFacts
from ollameter.providers.lookout import Lookout
from ollameter.testing import Answer, CapturedTelemetry, FakeOllama, json_answer, whole_chat
from tests.providers.calls import MESSAGES, both_sides, run
from tests.providers.test_processes import run_script

KNOWN = ModelFacts(
    digest="a80c4f17acd55265feec403c7aef86be0c25983ab279d83f3bcd3abbcb5b8b72",
    quantization="Q4_K_M", parameter_size="3.2B", family="llama", context_length=4096, vram_share=0.0,
)  # fmt: skip


def until(condition: Callable[[], object], within_s: float = 10.0) -> None:
    """Wait for a condition, not longer than a bound."""
    deadline_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline_s, "it did not come true in time"
        time.sleep(0.005)


def is_there() -> bool:
    """Return whether the background's thread runs."""
    return any(thread.name == "ollameter-models" for thread in threading.enumerate())


@pytest.fixture
def llm(fake: FakeOllama, captured: CapturedTelemetry) -> Iterator[OllamaProvider]:
    """A provider that watches, as they do by default."""
    with OllamaProvider(fake.base_url, model="llama3.2", **captured.providers) as provider:
        yield provider


@both_sides
def test_the_call_after_a_look_knows_its_model(side: str, fake: FakeOllama, llm: OllamaProvider) -> None:
    """On metrics and span alike; the fake server shows the caller's requests apart."""
    first = run(llm, side, "chat").metrics
    until(lambda: fake.background_requests and llm._models.latest)
    second = run(llm, side, "chat").metrics

    assert first is not None
    assert second is not None
    assert (first.model_info, first.cold_start, first.prompt_truncated) == (None, False, False)
    assert (second.model_info, second.cold_start, second.prompt_truncated) == (KNOWN, False, False)
    assert [request.path for request in fake.requests] == ["/api/chat"] * 2
    assert {request.path for request in fake.background_requests} == {"/api/ps"}


def test_the_span_tells_what_the_metrics_do(
    fake: FakeOllama, llm: OllamaProvider, captured: CapturedTelemetry
) -> None:
    """Facts and cold start as attributes, and the cold start counted."""
    llm.running()
    fake.script("/api/chat", whole_chat("Hi", load_duration=400_000_000, total_duration=500_000_000))
    cold = llm.chat(MESSAGES).metrics
    llm.generate("Why?")
    llm.running()
    warm = llm.chat(MESSAGES).metrics

    first, second = (span.attributes for span in captured.spans if span.name.startswith("chat"))
    assert (cold.cold_start, first["ollama.cold_start"]) == (True, True)
    assert (warm.cold_start, second["ollama.cold_start"]) == (False, False)
    assert second["ollama.model.digest"] == KNOWN.digest
    assert second["ollama.model.context_length"] == 4096
    assert second["ollama.model.vram_share"] == 0.0
    assert second["ollama.context.utilization"] == 14 / 4096
    assert "ollama.prompt.truncation_suspected" not in second
    assert [point.value for point in captured.metric("ollama.client.cold_starts").points] == [1]


def test_a_suspected_cut_is_on_the_span(
    fake: FakeOllama, llm: OllamaProvider, captured: CapturedTelemetry, caplog: pytest.LogCaptureFixture
) -> None:
    """And said once in the log."""
    for _ in range(2):
        fake.script("/api/chat", whole_chat("Hi", prompt_eval_count=1026))
        reply = llm.chat([{"role": "user", "content": "many words " * 2000}])

    assert reply.metrics.prompt_truncated is True
    assert captured.spans[0].attributes["ollama.prompt.truncation_suspected"] is True
    assert [record.levelname for record in caplog.records if record.name == "ollameter"] == ["WARNING"]


def test_what_callers_ask_themselves_is_used(fake: FakeOllama) -> None:
    """`running()` and `models()`, though nothing is asked in the background."""
    with OllamaProvider(fake.base_url, model="llama3.2", watch_models=False) as llm:
        llm.models()
        listed = llm.chat(MESSAGES).metrics.model_info
        asyncio.run(llm.running_async())
        running = llm.chat(MESSAGES).metrics.model_info

    assert listed is not None
    assert (listed.digest, listed.context_length) == (KNOWN.digest, None)
    assert running == KNOWN


def test_no_look_is_traced(fake: FakeOllama, captured: CapturedTelemetry) -> None:
    """Neither by us nor by an instrumented requests, and no trace is sent along."""
    from opentelemetry.instrumentation.requests import RequestsInstrumentor

    instrumentor = RequestsInstrumentor()
    instrumentor.instrument(tracer_provider=captured.providers["tracer_provider"])
    try:
        with OllamaProvider(fake.base_url, model="llama3.2", **captured.providers) as llm:
            with captured.providers["tracer_provider"].get_tracer("app").start_as_current_span("work"):
                llm.chat(MESSAGES)
            until(lambda: fake.background_requests and llm._models.latest)
    finally:
        instrumentor.uninstrument()

    assert sorted(span.name for span in captured.spans) == ["POST", "chat llama3.2", "work"]
    assert "traceparent" not in fake.background_requests[0].headers


@pytest.mark.parametrize("kind", ["off", "session", "async_session"])
async def test_whoever_does_not_want_it_is_not_watched(kind: str, fake: FakeOllama) -> None:
    """By the switch, or with a session whose owner decides what goes over it."""
    async with aiohttp.ClientSession() as theirs:
        wishes: dict[str, dict[str, Any]] = {
            "off": {"watch_models": False},
            "session": {"session": requests.Session()},
            "async_session": {"async_session": theirs},
        }
        async with OllamaProvider(fake.base_url, model="llama3.2", **wishes[kind]) as llm:
            await llm.chat_async(MESSAGES)

            assert llm._models._glance is None
            until(lambda: not is_there(), 5.0)  # one that a test before has left goes by itself


def test_ollama_com_is_not_watched() -> None:
    """It has no memory of its callers to show."""
    with OllamaProvider("https://ollama.com", model="m") as llm:
        assert llm._models._glance is None


def test_the_thread_goes_with_the_last_provider(fake: FakeOllama) -> None:
    """Though a look is under way that nobody answers: it is cut, and close() does not wait for it."""
    hold = threading.Event()
    fake.script("/api/ps", Answer(body=b"{}", hold=hold))
    llm = OllamaProvider(fake.base_url, model="llama3.2")
    llm.chat(MESSAGES)
    until(lambda: fake.background_requests)
    begun_s = time.monotonic()

    llm.close()

    assert time.monotonic() - begun_s < 0.5
    until(lambda: not is_there(), 1.0)
    hold.set()
    assert fake.wait_until_closed()


def test_a_look_that_hangs_holds_no_call_up(fake: FakeOllama, llm: OllamaProvider) -> None:
    """Calls go on beside it, and after two seconds it is given up."""
    fake.script("/api/ps", Answer(body=b"{}", cut="hang"))
    llm.chat(MESSAGES)
    until(lambda: fake.background_requests)
    begun_s = time.monotonic()

    for _ in range(3):
        llm.chat(MESSAGES)

    assert time.monotonic() - begun_s < 1.0
    assert fake.wait_until_left()
    assert llm.chat(MESSAGES).text == "Hello!"


@pytest.mark.parametrize(
    "answer",
    [
        json_answer({"error": "no"}, 500),
        json_answer({"models": 7}),
        json_answer({"models": [7]}),
        json_answer({}),
        Answer(body=b"<html>", framing="length"),
        Answer(body=b"x" * (5 << 20), framing="length"),
        Answer(body=b"", cut="reset", cut_after_bytes=0),
        json_answer({"models": [{"name": "x", "size": "big", "digest": [], "context_length": -1}]}),
    ],
)
def test_nonsense_costs_nobody_anything(
    answer: Answer, fake: FakeOllama, llm: OllamaProvider, caplog: pytest.LogCaptureFixture
) -> None:
    """No error, no warning, no fact; calls go on."""
    fake.script("/api/ps", answer)
    llm.chat(MESSAGES)
    until(lambda: fake.background_requests)
    until(lambda: llm._models.due_s > time.monotonic() + 1.0)

    assert llm.chat(MESSAGES).metrics.model_info is None
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


def test_a_dropped_provider_is_not_kept(fake: FakeOllama) -> None:
    """It was never closed, and never asked."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kept = weakref.ref(OllamaProvider(fake.base_url, model="llama3.2"))
        gc.collect()

    assert kept() is None
    assert fake.background_requests == []


def test_a_dropped_provider_that_was_looked_at_is_not_kept(fake: FakeOllama) -> None:
    """The thread holds it while it looks, and not while it waits."""
    llm = [OllamaProvider(fake.base_url, model="llama3.2")]
    until(lambda: fake.background_requests and llm[0]._models.due_s > time.monotonic() + 1.0)
    kept = weakref.ref(llm[0])
    llm.clear()
    gc.collect()

    assert kept() is None


def test_ten_thousand_providers_leave_no_thread() -> None:
    """Made and closed one after the other; none of them ever asked."""
    before = {thread.name for thread in threading.enumerate()}
    with FakeOllama() as fake:
        for _ in range(10_000):
            OllamaProvider(fake.base_url, host_monitor=False).close()
        until(lambda: not is_there())

        assert fake.background_requests == []
    assert {thread.name for thread in threading.enumerate()} <= before


def test_a_forked_child_looks_for_itself() -> None:
    """With a thread and connections of its own, while the parent goes on looking."""
    script = """
        import os, sys, time, warnings
        from ollameter import OllamaProvider
        from ollameter.testing import FakeOllama
        MESSAGES = [{"role": "user", "content": "x"}]
        def knows(llm):
            deadline = time.monotonic() + 20
            while getattr(llm.chat(MESSAGES).metrics.model_info, "context_length", None) is None:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        with FakeOllama() as fake, OllamaProvider(fake.base_url, model="llama3.2") as llm:
            llm.chat(MESSAGES)
            while not fake.background_requests:
                time.sleep(0.01)
            knows(llm)
            asked = len(fake.background_requests)
            warnings.simplefilter("ignore")
            pid = os.fork()
            if pid == 0:
                llm._models.latest = None
                knows(llm)
                llm.close()
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
            assert len(fake.background_requests) > asked
            llm._models.latest = None
            knows(llm)
        print("both")
    """
    done = run_script(script)

    assert done.stdout == "both\n", done.stderr


def test_a_program_ends_while_it_is_looked_at(fake: FakeOllama) -> None:
    """The provider is never closed, the server does not answer; nothing is printed."""
    fake.script("/api/ps", Answer(body=b"{}", cut="hang"))
    script = """
        import sys, time
        from ollameter import OllamaProvider
        llm = OllamaProvider(sys.argv[1], model="llama3.2")
        llm.chat([{"role": "user", "content": "x"}])
        time.sleep(1.3)
    """
    begun_s = time.monotonic()
    done = run_script(script, fake.base_url)

    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)
    assert len(fake.background_requests) == 1
    assert time.monotonic() - begun_s < 20.0


class Failing:
    """A watch whose look breaks the rule that none raises."""

    def __init__(self) -> None:
        self.due_s = time.monotonic()
        self.looks = 0

    def look(self) -> None:
        """Raise, once."""
        self.looks += 1
        self.due_s = float("inf")
        if self.looks == 1:
            raise RuntimeError("bug")


def test_a_thread_that_died_is_started_again(caplog: pytest.LogCaptureFixture) -> None:
    """By the next notice; the log says why."""
    lookout, watch = Lookout(), Failing()
    lookout.notice(watch)
    until(lambda: "RuntimeError('bug')" in caplog.text)
    until(lambda: lookout._thread is None)

    watch.due_s = time.monotonic()
    lookout.notice(watch)

    until(lambda: watch.looks == 2)
    until(lambda: lookout._thread is None)


def test_without_another_thread_there_is_no_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """And no error either: facts are then unknown."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    lookout, watch = Lookout(), Failing()
    lookout.notice(watch)

    assert lookout._thread is None
    assert watch.looks == 0


class Overdue:
    """A watch that is always due, and counts."""

    def __init__(self) -> None:
        self.due_s = 0.0
        self.looks = 0

    def look(self) -> None:
        """Be due again at once, after all others."""
        self.looks += 1
        self.due_s = time.monotonic()


def test_many_watches_take_turns_and_keep_no_thread_busy() -> None:
    """At most twenty looks a second, whoever is longest overdue first."""
    lookout, watches = Lookout(), [Overdue() for _ in range(3)]
    begun_s = time.monotonic()
    for watch in watches:
        lookout.notice(watch)

    until(lambda: sum(watch.looks for watch in watches) >= 9)
    elapsed_s = time.monotonic() - begun_s
    looks = [watch.looks for watch in watches]

    assert max(looks) - min(looks) <= 1
    assert sum(looks) <= elapsed_s / 0.05 + 1
    for watch in watches:
        watch.due_s = float("inf")
    watches.clear()
    until(lambda: lookout._thread is None)
