"""Helpers for tests of applications that use this library, and for its own.

`FakeOllama` is a real HTTP server with scripted answers; `CapturedTelemetry` collects what would
be exported (needs opentelemetry-sdk), `assert_span` and `assert_metric` look at it; `ManualClock`
is a clock that a test moves. With pytest the fixtures `fake_ollama` and `captured_telemetry` are
there by themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ollameter.testing.answers import (
    Answer,
    Cut,
    Framing,
    chat_lines,
    error_answer,
    error_line,
    generate_lines,
    json_answer,
    whole_chat,
    whole_generate,
)
from ollameter.testing.assertions import assert_metric, assert_span
from ollameter.testing.clock import ManualClock
from ollameter.testing.fake_ollama import FakeOllama
from ollameter.testing.received import ReceivedRequest

if TYPE_CHECKING:
    from ollameter.testing.captured import CapturedTelemetry

__all__ = [
    "Answer",
    "CapturedTelemetry",
    "Cut",
    "FakeOllama",
    "Framing",
    "ManualClock",
    "ReceivedRequest",
    "assert_metric",
    "assert_span",
    "chat_lines",
    "error_answer",
    "error_line",
    "generate_lines",
    "json_answer",
    "whole_chat",
    "whole_generate",
]


def __getattr__(name: str) -> Any:
    # The only one that needs the SDK: imported when it is asked for.
    if name != "CapturedTelemetry":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from ollameter.testing.captured import CapturedTelemetry

    return CapturedTelemetry
