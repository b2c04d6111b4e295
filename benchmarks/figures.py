"""Medians and spreads of what was measured round by round."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """The median of rounds with their quartiles."""

    median: float
    low: float
    high: float

    @staticmethod
    def of(values: Sequence[float]) -> Figure:
        """Summarise the rounds; of a single one everything is the same."""
        if len(values) < 2:
            return Figure(values[0], values[0], values[0])
        low, _, high = statistics.quantiles(values, n=4, method="inclusive")
        return Figure(statistics.median(values), low, high)

    def scaled(self, factor: float) -> Figure:
        """Return it in another unit."""
        return Figure(self.median * factor, self.low * factor, self.high * factor)

    def text(self, digits: int = 2, unit: str = "") -> str:
        """Return `median unit (low to high)`."""
        return f"{self.median:.{digits}f}{unit} ({self.low:.{digits}f} to {self.high:.{digits}f})"


def by_round(work: Callable[[float, float], float], one: Sequence[float], other: Sequence[float]) -> Figure:
    """Compare two variants round by round, for what disturbs a round disturbs both."""
    return Figure.of([work(a, b) for a, b in zip(one, other, strict=True)])


def ratio(one: Sequence[float], other: Sequence[float]) -> Figure:
    """Return one in units of the other."""
    return by_round(lambda a, b: a / b, one, other)


def difference(one: Sequence[float], other: Sequence[float]) -> Figure:
    """Return what one takes beyond the other."""
    return by_round(lambda a, b: a - b, one, other)
