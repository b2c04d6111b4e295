"""Content leaves the process only for who asked for it, where they asked, and never an image."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from ollameter import InvalidRequest, Message, OllamaProvider
from ollameter.telemetry.content import CaptureMode, capture_mode
from ollameter.testing import Answer, CapturedTelemetry, FakeOllama, chat_lines, whole_generate

PNG = b"\x89PNG\r\n\x1a\n" + b"secret pixels" * 3
CONVERSATION: list[Any] = [
    {"role": "system", "content": "Be brief."},
    Message(role="user", content="What is it?", images=[PNG]),
    {
        "role": "assistant",
        "tool_calls": [{"function": {"name": "look", "arguments": {"at": 1}}, "id": "c1"}],
    },
    {"role": "tool", "content": "a cat", "tool_call_id": "c1", "tool_name": "look"},
]
TOOLS = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
INPUT = [
    {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
    {"role": "user", "parts": [
        {"type": "text", "content": "What is it?"},
        {"type": "blob", "modality": "image", "mime_type": "image/png", "content": "",
         "size_bytes": len(PNG)}]},
    {"role": "assistant", "parts": [
        {"type": "tool_call", "name": "look", "arguments": {"at": 1}, "id": "c1"}]},
    {"role": "tool", "parts": [{"type": "tool_call_response", "response": "a cat", "id": "c1"}]},
]  # fmt: skip
OUTPUT = [
    {"role": "assistant", "finish_reason": "stop", "parts": [
        {"type": "reasoning", "content": "Hm."}, {"type": "text", "content": "A cat."}]},
]  # fmt: skip


def ask(fake: FakeOllama, captured: CapturedTelemetry, **settings: Any) -> None:
    """Stream one answer to a conversation with everything in it."""
    fake.script("/api/chat", Answer(lines=chat_lines("A ", "cat.", thinking=["Hm."])))
    with OllamaProvider(fake.base_url, model="llama3.2", **captured.providers, **settings) as llm:
        with llm.stream(CONVERSATION, tools=TOOLS) as stream:
            list(stream)


@pytest.mark.parametrize("mode", CaptureMode)
def test_content_goes_exactly_where_the_mode_says(
    mode: CaptureMode, fake: FakeOllama, captured: CapturedTelemetry
) -> None:
    """JSON texts on the span, structures on the event, nothing anywhere else."""
    ask(fake, captured, capture_content=mode.name.lower())
    on_span, as_event = mode.value
    attributes = captured.span.attributes

    names = ("gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.tool.definitions")
    content = [json.loads(attributes[name]) for name in names if name in attributes]
    tool = [{"type": "function", "name": "look", "parameters": {"type": "object"}}]
    assert content == ([INPUT, OUTPUT, tool] if on_span else [])
    assert [name for name, _ in captured.events] == (
        ["gen_ai.client.inference.operation.details"] if as_event else []
    )
    for _, event in captured.events:
        assert json.loads(json.dumps([event[name] for name in names])) == [INPUT, OUTPUT, tool]
        assert event["gen_ai.request.model"] == "llama3.2"
    everything = f"{captured.spans}{captured.events}"
    assert "secret" not in everything
    assert base64.b64encode(PNG).decode()[:20] not in everything


@pytest.mark.parametrize(
    ("value", "mode"),
    [
        ("", "NO_CONTENT"), ("true", "SPAN_AND_EVENT"), ("FALSE", "NO_CONTENT"),
        ("Span_Only", "SPAN_ONLY"), ("event_only", "EVENT_ONLY"), ("nonsense", "NO_CONTENT"),
    ],
)  # fmt: skip
def test_the_environment_decides_when_the_code_does_not(
    value: str, mode: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Any case; a value that is not known is off, with a warning."""
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", value)
    monkeypatch.setattr("ollameter.telemetry.content._warned", set())

    modes = {capture_mode(None) for _ in range(2)}

    assert modes == {CaptureMode[mode]}
    assert caplog.text.count("is not known") == (1 if value == "nonsense" else 0)
    assert (capture_mode(True), capture_mode(False)) == (
        CaptureMode.SPAN_AND_EVENT,
        CaptureMode.NO_CONTENT,
    )


def test_a_wrong_mode_in_code_is_refused() -> None:
    """The error names the field."""
    with pytest.raises(InvalidRequest, match="^capture_content: "):
        OllamaProvider(capture_content="some")


def test_the_redactor_sees_messages_first(fake: FakeOllama, captured: CapturedTelemetry) -> None:
    """What it returns is what is exported."""

    def redact(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**m, "parts": [{"type": "text", "content": "***"}]} for m in messages]

    ask(fake, captured, capture_content="span_only", redact=redact)

    attributes = captured.span.attributes
    assert "cat" not in f"{attributes}"
    assert json.loads(attributes["gen_ai.output.messages"])[0]["parts"] == [
        {"type": "text", "content": "***"}
    ]


def test_a_generation_has_its_prompt_and_system_apart(
    fake: FakeOllama, captured: CapturedTelemetry
) -> None:
    """`gen_ai.system_instructions` is for generate's `system` alone."""
    fake.script("/api/generate", whole_generate("Blue."))
    with OllamaProvider(
        fake.base_url, model="llama3.2", capture_content="SPAN_ONLY", **captured.providers
    ) as llm:
        llm.generate("Sky?", system="Be brief.")

    attributes = captured.span.attributes
    assert json.loads(attributes["gen_ai.system_instructions"]) == [
        {"type": "text", "content": "Be brief."}
    ]
    assert json.loads(attributes["gen_ai.input.messages"]) == [
        {"role": "user", "parts": [{"type": "text", "content": "Sky?"}]}
    ]
