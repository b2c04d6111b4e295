"""The processors' probe, fed with tuples like psutil's."""

from __future__ import annotations

from typing import Any, NamedTuple

import psutil
import pytest

from ollameter.host.cpu import CpuProbe


class Linux(NamedTuple):
    """A core's counters as psutil has them on Linux."""

    user: float
    nice: float
    system: float
    idle: float
    iowait: float
    irq: float
    softirq: float
    steal: float
    guest: float
    guest_nice: float


class Windows(NamedTuple):
    """A core's counters as psutil has them on Windows."""

    user: float
    system: float
    idle: float
    interrupt: float
    dpc: float


LINUX_MODES = {"user", "nice", "system", "idle", "iowait", "interrupt", "steal"}


def probe_of(*readings: list[Any]) -> CpuProbe:
    """Return a probe that sees these readings, one after the other."""
    return CpuProbe(iter(readings).__next__, lambda: (1.5, 1.0, 0.5))


def linux(**used: float) -> Linux:
    """Return a core's counters: 100 in each, and what was used since."""
    return Linux(*[100.0 + used.get(name, 0.0) for name in Linux._fields])


def test_one_busy_core_of_two_is_half_of_the_machine() -> None:
    """And the busiest core is wholly busy."""
    probe = probe_of([linux(), linux()], [linux(user=1.0), linux(idle=1.0)])

    first, second = probe.read(0.0), probe.read(1.0)

    assert (first.busy, first.core_peak, first.modes) == (None, None, None)
    assert (second.busy, second.core_peak) == (0.5, 1.0)
    assert second.load_average_1m == 1.5


def test_the_modes_are_the_conventions_and_add_up_to_one() -> None:
    """Interrupts are one mode; guest time is part of user already and not counted twice."""
    used = linux(user=2.0, nice=1.0, system=1.0, idle=2.0, iowait=1.0, irq=1.0, softirq=1.0, steal=1.0)
    probe = probe_of([linux()], [used._replace(guest=102.0)])

    probe.read(0.0)
    modes = probe.read(1.0).modes

    assert modes is not None
    assert modes == pytest.approx(
        dict.fromkeys(LINUX_MODES, 0.1) | {"user": 0.2, "idle": 0.2, "interrupt": 0.2}
    )
    assert sum(modes.values()) == pytest.approx(1.0)


def test_waiting_for_a_disk_is_not_busy() -> None:
    """The processor could do something else meanwhile."""
    probe = probe_of([linux()], [linux(iowait=3.0, system=1.0)])

    probe.read(0.0)

    assert probe.read(0.25).busy == 0.25


def test_modes_need_a_second_while_busy_is_known_at_the_next_tick() -> None:
    """Four ticks make the window that gauges show."""
    probe = probe_of(*[[linux(user=tick, idle=tick)] for tick in range(5)])

    seen = [probe.read(tick / 4) for tick in range(5)]

    assert [use.busy for use in seen] == [None, 0.5, 0.5, 0.5, 0.5]
    assert [use.modes is None for use in seen] == [True, True, True, True, False]


def test_platforms_without_a_mode_do_not_show_it() -> None:
    """Windows counts its interrupts within system."""
    probe = probe_of([Windows(1, 1, 1, 1, 1)], [Windows(2, 2, 3, 2, 1)])

    probe.read(0.0)
    use = probe.read(1.0)

    assert use.modes == {"user": 0.25, "system": 0.25, "idle": 0.5}
    assert use.busy == 0.5


def test_a_processor_that_comes_or_goes_starts_a_new_count() -> None:
    """The sums before and after are of different machines."""
    probe = probe_of([linux()], [linux(user=1.0), linux()], [linux(user=2.0), linux(idle=1.0)])

    seen = [probe.read(float(tick)).busy for tick in range(3)]

    assert seen == [None, None, 0.5]


def test_counters_that_stand_still_say_nothing() -> None:
    """Two readings within a clock tick."""
    probe = probe_of([linux()], [linux()])

    probe.read(0.0)
    use = probe.read(1.0)

    assert (use.busy, use.core_peak, use.modes) == (None, None, None)


def test_idle_time_that_goes_back_is_within_bounds() -> None:
    """The kernel's idle counters are not exactly monotonic."""
    probe = probe_of([linux()], [linux(user=1.0, iowait=-0.5)])

    probe.read(0.0)

    assert probe.read(1.0).busy == 1.0


def test_psutil_is_a_source_as_it_is() -> None:
    """No load average where the platform has none."""
    probe = CpuProbe(lambda: psutil.cpu_times(percpu=True))

    assert probe.read(0.0).load_average_1m is None
