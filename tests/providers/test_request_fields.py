"""Every field that Ollama's endpoints take reaches the wire exactly, from every method on both sides."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ollameter import Message, OllamaProvider, ToolCall
from ollameter.testing import FakeOllama
from ollameter.wire.fields import OPTIONS, ChatFields, EmbedFields, GenerateFields

PNG = b"\x89PNG\r\n\x1a\nrest"
ENCODED = base64.b64encode(PNG).decode()
MESSAGES = [{"role": "user", "content": "hi"}]


def look(at: str) -> str:
    """Look at something."""
    return at


LOOK = {
    "type": "function",
    "function": {
        "name": "look",
        "description": "Look at something.",
        "parameters": {"type": "object", "properties": {"at": {"type": "string"}}, "required": ["at"]},
    },
}


@dataclasses.dataclass
class Answer:
    """What an answer is to be."""

    x: int


SCHEMA = {
    "title": "Answer", "description": "What an answer is to be.", "type": "object",
    "properties": {"x": {"type": "integer"}}, "required": ["x"],
}  # fmt: skip

# A field of the request, what the caller gives, and what is sent; `...`: exactly what was given.
BOTH: list[tuple[str, Any, Any]] = [
    ("format", "json", ...),
    ("format", SCHEMA, ...),
    ("format", Answer, SCHEMA),
    *(("think", value, ...) for value in (True, False, "low", "medium", "high", "max")),
    *(("keep_alive", value, ...) for value in (0, -1, 30, 1.5, "5m", "-1s", "1h30m", "0")),
    ("truncate", False, ...),
    ("shift", False, ...),
    ("logprobs", True, ...),
    ("top_logprobs", 0, ...),
    ("top_logprobs", 20, ...),
    ("extra", {"brand_new": {"a": [1]}}, ...),
]
CHAT: list[tuple[str, Any, Any]] = [*BOTH, ("tools", [LOOK, look], [LOOK, LOOK])]
GENERATE: list[tuple[str, Any, Any]] = [
    *BOTH,
    ("suffix", "after", ...),
    ("system", "be brief", ...),
    ("template", "{{ .Prompt }}", ...),
    ("context", [1, 2, 3], ...),
    ("raw", True, ...),
    ("images", [PNG, bytearray(PNG), memoryview(PNG), ENCODED], [ENCODED] * 4),
]
EMBED: list[tuple[str, Any, Any]] = [
    ("dimensions", 256, ...),
    *((name, given, wired) for name, given, wired in BOTH if name in {"keep_alive", "truncate", "extra"}),
]
MODEL_OPTIONS: dict[str, Any] = {
    "num_ctx": 4096, "num_batch": 512, "num_gpu": -1, "main_gpu": 0, "use_mmap": False, "num_thread": 2,
    "draft_num_predict": 4, "num_keep": 4, "seed": 1, "num_predict": -1, "top_k": 40, "top_p": 0.9,
    "min_p": 0.05, "typical_p": 1, "repeat_last_n": 64, "temperature": 0, "repeat_penalty": 1.1,
    "presence_penalty": 0.5, "frequency_penalty": 0.5, "stop": ["a", "\n"],
}  # fmt: skip
MESSAGE_FIELDS: list[tuple[Any, dict[str, Any]]] = [
    ({"role": "user", "content": "see", "images": [PNG]}, {"images": [ENCODED]}),
    (Message(role="user", content="see", images=[PNG]), {"images": [ENCODED]}),
    (Message(role="assistant", content="yes", thinking="hm"), {"thinking": "hm"}),
    (
        Message(role="assistant", tool_calls=[ToolCall("look", {"at": "x"}, "c1")]),
        {"tool_calls": [{"id": "c1", "function": {"name": "look", "arguments": {"at": "x"}}}]},
    ),
    (
        Message(role="tool", content="x", tool_name="look", tool_call_id="c1"),
        {"tool_name": "look", "tool_call_id": "c1"},
    ),
]

both_sides = pytest.mark.parametrize("side", ["sync", "async"])
streamed_or_not = pytest.mark.parametrize("stream", [False, True])


@pytest.fixture(scope="module")
def server() -> Iterator[FakeOllama]:
    """One fake server for the whole table."""
    with FakeOllama() as fake:
        yield fake


@pytest.fixture(scope="module")
def llm(server: FakeOllama) -> Iterator[OllamaProvider]:
    """One provider for the whole table."""
    with OllamaProvider(server.base_url, model="llama3.2", host_monitor=False) as provider:
        yield provider


def sent(
    llm: OllamaProvider, server: FakeOllama, side: str, method: str, *given: Any, **fields: Any
) -> Any:
    """Call a method on a side; return the body that it sent."""
    server.requests.clear()
    if side == "sync":
        answer = getattr(llm, method)(*given, **fields)
        if method.startswith("stream"):
            with answer:
                list(answer)
    else:
        asyncio.run(_call_async(llm, method, *given, **fields))
    assert len(server.requests) == 1
    return server.requests[0].json


async def _call_async(llm: OllamaProvider, method: str, *given: Any, **fields: Any) -> None:
    answer = getattr(llm, f"{method}_async")(*given, **fields)
    if not method.startswith("stream"):
        await answer
        return
    async with answer:
        async for _ in answer:
            pass


def expected(field: str, given: Any, wired: Any) -> dict[str, Any]:
    """Return the part of the body that a field becomes."""
    if field == "extra":
        return dict(given)
    return {field: given if wired is ... else wired}


@both_sides
@streamed_or_not
@pytest.mark.parametrize(("field", "given", "wired"), CHAT)
def test_a_field_of_a_chat_is_sent(
    field: str, given: Any, wired: Any, stream: bool, side: str, llm: OllamaProvider, server: FakeOllama
) -> None:
    """It, and nothing that was not said."""
    method = "stream" if stream else "chat"
    body = sent(llm, server, side, method, MESSAGES, **{field: given})

    assert body == {
        "model": "llama3.2", "messages": MESSAGES, "stream": stream, **expected(field, given, wired),
    }  # fmt: skip


@both_sides
@streamed_or_not
@pytest.mark.parametrize(("field", "given", "wired"), GENERATE)
def test_a_field_of_a_generation_is_sent(
    field: str, given: Any, wired: Any, stream: bool, side: str, llm: OllamaProvider, server: FakeOllama
) -> None:
    """It, and nothing that was not said."""
    method = "stream_generate" if stream else "generate"
    body = sent(llm, server, side, method, "why", **{field: given})

    assert body == {
        "model": "llama3.2", "prompt": "why", "stream": stream, **expected(field, given, wired),
    }  # fmt: skip


@both_sides
@pytest.mark.parametrize("asked", ["one", ["one", "two"]])
@pytest.mark.parametrize(("field", "given", "wired"), EMBED)
def test_a_field_of_an_embedding_is_sent(
    field: str, given: Any, wired: Any, asked: Any, side: str, llm: OllamaProvider, server: FakeOllama
) -> None:
    """It, and nothing that was not said; never streamed."""
    body = sent(llm, server, side, "embed", asked, **{field: given})

    assert body == {
        "model": "llama3.2", "input": asked, "stream": False, **expected(field, given, wired),
    }  # fmt: skip


@both_sides
@pytest.mark.parametrize("method", ["chat", "stream", "generate", "stream_generate", "embed"])
def test_every_option_is_sent_by_its_name(
    method: str, side: str, llm: OllamaProvider, server: FakeOllama
) -> None:
    """Those that reload the model and those that do not, and one that came through `extra`."""
    asked: Any = MESSAGES if method in {"chat", "stream"} else "why"
    fields = {"options": MODEL_OPTIONS, "extra": {"options": {"brand_new": True}}}
    body = sent(llm, server, side, method, asked, **fields)

    assert body["options"] == {**MODEL_OPTIONS, "brand_new": True}


@both_sides
@streamed_or_not
@pytest.mark.parametrize(("message", "wired"), MESSAGE_FIELDS)
def test_a_field_of_a_message_is_sent(
    message: Any, wired: dict[str, Any], stream: bool, side: str, llm: OllamaProvider, server: FakeOllama
) -> None:
    """Of a dict or a `Message`; what is None is not sent."""
    body = sent(llm, server, side, "stream" if stream else "chat", [message])
    plain = message if isinstance(message, dict) else {"role": message.role, "content": message.content}

    assert body["messages"] == [{**plain, **wired}]


@both_sides
@pytest.mark.parametrize("method", ["chat", "stream", "generate", "stream_generate"])
def test_a_model_is_echoed_exactly_as_it_was_given(
    method: str, side: str, llm: OllamaProvider, server: FakeOllama
) -> None:
    """The call's own instead of the provider's, tag and all."""
    asked: Any = "why" if "generate" in method else MESSAGES

    assert sent(llm, server, side, method, asked, "llama3.2:latest")["model"] == "llama3.2:latest"


def test_an_image_may_be_a_file_and_a_text_is_never_one(
    llm: OllamaProvider, server: FakeOllama, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though a file of that name be there: a text is base64."""
    (tmp_path / "abcd").write_bytes(PNG)
    monkeypatch.chdir(tmp_path)
    body = sent(llm, server, "sync", "generate", "see", images=[Path("abcd"), "abcd"])

    assert body["images"] == [ENCODED, "abcd"]


def test_the_tables_leave_no_field_out() -> None:
    """What the methods take is what is tested here."""
    assert {field for field, *_ in CHAT} | {"options"} == {*ChatFields.__annotations__}
    assert {field for field, *_ in GENERATE} | {"options"} == {*GenerateFields.__annotations__}
    assert {field for field, *_ in EMBED} | {"options"} == {*EmbedFields.__annotations__}
    retired = {"mirostat", "mirostat_tau", "mirostat_eta", "tfs_z", "use_mlock", "low_vram", "numa",
               "penalize_newline"}  # fmt: skip
    assert {*MODEL_OPTIONS} == {*OPTIONS} - retired
