"""Medians, percentiles and differences, against numbers that are known."""

from __future__ import annotations

import random
import statistics

import pytest

from ollameter.cli.bench.statistics import (
    CONFIDENCE,
    FEWEST,
    Distribution,
    difference,
    distribution,
    percentile,
)


def test_a_sample_is_told_in_four_numbers() -> None:
    """The order does not matter; nothing comes of nothing."""
    assert distribution([4.0, 1.0, 3.0, 2.0, 5.0]) == Distribution(5, 3.0, 4.8, 2.0)
    assert distribution([]) is None


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 0.9, 1.0])
def test_a_percentile_is_the_inclusive_one_of_the_standard_library(share: float) -> None:
    """Interpolated between its neighbours."""
    ordered = sorted(random.Random(7).gauss(10, 3) for _ in range(101))
    cuts = [ordered[0], *statistics.quantiles(ordered, n=100, method="inclusive"), ordered[-1]]

    assert percentile(ordered, share) == pytest.approx(cuts[round(share * 100)])


def test_the_same_sample_does_not_differ_from_itself() -> None:
    """And the interval holds 1."""
    sample = [random.Random(3).gauss(100, 5) for _ in range(30)]
    found = difference(sample, sample)

    assert found is not None
    assert (found.ratio, found.direction) == (1.0, "no difference")
    assert found.low <= 1 <= found.high


@pytest.mark.parametrize(
    ("factor", "direction"), [(2.0, "higher"), (0.5, "lower"), (1.01, "no difference")]
)
def test_a_difference_is_told_when_it_is_large_enough(factor: float, direction: str) -> None:
    """One per cent is none, however sure it is."""
    draw = random.Random(5)
    first = [draw.gauss(100, 1) for _ in range(40)]
    found = difference(first, [value * factor for value in first])

    assert found is not None
    assert found.ratio == pytest.approx(factor)
    assert found.direction == direction


def test_equal_sources_are_rarely_told_apart() -> None:
    """At 99 % confidence a false alarm in 60 pairs is rare, three would be a bug."""
    draw = random.Random(11)
    alarms = 0
    for _ in range(60):
        pair = [[draw.gauss(100, 20) for _ in range(15)] for _ in range(2)]
        found = difference(*pair)
        alarms += found is not None and found.direction != "no difference"

    assert alarms <= 60 * (1 - CONFIDENCE) * 4


def test_nothing_is_claimed_of_few_values() -> None:
    """Four against four say nothing, whatever they are; nothing at all is no comparison."""
    few = [1.0] * (FEWEST - 1)
    found = difference(few, [9.0] * (FEWEST - 1))

    assert found is not None
    assert found.direction == "too few calls"
    assert difference([], few) is None
    assert difference([0.0] * 9, few) is None
