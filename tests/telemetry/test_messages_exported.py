"""What is said is described whole and exactly, seen by the redactor first, and never changed by it."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from ollameter import Message, ToolCall
from tests.telemetry.seen import ALWAYS, WHOLE, Seen, answer, begin, call, measured, request
from tests.telemetry.test_conventions import FACTS

USER = {"messages": [{"role": "user", "content": "Hi"}]}
EVENT = "gen_ai.client.inference.operation.details"


def spoken(message: Message, redact: Any = None, **body: Any) -> dict[str, Any]:
    """Return the content on the span of a call that was answered with this message."""
    seen = Seen()
    telemetry = seen.telemetry(capture_content="span_only", redact=redact)
    begin(telemetry, **body).end(measured(), None, lambda: message)
    content = ("gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions")
    return {name: json.loads(seen.attributes[name]) for name in content if name in seen.attributes}


def test_the_event_repeats_what_the_conventions_list_and_leads_to_the_span() -> None:
    """The whole record: its name, its attributes, its trace; structures, no JSON text."""
    seen = Seen()
    call(
        seen.telemetry(capture_content="EVENT_ONLY"), **WHOLE, streaming=True, time_to_first_chunk_s=0.25,
        body={**USER, "stream": True, "options": {"top_k": 4, "seed": 1}, "keep_alive": 5},
    )  # fmt: skip
    (log,) = seen.logs

    assert log.event_name == EVENT
    assert dict(log.attributes) == {
        **{name: value for name, value in ALWAYS.items() if name != "gen_ai.provider.name"},
        "gen_ai.request.stream": True, "gen_ai.request.seed": 1,
        "gen_ai.response.model": "llama3.2:latest", "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.response.time_to_first_chunk": 0.25, "gen_ai.usage.input_tokens": 26,
        "gen_ai.usage.output_tokens": 11, "gen_ai.usage.cache_read.input_tokens": 6,
        "gen_ai.input.messages": ({"role": "user", "parts": ({"type": "text", "content": "Hi"},)},),
        "gen_ai.output.messages": ({
            "role": "assistant", "parts": ({"type": "text", "content": "Hello!"},), "finish_reason": "stop",
        },),
    }  # fmt: skip
    assert log.attributes.keys() <= FACTS["events"][EVENT]["attributes"].keys()
    context: Any = seen.span.get_span_context()
    assert (log.trace_id, log.span_id) == (context.trace_id, context.span_id)
    assert "gen_ai.input.messages" not in seen.attributes


def test_a_failed_call_says_what_was_asked_and_how_it_ended() -> None:
    """The part of an answer that came has the error as its finish reason; none has no message."""
    seen = Seen()
    telemetry = seen.telemetry(capture_content=True)
    call(telemetry, body=USER, outcome="truncated", error_type="stream_truncated")
    begun = begin(telemetry, **USER)
    begun.end(measured(outcome="abandoned"), None, lambda: Message(role="assistant"))
    partial, nothing = seen.logs

    assert partial.attributes["error.type"] == "stream_truncated"
    assert partial.attributes["gen_ai.output.messages"][0]["finish_reason"] == "stream_truncated"
    assert "gen_ai.output.messages" not in nothing.attributes


def test_an_unsampled_call_has_its_event_and_no_span() -> None:
    """Logs are not sampled with traces."""
    seen = Seen(ALWAYS_OFF)
    call(seen.telemetry(capture_content=True), body=USER)

    assert (len(seen.logs), seen.spans) == (1, [])


def test_thinking_tool_calls_and_text_come_in_their_order() -> None:
    """Reasoning, then the answer, then what it wants called; an id only where there is one."""
    message = Message(
        role="assistant", content="So.", thinking="Hm.",
        tool_calls=[ToolCall("look", {"at": [1, None]}, "c1"), ToolCall("wait")],
    )  # fmt: skip

    assert spoken(message, **USER)["gen_ai.output.messages"] == [
        {
            "role": "assistant",
            "parts": [
                {"type": "reasoning", "content": "Hm."},
                {"type": "text", "content": "So."},
                {"type": "tool_call", "name": "look", "arguments": {"at": [1, None]}, "id": "c1"},
                {"type": "tool_call", "name": "wait", "arguments": {}},
            ],
            "finish_reason": "completed",
        }
    ]


@pytest.mark.parametrize(
    ("image", "mime"),
    [
        (b"\x89PNG\r\n\x1a\nsecret", "image/png"), (b"\xff\xd8\xffsecret", "image/jpeg"),
        (b"GIF89asecret", "image/gif"), (b"RIFF\0\0\0\0WEBP", "image/webp"),
        (b"", "application/octet-stream"), (b"anything", "application/octet-stream"),
    ],
)  # fmt: skip
def test_an_image_is_its_kind_and_size(image: bytes, mime: str) -> None:
    """Its bytes stay here, in a conversation and in a prompt."""
    encoded = base64.b64encode(image).decode()
    part = {"type": "blob", "modality": "image", "mime_type": mime, "content": "", "size_bytes": len(image)}
    in_chat = spoken(answer(), messages=[{"role": "user", "content": "", "images": [encoded]}])
    in_prompt = spoken(answer(), prompt="", images=[encoded])

    assert in_chat["gen_ai.input.messages"] == [{"role": "user", "parts": [part]}]
    assert in_prompt["gen_ai.input.messages"] == [{"role": "user", "parts": [part]}]


def test_what_the_redactor_writes_into_stays_its_own() -> None:
    """The caller's reply and the request that was sent are not the exported copies."""
    arguments = {"card": "4111"}
    body = {"messages": [{"role": "assistant", "tool_calls": [{"function": {"arguments": arguments}}]}]}

    def redact(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for message in messages:
            for part in message["parts"]:
                if "arguments" in part:
                    part["arguments"]["card"] = "***"
        return messages

    message = Message(role="assistant", tool_calls=[ToolCall("pay", arguments)])
    exported = spoken(message, redact, **body)

    assert "4111" not in f"{exported}"
    assert "***" in f"{exported}"
    assert arguments == {"card": "4111"}


def test_a_system_prompt_is_redacted_too() -> None:
    """It comes to the redactor as a message of the role `system`; so does one in a conversation."""
    roles: list[str] = []

    def redact(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        roles.extend(message["role"] for message in messages)
        return [{**message, "parts": []} for message in messages]

    content = spoken(answer(), redact, prompt="p", system="secret")

    assert roles == ["user", "assistant", "system"]
    assert content["gen_ai.system_instructions"] == []


def test_a_redactor_that_raises_lets_nothing_out(caplog: pytest.LogCaptureFixture) -> None:
    """No content, no event; the span is whole, and it is said once."""
    seen = Seen()

    def redact(_: list[dict[str, Any]]) -> list[dict[str, Any]]:
        raise ValueError("redactor")

    telemetry = seen.telemetry(capture_content=True, redact=redact)
    call(telemetry, body=USER)
    call(telemetry, body=USER)

    assert [span.attributes for span in seen.spans] == [{**ALWAYS, "ollameter.outcome": "completed"}] * 2
    assert seen.logs == []
    assert [r.levelname for r in caplog.records if "could not export content" in r.message] == ["WARNING"]


def test_an_embedding_has_no_messages() -> None:
    """The conventions have neither messages nor this event for embeddings."""
    seen = Seen()
    begun = seen.telemetry(capture_content=True).start_call(
        request(operation="embeddings", input=["secret"]), "h", 1, 1
    )
    begun.end(measured(operation="embeddings"), None, answer)

    assert "secret" not in f"{seen.attributes}"
    assert "gen_ai.input.messages" not in seen.attributes
    assert seen.logs == []


def test_the_answer_is_not_even_built_for_nobody() -> None:
    """Without capture `message()` is never called: long answers cost nothing here."""

    def built() -> Message:
        raise AssertionError("built")

    seen = Seen()
    begin(seen.telemetry()).end(measured(), None, built)

    assert seen.attributes["ollameter.outcome"] == "completed"
