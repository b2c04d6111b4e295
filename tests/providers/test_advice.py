"""Warnings in the log: what is said, about whom, and how rarely."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from ollameter.metrics import ModelFacts, PerformanceMetrics
from ollameter.providers.advice import Advice
from ollameter.providers.model_view import ModelView
from ollameter.providers.model_watch import ModelWatch
from tests.providers.watched import Clock, final, request, running


def measured(**fields: Any) -> PerformanceMetrics:
    """Return the metrics of a completed call in a context of 1000 tokens."""
    given = {"model_info": ModelFacts(context_length=1000), "model": "m", "outcome": "completed", **fields}
    return PerformanceMetrics(
        operation="chat", started_at=datetime(2026, 1, 1, tzinfo=UTC), duration_s=1.0, **given
    )  # fmt: skip


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """Return what was said on the logger `ollameter` since the last look."""
    caplog.set_level(logging.WARNING, "ollameter")

    def take() -> list[str]:
        texts = [record.getMessage() for record in caplog.records if record.name == "ollameter"]
        caplog.clear()
        return texts

    return take


def test_a_prompt_that_was_probably_cut_is_said(said: Callable[[], list[str]]) -> None:
    """With the count, and the context where it is known; not also that the context is full."""
    advice = Advice()
    advice.judge(measured(prompt_truncated=True, prompt_eval_count=1000, eval_count=0))
    advice.judge(measured(model="n", prompt_truncated=True, prompt_eval_count=1026, model_info=None))

    cut, advised = "the prompt was probably cut by the server", "send less, or raise num_ctx"
    assert said() == [
        f"model m: {cut}: it counted 1000 tokens of a context of 1000; {advised}",
        f"model n: {cut}: it counted 1026 tokens; {advised}",
    ]


@pytest.mark.parametrize(
    ("prompt", "output", "finish_reason", "expected"),
    [
        (800, 99, "stop", []),
        (800, 99, "length", []),
        (800, 100, "stop", ["model m: the context was 90 % full of a context of 1000"]),
        (800, 150, "length", ["model m: the context was 95 % full of a context of 1000"]),
        (
            800, 200, "length",
            ["model m: the answer ended because the context was full of a context of 1000"],
        ),
        (800, None, "length", []),
    ],
)  # fmt: skip
def test_a_context_that_is_nearly_full_is_said(
    said: Callable[[], list[str]],
    prompt: int,
    output: int | None,
    finish_reason: str,
    expected: list[str],
) -> None:
    """From nine tenths on; an answer that ended early for it is told apart."""
    Advice().judge(measured(prompt_eval_count=prompt, eval_count=output, finish_reason=finish_reason))

    assert said() == expected


def test_each_thing_is_said_once_in_ten_minutes_a_model(said: Callable[[], list[str]]) -> None:
    """A busy program is not drowned in it, and another model is another matter."""
    clock = Clock()
    advice = Advice(clock)
    cut = measured(prompt_truncated=True, prompt_eval_count=1000)
    for _ in range(3):
        advice.judge(cut)
    advice.judge(measured(model="n", prompt_truncated=True, prompt_eval_count=1000))
    assert len(said()) == 2

    clock.now_s += 599.0
    advice.judge(cut)
    assert said() == []
    clock.now_s += 1.0
    advice.judge(cut)
    assert len(said()) == 1


def test_thousands_of_models_are_not_all_remembered() -> None:
    """What was said is not kept for ever."""
    advice = Advice()
    for i in range(1000):
        advice.judge(measured(model=f"m{i}", prompt_truncated=True))

    assert len(advice._said_s) <= 256


def call(watch: ModelWatch, load_s: float, **fields: Any) -> None:
    """Make a call whose model took so long to load."""
    view = ModelView(watch, request("m", **fields))
    seen = view.describe(final(load_s))
    view.note(measured(model_info=seen.model_info, prompt_truncated=seen.prompt_truncated))


def test_options_that_made_the_server_load_again_are_said(said: Callable[[], list[str]]) -> None:
    """Only when the load really took its time, and the options differ from the call before."""
    watch = ModelWatch(None)
    call(watch, 2.0, options={"num_ctx": 2048})
    call(watch, 2.0, options={"num_ctx": 2048, "temperature": 0.5})
    call(watch, 0.1, options={"num_ctx": 4096})
    call(watch, 2.0, options={"num_ctx": 4096})
    assert said() == []

    call(watch, 2.0)

    assert said() == ["model m: it was loaded again for other options than before: num_ctx"]


def test_a_call_says_what_its_numbers_warn_of(said: Callable[[], list[str]]) -> None:
    """By what it found out itself; one in whose numbers nothing is wrong says nothing."""
    watch = ModelWatch(None)
    watch.saw_running([running("m", context_length=28)], watch.clock())
    view = ModelView(watch, request("m"))
    seen = view.describe(final(count=26))
    view.note(measured(prompt_eval_count=26, eval_count=2, model_info=seen.model_info))
    assert said() == ["model m: the context was 100 % full of a context of 28"]

    call(watch, 0.001, content="one")

    assert said() == []
