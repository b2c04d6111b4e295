"""Counters that only grow, and how fast they grew over the last whole second or so."""

from __future__ import annotations

from collections.abc import Sequence


class Trail:
    """Rates of one or several counters, worked out anew each time that `over_s` has passed."""

    def __init__(self, over_s: float = 1.0) -> None:
        self.rates: list[float] | None = None
        """Each counter's growth per second; None before a full window has passed."""
        self._over_s = over_s
        self._mark_s = float("-inf")
        self._mark: Sequence[float] = ()

    def is_due(self, at_s: float) -> bool:
        """Tell whether a window is full, so that it is worth looking at the counters."""
        return at_s - self._mark_s >= self._over_s

    def add(self, at_s: float, counters: Sequence[float]) -> None:
        """End a window and begin the next; another number of counters starts anew.

        A counter that went back (they do, on virtual machines) did not grow.
        """
        elapsed_s, before = at_s - self._mark_s, self._mark
        self._mark_s, self._mark = at_s, counters
        if len(before) == len(counters):
            pairs = zip(before, counters, strict=True)
            self.rates = [max(0.0, new - old) / elapsed_s for old, new in pairs]
        else:
            self.rates = None
