"""The comparison of durations finds what became slower, and nothing where nothing did."""

from __future__ import annotations

import random

import pytest

from tests.stack.paced import Call, Compared, compared


def durations(seed: int, factor: float, count: int) -> list[float]:
    """Return durations around 5 ms with a long tail."""
    draw = random.Random(seed)
    return [factor * (0.005 + draw.expovariate(1000)) for _ in range(count)]


def observed(slower: float) -> Compared:
    """Return what is seen when a program becomes slower, beside a slow one, on a machine that does too."""
    return Compared(
        before=durations(1, 1.0, 400),
        during=durations(2, 1.3 * slower, 1500),
        before_beside=durations(3, 1.1, 400),
        during_beside=durations(4, 1.1 * 1.3, 1500),
    )


def test_a_program_that_becomes_a_quarter_slower_is_found() -> None:
    """Beyond the five percent that are allowed."""
    assert observed(1.25).surely_slower(0.5) > 1.05


@pytest.mark.parametrize("share", [0.5, 0.99])
def test_a_slow_machine_and_a_slow_neighbour_are_nothing(share: float) -> None:
    """Though no two of the durations are alike."""
    assert observed(1.0).surely_slower(share) <= 1.0


def test_calls_are_sorted_by_when_they_ended() -> None:
    """Before the time, during it, and after it, where they count for nothing."""
    calls = [Call(1.0, 10.0, 1.0), Call(3.0, 20.0, 2.0), Call(9.0, 30.0, 3.0)]
    beside = [Call(1.5, 40.0, 4.0), Call(3.5, 50.0, 5.0)]

    assert compared(calls, beside, 2.0, 5.0) == (
        Compared([10.0], [20.0], [40.0], [50.0]),
        Compared([1.0], [2.0], [4.0], [5.0]),
    )
