"""`run_tools`: chats in which the model calls functions, bounded, each call seen and measured."""

from __future__ import annotations

import asyncio
import copy
import logging
import pickle
from typing import Any

import msgspec
import pytest

import ollameter
from ollameter import (
    InvalidRequest,
    Message,
    OllamaProvider,
    ResponseError,
    ToolCall,
    ToolsReply,
    TooManyRounds,
)
from ollameter.testing import Answer, CapturedTelemetry, FakeOllama, error_answer, whole_chat
from tests.providers.calls import MESSAGES, both_sides


def temperature(city: str, days: int = 1) -> float:
    """Tell the temperature."""
    return len(city) + days / 10


def breaks(why: str) -> str:
    """Never succeed."""
    raise LookupError(f"no {why}")


def calls(*wanted: dict[str, Any], **numbers: Any) -> Answer:
    """Return an answer that wants functions called."""
    return whole_chat("", message={"tool_calls": list(wanted), "thinking": "Hm."}, **numbers)


def call(name: str, arguments: dict[str, Any], id: str | None = None) -> dict[str, Any]:  # noqa: A002  # Ollama's name
    """Return one call as Ollama sends it."""
    function = {"index": 0, "name": name, "arguments": arguments}
    return {"function": function} | ({} if id is None else {"id": id})


@pytest.fixture
def llm(fake: FakeOllama, captured: CapturedTelemetry) -> Any:
    """A provider of the fake server, observed."""
    with OllamaProvider(fake.base_url, model="llama3.2", **captured.providers) as provider:
        yield provider


def run(llm: OllamaProvider, side: str, *given: Any, **fields: Any) -> ToolsReply:
    """Run tools on either side."""
    if side == "sync":
        return llm.run_tools(*given, **fields)
    return asyncio.run(llm.run_tools_async(*given, **fields))


@both_sides
def test_the_model_is_told_what_its_calls_returned(
    side: str, llm: OllamaProvider, fake: FakeOllama
) -> None:
    """In order, with the names and ids of the calls, until it answers."""
    first = [
        call("temperature", {"city": "Rome"}, "c1"),
        call("temperature", {"city": "Oslo", "days": "2"}),
    ]
    fake.script("/api/chat", calls(*first, eval_count=7), whole_chat("4.1 and 4.2", eval_count=9))
    reply = run(llm, side, MESSAGES, [temperature], think=False, options={"seed": 1})

    assistant = {"role": "assistant", "content": "", "thinking": "Hm.", "tool_calls": [
        {"id": "c1", "function": {"name": "temperature", "arguments": {"city": "Rome"}}},
        {"function": {"name": "temperature", "arguments": {"city": "Oslo", "days": "2"}}},
    ]}  # fmt: skip
    sent = [request.json for request in fake.requests]
    assert [body["messages"] for body in sent] == [
        MESSAGES,
        [
            *MESSAGES,
            assistant,
            {"role": "tool", "content": "4.1", "tool_name": "temperature", "tool_call_id": "c1"},
            {"role": "tool", "content": "4.2", "tool_name": "temperature"},
        ],
    ]
    assert [(b["think"], b["options"], b["tools"][0]["function"]["name"]) for b in sent] == [
        (False, {"seed": 1}, "temperature")
    ] * 2
    text, metrics = reply
    assert (text, metrics.eval_count, reply.finish_reason) == ("4.1 and 4.2", 9, "stop")


@both_sides
def test_the_conversation_and_every_rounds_reply_are_returned(
    side: str, llm: OllamaProvider, fake: FakeOllama
) -> None:
    """Ready to be continued, with metrics for each call; the caller's own list is not touched."""
    fake.script("/api/chat", calls(call("temperature", {"city": "Rome"}), eval_count=7), whole_chat("4.1"))
    asked = list(MESSAGES)
    reply = run(llm, side, asked, [temperature])

    assert isinstance(reply, ollameter.Reply)
    assert asked == MESSAGES
    assert [r.metrics.eval_count for r in reply.rounds] == [7, 3]
    assert reply.metrics is reply.rounds[1].metrics
    assert reply.messages == (
        *MESSAGES,
        reply.rounds[0].message,
        Message(role="tool", content="4.1", tool_name="temperature"),
        reply.message,
    )
    run(llm, side, [*reply.messages, {"role": "user", "content": "Thanks."}], [temperature])
    assert len(fake.requests[2].json["messages"]) == 5


@both_sides
def test_each_chat_has_a_span_and_the_run_has_none(
    side: str, llm: OllamaProvider, fake: FakeOllama, captured: CapturedTelemetry
) -> None:
    """Side by side, below whatever is current."""
    fake.script("/api/chat", calls(call("temperature", {"city": "Rome"})), whole_chat("4.1"))
    tracer = captured.providers["tracer_provider"].get_tracer("test")
    with tracer.start_as_current_span("outer"):
        run(llm, side, MESSAGES, [temperature])

    *chats, outer = captured.spans
    assert [span.name for span in captured.spans] == ["chat llama3.2", "chat llama3.2", "outer"]
    assert [span.parent_span_id for span in chats] == [outer.span_id] * 2


@both_sides
def test_what_goes_wrong_with_a_call_is_told_to_the_model(
    side: str, llm: OllamaProvider, fake: FakeOllama, caplog: pytest.LogCaptureFixture
) -> None:
    """So that it can do better: a function that raises, an unknown name, unfit arguments."""
    wanted = [call("breaks", {"why": "luck"}), call("weather", {}), call("breaks", {"why": 3})]
    fake.script("/api/chat", calls(*wanted), whole_chat("Sorry."))
    with caplog.at_level(logging.INFO, "ollameter.tools"):
        reply = run(llm, side, MESSAGES, [temperature, breaks])

    assert [m["content"] for m in fake.requests[1].json["messages"][2:]] == [
        "error: LookupError: no luck",
        "error: there is no tool 'weather', only ['temperature', 'breaks']",
        "error: the arguments do not fit: Expected `str`, got `int` - at `$.why`",
    ]
    assert reply.text == "Sorry."
    assert [(r.levelname, r.exc_info is not None) for r in caplog.records] == [
        ("WARNING", True), ("INFO", False), ("INFO", False),
    ]  # fmt: skip


@both_sides
def test_the_rounds_are_bounded_and_nothing_is_lost(
    side: str, llm: OllamaProvider, fake: FakeOllama
) -> None:
    """The error has the conversation, every reply and the last one's metrics."""
    made: list[str] = []

    def again(n: int) -> str:
        """Note it."""
        made.append(str(n))
        return "go on"

    fake.script("/api/chat", *(calls(call("again", {"n": n}), eval_count=n) for n in (1, 2, 3)))
    with pytest.raises(TooManyRounds, match="max_rounds=2") as caught:
        run(llm, side, MESSAGES, [again], max_rounds=2)

    error = caught.value
    assert (len(fake.requests), made) == (2, ["1"])
    assert [reply.metrics.eval_count for reply in error.rounds] == [1, 2]
    assert error.metrics is error.rounds[1].metrics
    assert error.messages[:3] == (
        *MESSAGES,
        error.rounds[0].message,
        Message(role="tool", content="go on", tool_name="again"),
    )
    assert error.messages[3].tool_calls == (ToolCall("again", {"n": 2}),)
    twin = pickle.loads(pickle.dumps(error))  # noqa: S301  # our own
    assert (str(twin), twin.messages, twin.rounds) == (str(error), error.messages, error.rounds)


@both_sides
def test_a_failing_chat_carries_what_came_before(side: str, llm: OllamaProvider, fake: FakeOllama) -> None:
    """The rounds until then and the results of their calls."""
    fake.script("/api/chat", calls(call("temperature", {"city": "Rome"})), error_answer(500, "out of luck"))
    with pytest.raises(ResponseError, match="out of luck") as caught:
        run(llm, side, MESSAGES, [temperature])

    assert len(caught.value.rounds) == 1
    assert caught.value.messages[-1].content == "4.1"
    assert caught.value.metrics.outcome == "error"  # type: ignore[union-attr]  # it was sent


@both_sides
@pytest.mark.parametrize(
    ("given", "fields", "said"),
    [
        ((MESSAGES, [temperature]), {"max_rounds": 0}, "max_rounds: expected an integer of at least 1"),
        ((MESSAGES, [temperature]), {"max_rounds": True}, "max_rounds: expected an integer"),
        ((MESSAGES, [{"type": "function"}]), {}, r"tools\[0\]: a dict cannot be called"),
        ((MESSAGES, temperature), {}, "tools: expected a list"),
        (("hi", [temperature]), {}, "messages: expected a list"),
        (([], [temperature]), {}, "messages: empty"),
        ((MESSAGES, [temperature]), {"temperature": 1}, "temperature: is an option"),
    ],
)
def test_what_cannot_be_run_is_refused_by_name(
    side: str, given: Any, fields: dict[str, Any], said: str, llm: OllamaProvider, fake: FakeOllama
) -> None:
    """Before anything is sent, with nothing on the error."""
    with pytest.raises(InvalidRequest, match=said) as caught:
        run(llm, side, *given, **fields)

    assert (fake.requests, caught.value.messages, caught.value.rounds) == ([], (), ())


@both_sides
def test_a_model_that_calls_nothing_answers_in_one_round(
    side: str, llm: OllamaProvider, fake: FakeOllama
) -> None:
    """Its answer may be parsed as in any chat."""
    fake.script("/api/chat", whole_chat('{"x": 1}'))
    reply = run(llm, side, MESSAGES, [temperature], format="json", max_rounds=1)

    assert (reply.parsed, len(reply.rounds)) == ({"x": 1}, 1)


async def test_async_functions_are_awaited_beside_plain_ones(llm: OllamaProvider, fake: FakeOllama) -> None:
    """Whatever they are."""

    async def slow(city: str) -> str:
        """Tell something, later."""
        await asyncio.sleep(0)
        return f"{city} later"

    def deferred(city: str) -> Any:
        """Return something to await."""
        return slow(city)

    wanted = [call(name, {"city": "Rome"}) for name in ("slow", "deferred", "temperature")]
    fake.script("/api/chat", calls(*wanted), whole_chat("Done."))
    reply = await llm.run_tools_async(MESSAGES, [slow, deferred, temperature])

    told = [message.content for message in reply.messages[2:5]]
    assert told == ["Rome later", "Rome later", "4.1"]


async def test_a_cancelled_tool_ends_the_run(llm: OllamaProvider, fake: FakeOllama) -> None:
    """Cancellation is not told to the model."""
    started = asyncio.Event()

    async def endless() -> None:
        """Wait for ever."""
        started.set()
        await asyncio.Event().wait()

    fake.script("/api/chat", calls(call("endless", {})))
    task = asyncio.create_task(llm.run_tools_async(MESSAGES, [endless]))
    await started.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(fake.requests) == 1


def test_the_result_copies_and_pickles_whole(llm: OllamaProvider, fake: FakeOllama) -> None:
    """With everything on it."""
    fake.script("/api/chat", calls(call("temperature", {"city": "Rome"})), whole_chat("4.1"))
    reply = llm.run_tools(MESSAGES, [temperature])

    for twin in (copy.deepcopy(reply), pickle.loads(pickle.dumps(reply))):  # noqa: S301  # our own
        assert type(twin) is ToolsReply
        assert (twin, vars(twin)) == (reply, vars(reply))
    assert msgspec.to_builtins(reply.messages[1])["tool_calls"][0]["name"] == "temperature"
