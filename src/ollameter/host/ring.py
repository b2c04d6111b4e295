"""The samples of the last hour: appended by one thread, read by any without a lock.

A cell is written before `count` says so and stays until it is `capacity` samples old; readers keep
a block's distance from that. So a reader needs no lock, and one that forked or died harms nobody.
Means come from running sums, peaks from the maxima of blocks: neither depends on a window's length.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Hashable, Mapping

BLOCK = 8
_ABSENT = -math.inf
_GAP_S = 10.0  # samples further apart than this have nothing between them


class Ring:
    """Named columns of samples over one row of times; capacity is a power of two, at least 32.

    Sample 0 is the empty one before the first, so that every sample has one before it.
    """

    def __init__(self, capacity: int) -> None:
        if capacity < 4 * BLOCK or capacity & (capacity - 1):
            raise ValueError(f"capacity: expected a power of two of at least {4 * BLOCK}, got {capacity}")
        self.capacity = capacity
        self.count: int = 1
        self.columns: dict[Hashable, Column] = {}
        self._times = array("d", [_ABSENT])

    def append(self, at_s: float, values: Mapping[Hashable, float | None]) -> None:
        """Add one sample; a column that it does not name was absent."""
        index = self.count
        since_s = at_s - self.time(index - 1)
        since_s = since_s if since_s <= _GAP_S else 0.0
        for key in values.keys() - self.columns.keys():
            self.columns[key] = Column(self.capacity, index)
        for key, column in self.columns.items():
            column.append(index, values.get(key), since_s)
        _put(self._times, index, at_s, self.capacity)
        self.count = index + 1  # last: this is what lets readers see the sample
        if self.count % self.capacity == 0:
            self._drop_silent()

    def time(self, index: int) -> float:
        """Return when a sample was taken."""
        return self._times[index & self.capacity - 1]

    def span(self, since: int, begin_s: float) -> Span | None:
        """Return the samples taken after `begin_s`, of which none is older than number `since`.

        Without any, the newest sample alone; None when there is no sample at all.
        """
        end = self.count
        if end == 1:
            return None
        first, times, mask = max(since, end - self.capacity + BLOCK), self._times, self.capacity - 1
        while first < end and times[first & mask] <= begin_s:
            first += 1
        if first == end:
            return Span(self, end - 1, end, 1.0, 0)
        at_s, before_s = times[first & mask], times[first - 1 & mask]
        since_s = at_s - before_s
        share = 1.0 if begin_s <= before_s or since_s > _GAP_S else (at_s - begin_s) / since_s
        return Span(self, first, end, share, end - first)

    def _drop_silent(self) -> None:
        """Forget the columns that have not held a value for as long as there is memory."""
        whole = _Places(self.count - self.capacity + BLOCK, self.count, self.capacity)
        for key, column in list(self.columns.items()):
            if column.peak(whole) is None:
                del self.columns[key]


class Span:
    """One window's samples; `samples` is 0 when only the nearest one could be had.

    The first sample describes the time since the one before it; `share` of that is in the window.
    """

    __slots__ = ("_columns", "_mostly_inside", "_places", "_share", "newest_s", "samples")

    def __init__(self, ring: Ring, first: int, end: int, share: float, samples: int) -> None:
        self.samples: int = samples
        self.newest_s: float = ring.time(end - 1)
        self._columns = ring.columns
        self._share = share
        self._places = self._mostly_inside = _Places(first, end, ring.capacity)
        if share < 0.5 and samples > 1:
            self._mostly_inside = _Places(first + 1, end, ring.capacity)

    def mean(self, key: Hashable) -> float | None:
        """Return the mean over the window's time; None where nothing was measured."""
        column = self._columns.get(key)
        return None if column is None else column.mean(self._places, self._share)

    def peak(self, key: Hashable) -> float | None:
        """Return the highest level seen in the window."""
        column = self._columns.get(key)
        return None if column is None else column.peak(self._places)

    def peak_rate(self, key: Hashable) -> float | None:
        """Return the highest rate; a first sample that mostly describes the time before is left out."""
        column = self._columns.get(key)
        return None if column is None else column.peak(self._mostly_inside)


class _Places:
    """Where the samples first … end-1 stand in a column's arrays: the same in every column."""

    __slots__ = ("before", "first", "head", "last", "left", "right", "row", "tail")
    before: int
    first: int
    head: int
    last: int
    left: slice
    right: slice
    row: int
    tail: int

    def __init__(self, first: int, end: int, capacity: int) -> None:
        mask, last_block = capacity - 1, capacity // BLOCK - 1
        self.before, self.first, self.last = first - 1 & mask, first & mask, end - 1 & mask
        head, tail = -(-first // BLOCK), end // BLOCK  # the whole blocks are head … tail-1
        if head < tail:
            left, right = head * BLOCK - first, end - tail * BLOCK
            self.row = (tail - head).bit_length() - 1
            self.head = head + (1 << self.row) - 1 & last_block
            self.tail = tail - 1 & last_block
        else:
            left, right = min(head * BLOCK, end) - first, max(0, end - head * BLOCK)
            self.row = self.head = self.tail = -1
        self.left = slice(self.first, self.first + left)
        begin_right = end - right & mask
        self.right = slice(begin_right, begin_right + right)


class Column:
    """One quantity's samples: values, their running integral, and the maxima of blocks."""

    __slots__ = ("_areas", "_capacity", "_covered", "_maxima", "_values")

    def __init__(self, capacity: int, index: int) -> None:
        """Begin with sample `index`: absent in all before it."""
        blocks = capacity // BLOCK
        filled, filled_blocks = min(index, capacity), min(index // BLOCK, blocks)
        self._capacity = capacity
        self._values = array("d", [_ABSENT]) * filled
        self._areas = array("d", [0.0]) * filled
        self._covered = array("d", [0.0]) * filled
        # Row k holds the maxima of 2^k blocks in a row, by the number of the last of them.
        self._maxima = [array("d", [_ABSENT]) * filled_blocks for _ in range(blocks.bit_length() - 1)]

    def append(self, index: int, value: float | None, since_s: float) -> None:
        """Add the sample `index`: `value` held for the `since_s` seconds before it."""
        capacity, before = self._capacity, index - 1 & self._capacity - 1
        area, covered = self._areas[before], self._covered[before]
        if value is None or not math.isfinite(value):
            value = _ABSENT
        else:
            area += value * since_s
            covered += since_s
        if index < capacity:  # they grow as they fill
            self._values.append(value)
            self._areas.append(area)
            self._covered.append(covered)
        else:
            at = index & capacity - 1
            self._values[at], self._areas[at], self._covered[at] = value, area, covered
        if (index + 1) % BLOCK == 0:
            self._close_block(index // BLOCK)

    def mean(self, at: _Places, share: float) -> float | None:
        """Return the time-weighted mean of some samples, of the first by `share` only."""
        areas, covered = self._areas, self._covered
        covered_s = covered[at.last] - covered[at.first] + share * (covered[at.first] - covered[at.before])
        if covered_s > 0:
            area = areas[at.last] - areas[at.first] + share * (areas[at.first] - areas[at.before])
            return area / covered_s
        value = self._values[at.last]  # a first sample has nothing before it, yet is known
        return None if value == _ABSENT else value

    def peak(self, at: _Places) -> float | None:
        """Return the greatest of some samples."""
        edges = self._values[at.left] + self._values[at.right]
        if at.row >= 0:
            maxima = self._maxima[at.row]
            edges.append(maxima[at.head])
            edges.append(maxima[at.tail])
        best = max(edges)
        return None if best == _ABSENT else best

    def _close_block(self, block: int) -> None:
        blocks = self._capacity // BLOCK
        at = (block % blocks) * BLOCK
        best = max(self._values[at : at + BLOCK])
        _put(self._maxima[0], block, best, blocks)
        for row in range(1, len(self._maxima)):
            earlier = block - (1 << row - 1)
            if earlier >= 0:
                best = max(best, self._maxima[row - 1][earlier % blocks])
            _put(self._maxima[row], block, best, blocks)


def _put(cells: array[float], index: int, value: float, capacity: int) -> None:
    """Set the next cell, in place of the one that is `capacity` older; it grows as it fills."""
    if index < capacity:
        cells.append(value)
    else:
        cells[index & capacity - 1] = value
