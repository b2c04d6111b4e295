"""The ring against brute force over the same samples, whatever their number, gaps and absences."""

from __future__ import annotations

import math
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ollameter.host.ring import BLOCK, Ring

CAPACITY = 64
Sample = tuple[float, float | None]

steps = st.floats(0.01, 2.0) | st.just(20.0)  # 20 s is a gap: nothing is known in between
values = st.none() | st.floats(-1e9, 1e9) | st.sampled_from([0.0, 1.0, math.nan, math.inf])


@st.composite
def rings(draw: st.DrawFn) -> tuple[Ring, list[Sample]]:
    """Draw a ring and all that was ever put into its column `x`."""
    ring, samples, at_s = Ring(CAPACITY), [], 0.0
    late = draw(st.integers(0, 20))  # samples before there is anything to put into the column
    for index, (step, value) in enumerate(draw(st.lists(st.tuples(steps, values), max_size=300))):
        at_s += step
        ring.append(at_s, {"x": value} if index >= late else {})
        known = index >= late and value is not None and math.isfinite(value)
        samples.append((at_s, value if known else None))
    return ring, samples


def window(samples: list[Sample], begin_s: float) -> tuple[float | None, float | None, int]:
    """Return mean, peak and number of the samples after `begin_s`, in the plainest way."""
    oldest = max(0, len(samples) + 1 - CAPACITY + BLOCK - 1)
    inside = [i for i in range(oldest, len(samples)) if samples[i][0] > begin_s]
    number = len(inside)
    if not inside:
        inside, begin_s = [len(samples) - 1], -math.inf
    area = covered_s = 0.0
    for i in inside:
        at_s, value = samples[i]
        since_s = at_s - samples[i - 1][0] if i else 0.0
        if value is not None and since_s <= 10.0:
            part_s = min(since_s, at_s - begin_s)
            area, covered_s = area + value * part_s, covered_s + part_s
    known = [value for i in inside if (value := samples[i][1]) is not None]
    last = samples[inside[-1]][1]
    return area / covered_s if covered_s else last, max(known, default=None), number


@settings(max_examples=400, deadline=None)
@given(rings(), st.floats(0.0, 400.0))
def test_means_and_peaks_of_any_window_equal_brute_force(
    drawn: tuple[Ring, list[Sample]], back_s: float
) -> None:
    """Wrapped around or not, with gaps, absent values and columns that came later."""
    ring, samples = drawn
    if not samples:
        assert ring.span(1, 0.0) is None
        return
    begin_s = samples[-1][0] - back_s
    mean, peak, number = window(samples, begin_s)

    span = ring.span(1, begin_s)

    assert span is not None
    assert span.samples == number
    assert span.newest_s == samples[-1][0]
    assert span.peak("x") == peak
    assert (span.mean("x") is None) == (mean is None)
    if mean is not None:
        assert span.mean("x") == pytest.approx(mean, rel=1e-6, abs=1e-2)  # sums of up to 3e11


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 999), st.integers(2000, 2300), st.integers(1, 1500))
def test_a_peak_over_many_blocks_equals_brute_force(seed: int, count: int, length: int) -> None:
    """Longer than any two blocks: the rows of maxima are what answers."""
    ring, random = Ring(2048), Random(seed)
    drawn = [random.random() for _ in range(count)]
    for index, value in enumerate(drawn):
        ring.append(float(index), {"x": value})

    span = ring.span(len(drawn) - length + 1, -1.0)

    assert span is not None
    assert span.samples == length
    assert span.peak("x") == max(drawn[-length:])


def test_a_rate_that_mostly_describes_the_time_before_is_no_peak() -> None:
    """The busy quarter of a second before a call is not the call's."""
    ring = Ring(CAPACITY)
    for at_s, value in ((0.0, 0.1), (1.0, 0.9), (2.0, 0.2)):
        ring.append(at_s, {"x": value})

    early, late = ring.span(1, 0.4), ring.span(1, 0.6)

    assert early is not None
    assert late is not None
    assert (early.peak_rate("x"), late.peak_rate("x")) == (0.9, 0.2)
    assert (early.peak("x"), late.peak("x")) == (0.9, 0.9)
    assert late.mean("x") == pytest.approx((0.4 * 0.9 + 0.2) / 1.4)


def test_a_column_that_nobody_filled_is_unknown() -> None:
    """No column, no number."""
    ring = Ring(CAPACITY)
    ring.append(1.0, {})

    span = ring.span(1, 0.0)

    assert span is not None
    assert (span.mean("x"), span.peak("x"), span.peak_rate("x")) == (None, None, None)


def test_a_column_silent_for_as_long_as_there_is_memory_is_dropped() -> None:
    """Servers and GPUs come and go in a process that runs for years."""
    ring = Ring(CAPACITY)
    ring.append(0.0, {"gone": 1.0, "here": 1.0})
    for index in range(1, 3 * CAPACITY):
        ring.append(float(index), {"here": 1.0})

    assert ring.columns.keys() == {"here"}


@pytest.mark.parametrize("capacity", [0, 16, 100])
def test_a_capacity_that_cannot_be_masked_is_refused(capacity: int) -> None:
    """Places are found by masking, blocks by halving."""
    with pytest.raises(ValueError, match="power of two"):
        Ring(capacity)
