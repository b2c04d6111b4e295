"""What was said leaves the process only for who asked for it, and a picture never does."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from ollameter import Message, OllamaProvider, ToolCall
from ollameter.testing import Answer, CapturedTelemetry, FakeOllama, chat_lines, error_answer, whole_chat
from tests.providers import calls
from tests.providers.calls import both_sides, run
from tests.security.shown import exported

PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
ENCODED = base64.b64encode(PICTURE).decode()
WORDS = ("question-words", "answer-words", "thought-words", "tool-words", "system-words", "argument-words")
CONVERSATION: list[Any] = [
    {"role": "system", "content": "system-words"},
    Message(role="user", content="question-words", images=[PICTURE]),
    Message(
        role="assistant", thinking="thought-words", tool_calls=[ToolCall("f", {"a": "argument-words"})]
    ),
    {"role": "tool", "content": "tool-words", "tool_name": "f", "images": [ENCODED]},
]


@pytest.fixture(autouse=True)
def conversation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every chat of these tests be about the same things."""
    monkeypatch.setattr(calls, "MESSAGES", CONVERSATION)


def call_everything(fake: FakeOllama, captured: CapturedTelemetry, side: str, **settings: Any) -> None:
    """Make good and bad calls with words and pictures in all places."""
    said = {"thinking": "thought-words", "tool_calls": [{"function": {"name": "f", "arguments": {}}}]}
    fake.script(
        "/api/chat",
        whole_chat("answer-words", message=said),
        Answer(lines=chat_lines("answer-words", "more"), cut_after_lines=1),
        error_answer(500, "no luck"),
    )
    with OllamaProvider(fake.base_url, model="llama3.2", **captured.providers, **settings) as llm:
        for kind in ("chat", "stream", "chat"):
            run(llm, side, kind)
        run(llm, side, "generate", images=[PICTURE], system="system-words")


@both_sides
def test_content_is_off_by_default(side: str, fake: FakeOllama, captured: CapturedTelemetry) -> None:
    """No word of any message, on any signal, of calls that went well or wrong."""
    call_everything(fake, captured, side)
    seen = exported(captured)

    assert len(captured.spans) == 4
    assert [word for word in (*WORDS, "more", ENCODED[:40]) if word in seen] == []
    assert captured.logs == []


@both_sides
def test_pictures_are_never_exported(side: str, fake: FakeOllama, captured: CapturedTelemetry) -> None:
    """Though everything else is, because it was asked for."""
    call_everything(fake, captured, side, capture_content="SPAN_AND_EVENT")
    seen = exported(captured)

    assert [word for word in WORDS if word not in seen] == []
    assert "image/png" in seen
    assert "size_bytes" in seen
    assert [
        part for part in (ENCODED[:16], ENCODED[40:56], repr(PICTURE[8:24])[2:-1]) if part in seen
    ] == []


def test_what_is_refused_before_it_is_sent_is_not_exported(
    fake: FakeOllama, captured: CapturedTelemetry, tmp_path: Path
) -> None:
    """Its words stay in the error that the caller gets."""
    with OllamaProvider(fake.base_url, model="llama3.2", **captured.providers) as llm:
        refused = run(llm, "sync", "chat", options={"question-words": 1}).error
        missing = run(llm, "sync", "generate", images=[tmp_path / "question-words"]).error

    assert "question-words" in str(refused)
    assert "question-words" in str(missing)
    assert "question-words" not in exported(captured)
