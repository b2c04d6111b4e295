"""Cold starts, and the options that load a model again."""

from __future__ import annotations

import pytest

from ollameter.wire.loading import changed, cold_start, reload_options

JUST_UNDER, JUST_OVER = 149_999_999, 150_000_000


@pytest.mark.parametrize(
    ("load_duration", "was_listed", "expected"),
    [
        (JUST_UNDER, None, False),
        (JUST_UNDER, False, False),
        (JUST_UNDER, True, False),
        (JUST_OVER, False, True),
        (JUST_OVER, True, None),
        (JUST_OVER, None, None),
        (None, False, None),
        (0, None, False),
    ],
)
def test_the_rule_of_the_cold_start(
    load_duration: int | None, was_listed: bool | None, expected: bool | None
) -> None:
    """A long wait alone proves nothing: it may have been a queue."""
    assert cold_start(load_duration, was_listed) is expected


def test_only_options_that_reload_are_compared() -> None:
    """Leaving one out is a change as well; sampling options are none."""
    before = reload_options({"num_ctx": 2048, "temperature": 0.1, "num_thread": 2})
    now = reload_options({"num_ctx": 4096, "temperature": 0.9, "use_mmap": True})

    assert before == {"num_ctx": 2048, "num_thread": 2}
    assert changed(before, now) == ["num_ctx", "num_thread", "use_mmap"]
    assert reload_options({}) == reload_options(None) == {}
    assert changed(before, before) == []
