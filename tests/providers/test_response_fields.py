"""Every field that Ollama answers with arrives: on the chunk, the reply, the metrics or the raw object."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ollameter import Message, OllamaProvider, ToolCall
from ollameter.testing import Answer, FakeOllama, json_answer
from tests.providers.calls import Ran, both_sides, run, streams

AT = "2026-01-02T03:04:05.123456789Z"
HEAD: dict[str, Any] = {
    "model": "llama3.2:latest", "created_at": AT, "remote_model": "llama3.2", "remote_host": "http://far",
}  # fmt: skip
NUMBERS = {
    "total_duration": 9_000_000_000, "load_duration": 1_000_000, "prompt_eval_count": 26,
    "prompt_eval_cached_count": 0, "prompt_eval_duration": 2_000_000_000, "eval_count": 4,
    "eval_duration": 3_000_000_000,
}  # fmt: skip
TAIL = {
    "done": True, "done_reason": "length", **NUMBERS, "peak_memory": 5, "_debug_info": {"rendered": "x"},
}  # fmt: skip
PROBABILITIES = [
    {"token": "a", "logprob": -0.1, "bytes": [97], "top_logprobs": [{"token": "b", "logprob": -2.0}]},
    {"token": "c", "logprob": -0.2, "bytes": [99]},
]
CALLS = [
    {"id": "call_1", "function": {"index": 0, "name": "look", "arguments": {"at": {"x": 1}}}},
    {"function": {"index": 1, "name": "wait", "arguments": {}}},
]
CALLED = (ToolCall("look", {"at": {"x": 1}}, "call_1"), ToolCall("wait", {}))


def said(kind: str, text: str, **more: Any) -> dict[str, Any]:
    """Return a text, and what comes beside it, where the endpoint has it."""
    if "generate" in kind:
        return {"response": text, **more}
    return {"message": {"role": "assistant", "content": text, **more}}


def script(fake: FakeOllama, kind: str) -> None:
    """Have the server say everything that it can say."""
    own = {"context": [1, 2, 3]} if "generate" in kind else {}
    path = "/api/generate" if "generate" in kind else "/api/chat"
    if kind.startswith("stream"):
        lines = [
            {**HEAD, **said(kind, "", thinking="Hm, "), "done": False},
            {**HEAD, **said(kind, "", thinking="yes."), "done": False, "logprobs": PROBABILITIES[:1]},
            {**HEAD, **said(kind, "a"), "done": False, "logprobs": PROBABILITIES[1:]},
            {**HEAD, **said(kind, "", tool_calls=CALLS[:1]), "done": False},
            # The done line may carry the last of everything.
            {**HEAD, **said(kind, "c", tool_calls=CALLS[1:], thinking=" So."), **own, **TAIL},
        ]
        fake.script(path, Answer(lines=lines))
    else:
        whole = said(kind, "ac", thinking="Hm, yes. So.", tool_calls=CALLS)
        fake.script(path, json_answer({**HEAD, **whole, "logprobs": PROBABILITIES, **own, **TAIL}))


@pytest.fixture
def llm(fake: FakeOllama) -> Iterator[OllamaProvider]:
    """A provider of the fake server."""
    with OllamaProvider(fake.base_url, model="llama3.2", host_monitor=False) as provider:
        yield provider


def ran(llm: OllamaProvider, fake: FakeOllama, side: str, kind: str) -> Ran:
    """Make the call and return all that came of it."""
    script(fake, kind)
    outcome = run(llm, side, kind)
    assert outcome.error is None
    return outcome


every_kind = pytest.mark.parametrize("kind", ["chat", "stream", "generate", "stream_generate"])


@both_sides
@every_kind
def test_everything_that_is_said_is_on_the_reply(
    kind: str, side: str, llm: OllamaProvider, fake: FakeOllama
) -> None:
    """Streamed or whole: text, thinking, tool calls, probabilities, the reason for the end."""
    reply = ran(llm, fake, side, kind).reply

    assert (reply.text, reply.thinking, reply.tool_calls) == ("ac", "Hm, yes. So.", CALLED)
    assert reply.message == Message(
        role="assistant", content="ac", thinking="Hm, yes. So.", tool_calls=CALLED
    )
    assert (reply.logprobs, reply.finish_reason) == (PROBABILITIES, "length")


@both_sides
@every_kind
def test_every_number_is_on_the_metrics(
    kind: str, side: str, llm: OllamaProvider, fake: FakeOllama
) -> None:
    """By Ollama's names; one that is not known is kept beside them."""
    metrics = ran(llm, fake, side, kind).metrics

    assert metrics is not None
    assert {name: getattr(metrics, name) for name in NUMBERS} == NUMBERS
    assert metrics.extra == {"peak_memory": 5}
    assert (metrics.model, metrics.response_model) == ("llama3.2", "llama3.2:latest")


@both_sides
@every_kind
def test_the_raw_object_has_the_rest(kind: str, side: str, llm: OllamaProvider, fake: FakeOllama) -> None:
    """Remote model and host, debugging, context: whatever is on the last object, as it came."""
    raw = ran(llm, fake, side, kind).reply.raw

    own = {"context": [1, 2, 3]} if "generate" in kind else {}
    assert {name: raw[name] for name in {**HEAD, **TAIL, **own}} == {**HEAD, **TAIL, **own}


@both_sides
@streams
def test_each_chunk_has_what_its_line_had(
    kind: str, side: str, llm: OllamaProvider, fake: FakeOllama
) -> None:
    """Nothing is held back, merged or lost."""
    chunks = ran(llm, fake, side, kind).chunks

    assert [(c.text, c.thinking, c.tool_calls, c.logprobs, c.final) for c in chunks] == [
        ("", "Hm, ", (), None, False),
        ("", "yes.", (), PROBABILITIES[:1], False),
        ("a", "", (), PROBABILITIES[1:], False),
        ("", "", CALLED[:1], None, False),
        ("c", " So.", CALLED[1:], None, True),
    ]
    assert {c.created_at for c in chunks} == {AT}


@both_sides
def test_a_reply_goes_back_into_the_conversation_as_it_came(
    side: str, llm: OllamaProvider, fake: FakeOllama
) -> None:
    """Thinking and tool calls included, of a stream as of a whole answer."""
    wired = {
        "role": "assistant", "content": "ac", "thinking": "Hm, yes. So.",
        "tool_calls": [
            {"id": "call_1", "function": {"name": "look", "arguments": {"at": {"x": 1}}}},
            {"function": {"name": "wait", "arguments": {}}},
        ],
    }  # fmt: skip
    for kind in ("chat", "stream"):
        message = ran(llm, fake, side, kind).reply.message
        llm.chat([{"role": "user", "content": "hi"}, message, {"role": "tool", "content": "1"}])
        assert fake.requests[-1].json["messages"][1] == wired


@both_sides
def test_a_drawing_arrives_with_its_progress(side: str, llm: OllamaProvider, fake: FakeOllama) -> None:
    """Lines without a text of their own: steps first, the picture on the last."""
    steps = [{**HEAD, "response": "", "completed": n, "total": 2, "done": False} for n in (1, 2)]
    fake.script("/api/generate", Answer(lines=[*steps, {**HEAD, "response": "", "image": "iVBO", **TAIL}]))
    outcome = run(llm, side, "stream_generate")

    drawn = [(c.completed, c.total, c.image) for c in outcome.chunks]
    assert drawn == [(1, 2, None), (2, 2, None), (None, None, "iVBO")]
    assert outcome.reply.raw["image"] == "iVBO"
