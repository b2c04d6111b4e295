"""What a call says of its model at its end: only what is certain, from looks that others made."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from ollameter.call import Seen
from ollameter.metrics import ModelFacts
from ollameter.providers.model_view import ModelView
from ollameter.providers.model_watch import ModelWatch
from tests.providers.watched import Clock, final, request, running

STAYS = ModelFacts(digest="d1", quantization="Q4_K_M", parameter_size="3.2B", family="llama")
IN_FORCE = ModelFacts(
    digest="d1", quantization="Q4_K_M", parameter_size="3.2B", family="llama",
    context_length=4096, vram_share=0.5,
)  # fmt: skip


@pytest.fixture
def clock() -> Clock:
    """The time of the test."""
    return Clock()


@pytest.fixture
def watch(clock: Clock) -> ModelWatch:
    """A watch that does not look by itself."""
    return ModelWatch(None, clock=clock)


def look(watch: ModelWatch, *models: Any, took_s: float = 0.0) -> None:
    """Have the server say what it has in memory."""
    asked_s = watch.clock()
    watch.clock.now_s += took_s  # type: ignore[attr-defined]  # the test's clock
    watch.saw_running(models, asked_s)


def call(
    watch: ModelWatch, clock: Clock, load_s: float = 0.001, lasts_s: float = 0.5, **fields: Any
) -> Seen:
    """Make a call whose server time is all of it."""
    view = ModelView(watch, request(**fields))
    clock.now_s += lasts_s
    return view.describe(final(load_s, lasts_s))


def test_nothing_is_known_before_the_first_look(watch: ModelWatch, clock: Clock) -> None:
    """A quick load alone says that the model was there."""
    assert call(watch, clock) == Seen(None, False, False)
    assert call(watch, clock, load_s=0.4) == Seen(None, None, False)


def test_a_warm_call_has_the_facts_in_force(watch: ModelWatch, clock: Clock) -> None:
    """By a look just before it; a name without a tag is the latest."""
    look(watch, running())
    clock.now_s += 5.0

    assert call(watch, clock) == Seen(IN_FORCE, False, False)


def test_a_call_whose_model_was_not_listed_was_cold(watch: ModelWatch, clock: Clock) -> None:
    """With a look at most ten seconds before."""
    look(watch, running("other:latest"))
    clock.now_s += 10.0

    assert call(watch, clock, load_s=0.4).cold_start is True


def test_an_old_look_proves_no_cold_start(watch: ModelWatch, clock: Clock) -> None:
    """Anybody may have loaded the model meanwhile."""
    look(watch)
    clock.now_s += 10.1

    assert call(watch, clock, load_s=0.4).cold_start is None


def test_a_listed_model_that_took_long_is_unknown(watch: ModelWatch, clock: Clock) -> None:
    """It may have been loaded again, or have waited in a queue."""
    look(watch, running())

    assert call(watch, clock, load_s=0.4).cold_start is None


def test_a_look_in_the_middle_of_loading_proves_a_cold_start(watch: ModelWatch, clock: Clock) -> None:
    """The first call of a program: nobody has looked before."""
    view = ModelView(watch, request())
    clock.now_s += 2.0
    look(watch)
    clock.now_s += 2.5
    look(watch, running())
    clock.now_s += 0.5

    assert view.describe(final(load_s=4.0, total_s=5.0)).cold_start is True


def test_a_look_after_loading_proves_no_cold_start(watch: ModelWatch, clock: Clock) -> None:
    """A model that left at once, say: it was there when the look came too late."""
    view = ModelView(watch, request())
    clock.now_s += 4.5
    look(watch)
    clock.now_s += 0.5

    assert view.describe(final(load_s=4.0, total_s=5.0)).cold_start is None


def test_a_look_during_a_cold_call_tells_how_it_was_loaded(watch: ModelWatch, clock: Clock) -> None:
    """Provided that it was asked when loading was over for certain."""
    views = [ModelView(watch, request()) for _ in range(2)]
    clock.now_s += 4.5
    look(watch, running())
    clock.now_s += 0.5

    assert views[0].describe(final(load_s=4.0, total_s=5.0)).model_info == IN_FORCE
    # The server's own 4.8 s may have begun 0.2 s after the call: loading ended between 4.4 and 4.6.
    assert views[1].describe(final(load_s=4.4, total_s=4.8)).model_info == STAYS


def test_a_look_after_the_load_holds_for_the_next_call(watch: ModelWatch, clock: Clock) -> None:
    """Though the call that loaded was still going on."""
    view = ModelView(watch, request())
    clock.now_s += 4.5
    look(watch, running())
    clock.now_s += 0.5
    view.describe(final(load_s=4.0, total_s=5.0))

    assert call(watch, clock).model_info == IN_FORCE


def test_what_was_seen_before_a_load_is_not_in_force_after_it(watch: ModelWatch, clock: Clock) -> None:
    """Not for the call that loaded, nor for those after it, until the next look."""
    look(watch, running(context_length=2048))

    assert call(watch, clock, load_s=0.4).model_info == STAYS
    assert call(watch, clock).model_info == STAYS
    look(watch, running())
    assert call(watch, clock).model_info == IN_FORCE


def test_a_call_that_broke_off_may_have_loaded(watch: ModelWatch, clock: Clock) -> None:
    """It says nothing itself, and what was seen before it counts no more."""
    look(watch, running(context_length=2048))
    view = ModelView(watch, request())
    clock.now_s += 1.0

    assert view.describe(None) == Seen()
    assert call(watch, clock).model_info == STAYS


def test_facts_of_long_ago_are_forgotten(watch: ModelWatch, clock: Clock) -> None:
    """The name may stand for another model by then."""
    look(watch, running())

    clock.now_s += 599.0
    assert call(watch, clock).model_info == STAYS
    clock.now_s += 60.0
    assert call(watch, clock).model_info is None


def test_a_full_context_is_a_suspicion(watch: ModelWatch, clock: Clock) -> None:
    """As v0.24 cuts: exactly to the length in force."""
    look(watch, running())
    view = ModelView(watch, request(content="x" * 9000))

    assert view.describe(final(count=4096)).prompt_truncated is True


def test_a_conversation_that_lost_tokens_is_a_suspicion(watch: ModelWatch, clock: Clock) -> None:
    """Against the call before, of the same model."""
    first, more = (
        request(content="a"),
        [{"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}],
    )
    second = request(messages=[*first.body["messages"], *more])

    assert ModelView(watch, first).describe(final(count=900)).prompt_truncated is False
    assert ModelView(watch, second).describe(final(count=700)).prompt_truncated is True
    assert ModelView(watch, first).describe(final(count=700)).prompt_truncated is False


def test_what_cannot_be_described_costs_no_answer(
    watch: ModelWatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A fault of ours is one line in the log."""
    view = ModelView(watch, request(messages=[1]))

    with caplog.at_level(logging.WARNING, "ollameter"):
        assert view.describe(final()) == Seen()

    assert "could not be described" in caplog.text
