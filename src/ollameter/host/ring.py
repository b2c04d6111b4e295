"""The samples of the last hour: appended by one thread, read by any without a lock.

A cell is written before `count` says so and stays until it is `capacity` samples old; readers keep
a block's distance from that. So a reader needs no lock, and one that forked or died harms nobody.
Means come from running sums, peaks from the maxima of blocks: neither depends on a window's length.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Hashable, Mapping

BLOCK = 16
_ABSENT = -math.inf
_GAP_S = 10.0  # samples further apart than this have nothing between them


class Ring:
    """Named columns of samples over one row of times; capacity is a power of two, at least 64."""

    def __init__(self, capacity: int = 1 << 14) -> None:
        if capacity < 4 * BLOCK or capacity & (capacity - 1):
            raise ValueError(f"capacity: expected a power of two of at least 64, got {capacity}")
        self.capacity = capacity
        self.count = 0
        self.columns: dict[Hashable, Column] = {}
        self._times = Cells(capacity)

    def append(self, at_s: float, values: Mapping[Hashable, float | None]) -> None:
        """Add one sample; a column that it does not name was absent."""
        index = self.count
        since_s = at_s - self.time(index - 1) if index else 0.0
        if since_s > _GAP_S:
            since_s = 0.0
        for key in values.keys() - self.columns.keys():
            self.columns[key] = Column(self.capacity, index)
        for key, column in self.columns.items():
            column.append(index, values.get(key), since_s)
        self._times.put(index, at_s)
        self.count = index + 1  # last: this is what lets readers see the sample
        if self.count % self.capacity == 0:
            self._drop_silent()

    def time(self, index: int) -> float:
        """Return when a sample was taken."""
        return self._times[index]

    def span(self, since: int, begin_s: float) -> Span | None:
        """Return the samples taken after `begin_s`, of which none is older than number `since`.

        Without any, the newest sample alone; None when there is no sample at all.
        """
        end = self.count
        if not end:
            return None
        first = max(since, end - self.capacity + BLOCK, 0)
        while first < end and self.time(first) <= begin_s:
            first += 1
        if first == end:
            return Span(self, end - 1, end, 1.0, 0)
        return Span(self, first, end, self._share_after(first, begin_s), end - first)

    def _share_after(self, first: int, begin_s: float) -> float:
        """Return which part of the time that sample `first` describes lies after `begin_s`."""
        if not first:
            return 1.0
        at_s, before_s = self.time(first), self.time(first - 1)
        return 1.0 if begin_s <= before_s else (at_s - begin_s) / (at_s - before_s)

    def _drop_silent(self) -> None:
        """Forget the columns that have not held a value for as long as there is memory."""
        oldest = self.count - self.capacity + BLOCK
        for key, column in list(self.columns.items()):
            if column.peak(oldest, self.count) is None:
                del self.columns[key]


class Span:
    """One window's samples; `samples` is 0 when only the nearest one could be had.

    The first sample describes the time since the one before it; `share` of that is in the window.
    """

    __slots__ = ("_columns", "_end", "_first", "_first_mostly_inside", "_share", "newest_s", "samples")

    def __init__(self, ring: Ring, first: int, end: int, share: float, samples: int) -> None:
        self.samples = samples
        self.newest_s = ring.time(end - 1)
        self._columns = ring.columns
        self._first = first
        self._first_mostly_inside = first + 1 if share < 0.5 and end - first > 1 else first
        self._end = end
        self._share = share

    def mean(self, key: Hashable) -> float | None:
        """Return the mean over the window's time; None where nothing was measured."""
        column = self._columns.get(key)
        return None if column is None else column.mean(self._first, self._end, self._share)

    def peak(self, key: Hashable) -> float | None:
        """Return the highest level seen in the window."""
        column = self._columns.get(key)
        return None if column is None else column.peak(self._first, self._end)

    def peak_rate(self, key: Hashable) -> float | None:
        """Return the highest rate; a first sample that mostly describes the time before is left out."""
        column = self._columns.get(key)
        return None if column is None else column.peak(self._first_mostly_inside, self._end)


class Column:
    """One quantity's samples: values, their running integral, and the maxima of blocks."""

    __slots__ = ("_areas", "_capacity", "_covered", "_maxima", "_values")

    def __init__(self, capacity: int, index: int = 0) -> None:
        blocks = capacity // BLOCK
        self._capacity = capacity
        self._values = Cells(capacity, index, _ABSENT)
        self._areas = Cells(capacity, index)
        self._covered = Cells(capacity, index)
        # Row k holds the maxima of 2^k blocks in a row, by the number of the last of them.
        self._maxima = [Cells(blocks, index // BLOCK, _ABSENT) for _ in range((blocks - 1).bit_length())]

    def append(self, index: int, value: float | None, since_s: float) -> None:
        """Add the sample `index`: `value` held for the `since_s` seconds before it."""
        area = self._areas[index - 1] if index else 0.0
        covered = self._covered[index - 1] if index else 0.0
        if value is None or not math.isfinite(value):
            value = _ABSENT
        else:
            area += value * since_s
            covered += since_s
        self._values.put(index, value)
        self._areas.put(index, area)
        self._covered.put(index, covered)
        if (index + 1) % BLOCK == 0:
            self._close_block(index // BLOCK)

    def mean(self, first: int, end: int, share: float) -> float | None:
        """Return the time-weighted mean of samples first … end-1, of the first by `share` only."""
        last = end - 1
        covered = self._covered[last] - self._covered[first]
        area = self._areas[last] - self._areas[first]
        before = first - 1
        covered += share * (self._covered[first] - (self._covered[before] if first else 0.0))
        area += share * (self._areas[first] - (self._areas[before] if first else 0.0))
        if covered > 0:
            return area / covered
        value = self._values[last]  # a first sample has nothing before it, yet is known
        return None if value == _ABSENT else value

    def peak(self, first: int, end: int) -> float | None:
        """Return the greatest of samples first … end-1."""
        head, tail = -(-first // BLOCK), end // BLOCK  # the whole blocks are head … tail-1
        best = max(
            max(self._values.within(first, min(head * BLOCK, end)), default=_ABSENT),
            max(self._values.within(max(tail * BLOCK, first), end), default=_ABSENT),
        )
        if head < tail:
            row = (tail - head).bit_length() - 1
            maxima = self._maxima[row]
            best = max(best, maxima[head + (1 << row) - 1], maxima[tail - 1])
        return None if best == _ABSENT else best

    def _close_block(self, block: int) -> None:
        best = max(self._values.within(block * BLOCK, (block + 1) * BLOCK))
        self._maxima[0].put(block, best)
        for row in range(1, len(self._maxima)):
            earlier = block - (1 << row - 1)
            best = max(best, self._maxima[row - 1][earlier]) if earlier >= 0 else best
            self._maxima[row].put(block, best)


class Cells:
    """Numbers under growing indices, the newest `capacity` of them; it grows as it fills."""

    __slots__ = ("_capacity", "_cells", "_mask")

    def __init__(self, capacity: int, filled: int = 0, value: float = 0.0) -> None:
        self._capacity = capacity
        self._mask = capacity - 1
        self._cells = array("d", [value]) * min(filled, capacity)

    def __getitem__(self, index: int) -> float:
        return self._cells[index & self._mask]

    def put(self, index: int, value: float) -> None:
        """Set the next cell, in place of the one that is `capacity` older."""
        if index < self._capacity:
            self._cells.append(value)
        else:
            self._cells[index & self._mask] = value

    def within(self, begin: int, end: int) -> array[float]:
        """Return the cells begin … end-1, which lie in one block."""
        at = begin & self._mask
        return self._cells[at : at + end - begin]
