"""Medians, percentiles, spreads, and whether two samples differ; the same data, the same answer."""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from typing import Literal

import msgspec

RESAMPLES = 2000
CONFIDENCE = 0.99
SMALLEST_EFFECT = 0.05  # a smaller difference is not worth a word
FEWEST = 5  # values a side below which nothing is claimed

Direction = Literal["higher", "lower", "no difference", "too few calls"]


class Distribution(msgspec.Struct, frozen=True):
    """A sample in four numbers; `spread` is the distance between its quartiles."""

    count: int
    median: float
    p95: float
    spread: float


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """How the medians of two samples relate: `ratio` is second / first, within low … high.

    The interval is the bootstrap's, at 99 %. `direction` is of the second against the first.
    """

    first: float
    second: float
    ratio: float
    low: float
    high: float
    direction: Direction


def distribution(values: Sequence[float]) -> Distribution | None:
    """Return a sample's distribution; None of an empty one."""
    if not values:
        return None
    ordered = sorted(values)
    spread = percentile(ordered, 0.75) - percentile(ordered, 0.25)
    return Distribution(len(ordered), statistics.median(ordered), percentile(ordered, 0.95), spread)


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return a percentile of a sorted sample, interpolated between its neighbours."""
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def difference(first: Sequence[float], second: Sequence[float]) -> Difference | None:
    """Compare two samples by the ratio of their medians; None when one is empty or has a median of 0."""
    if not first or not second or statistics.median(first) <= 0:
        return None
    ratios = sorted(_resampled_ratios(first, second))
    tail = (1 - CONFIDENCE) / 2
    a, b = statistics.median(first), statistics.median(second)
    low, high = percentile(ratios, tail), percentile(ratios, 1 - tail)
    few = min(len(first), len(second)) < FEWEST
    direction = "too few calls" if few else _direction(b / a, low, high)
    return Difference(first=a, second=b, ratio=b / a, low=low, high=high, direction=direction)


def _resampled_ratios(first: Sequence[float], second: Sequence[float]) -> list[float]:
    """Return ratios of medians of samples drawn again, with a fixed seed."""
    draw = random.Random(1)  # noqa: S311  # statistics, no secret
    ratios = []
    for _ in range(RESAMPLES):
        a = statistics.median(draw.choices(first, k=len(first)))
        b = statistics.median(draw.choices(second, k=len(second)))
        if a > 0:
            ratios.append(b / a)
    return ratios


def _direction(ratio: float, low: float, high: float) -> Direction:
    if low > 1 and ratio >= 1 + SMALLEST_EFFECT:
        return "higher"
    if high < 1 and ratio <= 1 - SMALLEST_EFFECT:
        return "lower"
    return "no difference"
