"""The real Ollama does what the fields say: formats, thinking, probabilities, memory, tools, limits."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Literal

import pytest

from ollameter import Message, OllamaProvider, Reply, ResponseError, ToolCall
from tests.host.staged import until
from tests.stack.loopback import fetch_json
from tests.stack.servers import RealOllama

QUESTION = [{"role": "user", "content": "Name a colour."}]
SHORT = {"num_predict": 8, "temperature": 0, "seed": 1}

both_sides = pytest.mark.parametrize("side", ["sync", "async"])

# The small model's own template knows no tools; this one shows what the server makes of them.
TOOL_TEMPLATE = """{{ range .Tools }}{{ .Function }}
{{ end }}{{ range .Messages }}<|im_start|>{{ .Role }}
{{ .Content }}{{ range .ToolCalls }}<tool_call>{"name": "{{ .Function.Name }}", "arguments": \
{{ .Function.Arguments }}}</tool_call>{{ end }}<|im_end|>
{{ end }}<|im_start|>assistant
"""


@dataclasses.dataclass
class Colour:
    """What is asked for."""

    name: Literal["red", "green", "blue"]
    warm: bool


def paint(colour: Literal["red", "green"], coats: int | None = None) -> str:
    """Paint something.

    :param coats: How often.
    """
    return f"{coats} coats of {colour}"


@pytest.fixture(scope="module")
def llm(real_ollama: RealOllama) -> Iterator[OllamaProvider]:
    """A provider of the real server."""
    with OllamaProvider(real_ollama.base_url, model=real_ollama.model) as provider:
        yield provider


def ask(llm: OllamaProvider, side: str, *given: Any, **fields: Any) -> Reply:
    """Chat on either side."""
    given = given or (QUESTION,)
    fields = {"options": SHORT, **fields}
    return llm.chat(*given, **fields) if side == "sync" else asyncio.run(llm.chat_async(*given, **fields))


@both_sides
def test_a_type_is_enforced_by_the_server(side: str, llm: OllamaProvider) -> None:
    """Even a very small model then answers in it."""
    reply = ask(llm, side, format=Colour, options={**SHORT, "num_predict": 60})

    assert isinstance(reply.parsed, Colour)
    assert reply.parsed.name in {"red", "green", "blue"}


@both_sides
def test_thinking_is_refused_in_the_servers_words(
    side: str, llm: OllamaProvider, real_ollama: RealOllama
) -> None:
    """The model cannot."""
    with pytest.raises(ResponseError) as caught:
        ask(llm, side, think=True)

    assert str(caught.value) == f'"{real_ollama.model}" does not support thinking'
    assert (caught.value.status_code, caught.value.error_type) == (400, "400")
    assert ask(llm, side, think=False).text


@both_sides
def test_probabilities_come_with_the_tokens(side: str, llm: OllamaProvider) -> None:
    """As many alternatives as asked for, one entry a token."""
    reply = ask(llm, side, logprobs=True, top_logprobs=2)

    assert reply.logprobs is not None
    assert "".join(entry["token"] for entry in reply.logprobs) == reply.text
    assert {len(entry["top_logprobs"]) for entry in reply.logprobs} == {2}
    assert ask(llm, side).logprobs is None


def test_the_probabilities_of_a_stream_ride_on_its_chunks(llm: OllamaProvider) -> None:
    """And are all on its reply."""
    with llm.stream(QUESTION, logprobs=True, options=SHORT) as stream:
        seen = [entry for chunk in stream for entry in chunk.logprobs or ()]

    assert len(seen) == 8
    assert seen == stream.reply.logprobs


def running(server: RealOllama) -> list[dict[str, Any]]:
    """Return the models in memory."""
    models: list[dict[str, Any]] = fetch_json(f"{server.base_url}/api/ps")["models"]
    return models


def stays_s(server: RealOllama, since_s: float) -> float:
    """Return for how long the model stays in memory, counted from a moment."""
    return datetime.fromisoformat(running(server)[0]["expires_at"]).timestamp() - since_s


@both_sides
@pytest.mark.parametrize(("keep_alive", "seconds"), [(7200, 7200), ("1h", 3600)])
def test_keep_alive_is_how_long_the_model_stays(
    side: str, llm: OllamaProvider, real_ollama: RealOllama, keep_alive: int | str, seconds: int
) -> None:
    """Seconds or a duration; the server takes note of it a moment after the answer."""
    metrics = ask(llm, side, keep_alive=keep_alive).metrics
    ended_s = metrics.started_at.timestamp() + metrics.duration_s

    until(lambda: stays_s(real_ollama, ended_s) == pytest.approx(seconds, abs=60))


def test_what_is_too_long_is_refused_on_request(llm: OllamaProvider) -> None:
    """With `truncate` and `shift` false, in the server's words."""
    long = [{"role": "user", "content": "word " * 3000}]
    with pytest.raises(ResponseError, match="exceeds the available context size") as caught:
        llm.chat(long, truncate=False, shift=False, options={**SHORT, "num_ctx": 512})

    assert caught.value.status_code == 400


def test_a_generation_is_shaped_by_its_own_fields(llm: OllamaProvider) -> None:
    """System, template, raw, and the context of an earlier one."""
    shapes: dict[str, Any] = {
        "plain": {}, "system": {"system": "You are a cat."}, "raw": {"raw": True},
        "template": {"template": "{{ .Prompt }}{{ .Prompt }}"},
    }  # fmt: skip
    count = {
        name: llm.generate("hi", options=SHORT, **fields).metrics.prompt_eval_count or 0
        for name, fields in shapes.items()
    }
    earlier = llm.generate("hi", options=SHORT).raw["context"]
    continued = llm.generate("and", context=earlier, options=SHORT).metrics.prompt_eval_count or 0

    assert count["raw"] < count["template"] < count["plain"] < count["system"]
    assert continued > len(earlier)


@both_sides
def test_what_a_model_cannot_do_is_refused_in_the_servers_words(side: str, llm: OllamaProvider) -> None:
    """Tools, images; each a named error with the server's status."""
    picture = {"role": "user", "content": "see", "images": [b"\x89PNG"]}
    with pytest.raises(ResponseError, match="does not support tools"):
        ask(llm, side, tools=[paint])
    with pytest.raises(ResponseError, match="does not support multimodal"):
        ask(llm, side, [picture])
    with pytest.raises(ResponseError, match="does not support insert"):
        llm.generate("a", suffix="b")


@pytest.fixture
def tooled(real_ollama: RealOllama) -> Iterator[str]:
    """The small model with a template that knows tools; deleted afterwards."""
    body = {"model": "tooled", "from": real_ollama.model, "template": TOOL_TEMPLATE, "stream": False}
    fetch_json(f"{real_ollama.base_url}/api/create", body)
    yield "tooled"
    fetch_json(f"{real_ollama.base_url}/api/delete", {"model": "tooled"}, method="DELETE")


@both_sides
def test_described_functions_and_their_results_reach_the_model(
    side: str, tooled: str, llm: OllamaProvider
) -> None:
    """The server takes the schema, the calls and the answers, and puts them into the prompt."""
    plain = ask(llm, side, QUESTION, tooled)
    described = ask(llm, side, QUESTION, tooled, tools=[paint])
    called = Message(role="assistant", tool_calls=[ToolCall("paint", {"colour": "red"}, "call_1")])
    answered = Message(role="tool", content="done", tool_name="paint", tool_call_id="call_1")
    gone_on = ask(llm, side, [*QUESTION, called, answered], tooled, tools=[paint])

    counts = [reply.metrics.prompt_eval_count or 0 for reply in (plain, described, gone_on)]
    assert counts[0] + 20 < counts[1] < counts[2] - 10


@both_sides
def test_a_run_with_tools_ends_when_the_model_calls_nothing(
    side: str, tooled: str, llm: OllamaProvider
) -> None:
    """A very small model answers in words; each round is a call with the server's numbers."""
    if side == "sync":
        reply = llm.run_tools(QUESTION, [paint], tooled, max_rounds=3, options=SHORT)
    else:
        reply = asyncio.run(llm.run_tools_async(QUESTION, [paint], tooled, max_rounds=3, options=SHORT))

    assert reply.text
    assert reply.messages[-1] == reply.message
    assert all(answer.metrics.eval_count for answer in reply.rounds)
