"""Assertions on exported telemetry pass when it is so, and otherwise say what was there."""

from __future__ import annotations

import pytest

from ollameter import OllamaProvider
from ollameter.testing import CapturedTelemetry, FakeOllama, assert_metric, assert_span

CHAT = "chat llama3.2"
DURATION = "gen_ai.client.operation.duration"


@pytest.fixture
def seen(fake: FakeOllama, captured: CapturedTelemetry) -> CapturedTelemetry:
    """What one call of the fake server exports."""
    settings = {"model": "llama3.2", "host_monitor": False, **captured.providers}
    with OllamaProvider(fake.base_url, **settings) as llm:
        llm.chat([{"role": "user", "content": "x"}])
    return captured


def test_a_span_that_is_as_expected_is_returned(seen: CapturedTelemetry) -> None:
    """With its status, what it has and what it must not have."""
    wanted = {"gen_ai.operation.name": "chat", "error.type": None}

    assert assert_span(seen, CHAT, status="UNSET", attributes=wanted) == seen.span


@pytest.mark.parametrize(
    ("name", "wanted", "words"),
    [
        ("chat other", {}, r"expected one span 'chat other', found 0 among \['chat llama3.2'\]"),
        (CHAT, {"status": "ERROR"}, "status: expected ERROR, was UNSET"),
        (CHAT, {"attributes": {"error.type": "404"}}, "error.type: expected '404', was absent"),
        (CHAT, {"attributes": {"ollameter.outcome": None}}, "outcome: expected absent, was 'completed'"),
        (CHAT, {"attributes": {"ollama.eval.duration": 1}}, r"eval.duration: expected 1, was \d"),
    ],
)
def test_a_span_that_is_not_says_what_differs(
    seen: CapturedTelemetry, name: str, wanted: dict[str, str], words: str
) -> None:
    """An int is no float: exporters keep them apart."""
    with pytest.raises(AssertionError, match=words):
        assert_span(seen, name, **wanted)  # type: ignore[arg-type]  # the cases differ in what they give


def test_a_metric_that_is_as_expected_gives_its_point(seen: CapturedTelemetry) -> None:
    """The one with the attributes that were asked for."""
    output = {"gen_ai.token.type": "output"}
    tokens = seen.span.attributes["gen_ai.usage.output_tokens"]

    assert assert_metric(seen, DURATION, unit="s", count=1).count == 1
    assert assert_metric(seen, "gen_ai.client.token.usage", total=tokens, attributes=output).sum == tokens


@pytest.mark.parametrize(
    ("name", "wanted", "words"),
    [
        ("no.such", {}, "expected the metric no.such, got"),
        (DURATION, {"count": 2}, "count: expected 2, was 1"),
        (DURATION, {"unit": "ms"}, "unit: expected 'ms', was 's'"),
        ("gen_ai.client.token.usage", {}, "expected one point with {}, there are"),
    ],
)
def test_a_metric_that_is_not_says_what_differs(
    seen: CapturedTelemetry, name: str, wanted: dict[str, str], words: str
) -> None:
    """Or which points there are."""
    with pytest.raises(AssertionError, match=words):
        assert_metric(seen, name, **wanted)  # type: ignore[arg-type]  # the cases differ in what they give
