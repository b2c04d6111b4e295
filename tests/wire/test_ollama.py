"""Bodies become chunks and a final object: tolerant of what does not matter, strict about text."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ollameter import (
    Chunk,
    IncompleteResponse,
    InvalidResponse,
    OllameterError,
    ResponseError,
    ToolCall,
)
from ollameter.errors import ConnectionFailed
from ollameter.messages import Request
from ollameter.testing import chat_lines, generate_lines
from ollameter.wire.ollama import ChunkReader


def reader(path: str = "/api/chat", *, stream: bool = True, max_line_bytes: int = 1 << 20) -> ChunkReader:
    """Return a reader of an answer to a small request."""
    request = Request(operation="chat", path=path, model="m", stream=stream, body={})
    return ChunkReader(request, max_line_bytes)


def body(lines: list[Any]) -> bytes:
    """Return lines as the bytes of a body."""
    return b"".join(msgspec.json.encode(line) + b"\n" for line in lines)


def read(data: bytes, path: str = "/api/chat", *, stream: bool = True) -> tuple[list[Chunk], Any]:
    """Read a whole body at once; return its chunks and the final object."""
    source = reader(path, stream=stream)
    chunks = [*source.feed(data), *source.finish()]
    return chunks, source.final


def test_a_chat_becomes_chunks_and_a_final_object() -> None:
    """Text, thinking, tool calls, and the numbers."""
    calls = [{"id": "c1", "function": {"index": 0, "name": "look", "arguments": {"at": 1}}}]
    chunks, final = read(body(chat_lines("Hel", "lo", thinking=["Hm"], tool_calls=calls)))

    assert [(c.text, c.thinking, c.final) for c in chunks] == [
        ("", "Hm", False), ("Hel", "", False), ("lo", "", False), ("", "", False), ("", "", True),
    ]  # fmt: skip
    assert chunks[3].tool_calls == (ToolCall("look", {"at": 1}, "c1"),)
    assert chunks[0].created_at == "2026-01-02T03:04:05.678901234Z"
    assert (final.response_model, final.finish_reason) == ("llama3.2", "stop")
    assert (final.timings.eval_count, final.timings.prompt_eval_cached_count) == (3, 1)
    assert final.raw["done"] is True


def test_a_generation_becomes_chunks() -> None:
    """Its text is `response`; thinking and tool calls stand beside it."""
    lines = generate_lines("Hel", "lo")
    lines[0]["thinking"] = "Hm"
    lines[2]["tool_calls"] = [{"function": {"name": "look", "arguments": '{"at": 1}'}}]
    chunks, final = read(body(lines), "/api/generate")

    assert [(c.text, c.thinking, c.final) for c in chunks] == [
        ("Hel", "Hm", False), ("lo", "", False), ("", "", True),
    ]  # fmt: skip
    assert chunks[2].tool_calls == (ToolCall("look", {"at": 1}, None),)
    assert final.finish_reason == "stop"


def test_the_last_line_may_carry_text_and_lack_its_lf() -> None:
    """The done line is always appended."""
    data = b'{"message":{"content":"end"},"done":true}'

    assert [(c.text, c.final) for c in read(data)[0]] == [("end", True)]


def test_a_whole_answer_is_one_chunk_known_at_its_end() -> None:
    """Even when it is pretty-printed."""
    data = b'{\n "message": {"content": "all"},\n "done": true, "eval_count": 2\n}\n'
    chunks, final = read(data, stream=False)

    assert [(c.text, c.final) for c in chunks] == [("all", True)]
    assert final.timings.eval_count == 2


@pytest.mark.parametrize(
    ("value", "count"),
    [
        (5, 5), (5.0, 5), (0, 0), (-1, None), (1.5, None), ("5", None), (True, None), (None, None),
        ([1], None), (1e400, None),
    ],
)  # fmt: skip
def test_a_number_that_cannot_be_used_costs_nothing_but_itself(
    value: Any, count: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    """It is None, said once in the log, and stays in the raw object."""
    written = b"1e400" if value == 1e400 else msgspec.json.encode(value)
    chunks, final = read(b'{"message":{"content":"x"},"done":true,"eval_count":%s}' % written)

    assert (chunks[0].text, final.timings.eval_count) == ("x", count)
    assert "eval_count" in final.raw
    assert len(caplog.records) == (1 if count is None and value is not None else 0)


def test_numbers_we_do_not_know_are_kept() -> None:
    """Whatever a server adds later; texts, booleans and objects are no numbers."""
    data = b'{"message":{},"done":true,"peak_memory":7,"x":0.5,"y":"z","b":true,"t":{"n":1},"neg":-2}'

    assert read(data)[1].timings.extra == {"peak_memory": 7, "x": 0.5, "neg": -2}


def test_unknown_fields_and_odd_spellings_of_nothing_are_harmless() -> None:
    """`null` where a text could be, fields of another age, CRLF."""
    lines = (
        b'{"message":{"role":"assistant","content":null,"thinking":null,"tool_calls":null,"new":[1]},'
        b'"remote_host":"h","done":false,"logprobs":[{"token":"a"}]}\r\n'
        b'{"message":{"content":"a"},"done":true,"done_reason":"","logprobs":{"no":"list"}}\r\n'
    )
    chunks, final = read(lines)

    assert [c.text for c in chunks] == ["", "a"]
    assert [c.logprobs for c in chunks] == [[{"token": "a"}], None]
    assert final.finish_reason is None


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b'{"error":"no luck"}', "no luck"),
        (b'{"error":{"message":"inner"}}', "inner"),
        (b'{"error":"{\\"error\\":{\\"code\\":400,\\"message\\":\\"too long\\"}}"}', "too long"),
        (b'{"message":{"content":"x"},"error":"both","done":true}', "both"),
    ],
)
def test_an_error_line_is_the_servers_own_words(line: bytes, said: str) -> None:
    """After status 200, so that is the error's status too."""
    with pytest.raises(ResponseError) as caught:
        read(line + b"\n")

    assert (str(caught.value), caught.value.status_code, caught.value.error_type) == (
        said, 200, "stream_error",
    )  # fmt: skip


@pytest.mark.parametrize(
    "line",
    [
        b"<html>", b"[1]", b'"x"', b"{}", b'{"done":false}', b'{"message":3,"done":true}',
        b'{"message":{"content":3},"done":false}', b'{"message":{"content":"x"},"done":"yes"}',
        b'{"message":{"content":"\xff"},"done":false}', b"[" * 100_000, b"\x00",
        b'{"message":{"tool_calls":[{"function":{"name":"f","arguments":[1]}}]},"done":false}',
        b'{"message":{"tool_calls":[{}]},"done":false}',
    ],
)  # fmt: skip
def test_what_is_no_answer_is_refused(line: bytes) -> None:
    """Not JSON, not text, not Ollama's."""
    with pytest.raises(InvalidResponse, match=r"not Ollama's|without|arguments"):
        read(line + b"\n")


@pytest.mark.parametrize("path", ["/api/chat", "/api/generate"])
def test_a_whole_answer_must_have_a_text(path: str) -> None:
    """A stream's last line may lack it, a whole answer may not."""
    with pytest.raises(InvalidResponse, match="without"):
        read(b'{"done":true}', path, stream=False)
    assert read(b'{"done":true}\n', path)[0][0].final


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("data", [b"", b"\n", b'{"message":{"content":"x"},"done":false}\n', b'{"mess'])
def test_an_answer_without_done_is_incomplete(data: bytes, stream: bool) -> None:
    """Whatever else came."""
    with pytest.raises(IncompleteResponse):
        read(data, stream=stream)


def test_the_reason_for_the_end_is_told_when_it_is_known() -> None:
    """A reset rather than a cut-off; but not when the answer turns out to be whole."""
    broken = ConnectionFailed("reset")
    source = reader()
    with pytest.raises(ConnectionFailed):
        list(source.finish(broken))
    list(source.feed(b'{"message":{"content":"x"},"done":true}'))

    assert [chunk.final for chunk in source.finish(broken)] == [True]


def test_a_whole_answer_is_bounded() -> None:
    """A server cannot make us hold more than we said."""
    source = reader(stream=False, max_line_bytes=10)
    with pytest.raises(InvalidResponse, match="max_line_bytes"):
        list(source.feed(b"x" * 11))


LINES = body(chat_lines("Hé", "l\u0085l\u2028o", "!", thinking=["h"]))


@given(st.lists(st.integers(0, len(LINES)), max_size=20))
def test_any_cut_gives_the_same_chunks(cuts: list[int]) -> None:
    """Within characters, numbers and escapes as well."""
    source = reader()
    edges = [0, *sorted(cuts), len(LINES)]

    got = [c for a, b in zip(edges, edges[1:], strict=False) for c in source.feed(LINES[a:b])]

    assert [*got, *source.finish()] == read(LINES)[0]


@settings(max_examples=300)
@given(st.binary(max_size=200), st.booleans(), st.sampled_from(["/api/chat", "/api/generate"]))
def test_random_bytes_raise_nothing_but_our_errors(data: bytes, stream: bool, path: str) -> None:
    """Whatever a broken proxy sends."""
    try:
        read(data, path, stream=stream)
    except OllameterError as error:
        assert error.error_type in {"invalid_response", "stream_error", "stream_truncated"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["message", "done", "error", "content", "response", "tool_calls", "eval_count"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=8,
)


@settings(max_examples=300)
@given(JSON, st.booleans())
def test_random_json_raises_nothing_but_our_errors(value: Any, stream: bool) -> None:
    """The right keys with the wrong things in them."""
    try:
        read(msgspec.json.encode(value) + b"\n", stream=stream)
    except OllameterError as error:
        assert error.error_type in {"invalid_response", "stream_error", "stream_truncated"}
