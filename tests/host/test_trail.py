"""How fast counters grow: over a full window or not at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollameter.host.trail import Trail


def watch(trail: Trail, *looks: tuple[float, tuple[float, ...]]) -> list[list[float] | None]:
    """Look at counters whenever it is due; return what is known after each look."""
    known = []
    for at_s, counters in looks:
        if trail.is_due(at_s):
            trail.add(at_s, counters)
        known.append(trail.rates)
    return known


def test_nothing_is_known_before_the_first_full_window() -> None:
    """A rate over less than a second would be mostly rounding."""
    looks = [(tick / 4, (tick * 2.0,)) for tick in range(5)]

    assert watch(Trail(), *looks) == [None, None, None, None, [8.0]]


def test_a_rate_stands_until_the_next_window_is_full() -> None:
    """What happened more than two windows ago no longer counts."""
    looks = [(tick / 4, (min(tick, 6) / 4, tick / 4)) for tick in range(13)]

    known = watch(Trail(), *looks)

    assert known[4:8] == [[1.0, 1.0]] * 4
    assert known[8:] == [[0.5, 1.0]] * 4 + [[0.0, 1.0]]


def test_a_counter_that_goes_back_did_not_grow() -> None:
    """Idle time does that on virtual machines."""
    assert watch(Trail(), (0.0, (5.0, 5.0)), (1.0, (4.0, 6.0)))[-1] == [0.0, 1.0]


def test_another_number_of_counters_starts_anew() -> None:
    """They are no longer the same counters."""
    looks = (0.0, (5.0,)), (1.0, (5.0, 6.0)), (2.0, (5.0, 7.0))

    assert watch(Trail(), *looks) == [None, None, [0.0, 1.0]]


@given(st.lists(st.floats(0.1, 3.0), min_size=1, max_size=60), st.floats(0.1, 10.0))
def test_a_steady_growth_is_seen_at_any_pace_of_looking(steps: list[float], rate: float) -> None:
    """Late ticks make the window longer, not the rate wrong."""
    at_s, looks = 0.0, [(0.0, (0.0,))]
    for step in steps:
        at_s += step
        looks.append((at_s, (rate * at_s,)))

    rates = watch(Trail(), *looks)[-1]

    assert (rates is None) == (at_s < 1.0)
    if rates is not None:
        assert rates == [pytest.approx(rate)]
