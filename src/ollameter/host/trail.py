"""Counters that only grow, and how fast they grew over the last second or so."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence


class Trail:
    """Keeps what counters said over at least `over_s` seconds; one counter or several together."""

    def __init__(self, over_s: float = 1.0) -> None:
        self._over_s = over_s
        self._marks: deque[tuple[float, Sequence[float]]] = deque()

    def add(self, at_s: float, counters: Sequence[float]) -> None:
        """Take note of what the counters say; another number of counters starts anew."""
        marks = self._marks
        if marks and len(marks[-1][1]) != len(counters):
            marks.clear()
        marks.append((at_s, counters))
        while len(marks) > 2 and at_s - marks[1][0] >= self._over_s:
            marks.popleft()

    def rates(self) -> list[float] | None:
        """Return each counter's growth per second; None before a full window has passed.

        A counter that went back (they do, on virtual machines) did not grow.
        """
        if not self._marks:
            return None
        (begin_s, old), (end_s, new) = self._marks[0], self._marks[-1]
        elapsed_s = end_s - begin_s
        if elapsed_s < self._over_s:
            return None
        return [max(0.0, b - a) / elapsed_s for a, b in zip(old, new, strict=True)]
