"""Pressure stall information and page faults, from a folder that looks like /proc."""

from __future__ import annotations

from pathlib import Path

import pytest

from ollameter.host.pressure import PressureProbe
from ollameter.host.readings import Pressure

LINE = "some avg10=3.72 avg60=28.39 avg300=39.56 total={}\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n"


def write(proc: Path, *, cpu: int, io: int, memory: int, faults: int | None = None) -> None:
    """Set the counters: microseconds stalled, and pages read from disk."""
    (proc / "pressure").mkdir(exist_ok=True)
    for name, total in {"cpu": cpu, "io": io, "memory": memory}.items():
        (proc / "pressure" / name).write_text(LINE.format(total))
    if faults is not None:
        (proc / "vmstat").write_text(f"pgfault 99\npgmajfault {faults}\noom_kill 0\n")


def test_the_share_of_stalled_time_is_exact(tmp_path: Path) -> None:
    """From the counter, not from the kernel's slow averages."""
    probe = PressureProbe(tmp_path)
    write(tmp_path, cpu=1_000, io=5_000, memory=0, faults=10)
    first = probe.read(10.0)
    write(tmp_path, cpu=501_000, io=5_000, memory=250_000, faults=40)

    second = probe.read(11.0)

    assert first is None
    assert second == Pressure(cpu=0.5, io=0.0, memory=0.25, major_faults_per_s=30.0)


def test_a_kernel_without_it_has_no_pressure(tmp_path: Path) -> None:
    """Absent, however often one asks."""
    probe = PressureProbe(tmp_path)

    assert [probe.read(0.0), probe.read(1.0)] == [None, None]


def test_page_faults_alone_are_worth_a_reading(tmp_path: Path) -> None:
    """PSI is often switched off, `vmstat` never."""
    probe = PressureProbe(tmp_path)
    (tmp_path / "vmstat").write_text("nr_free 1\npgmajfault 5\n")
    probe.read(0.0)

    assert probe.read(1.0) == Pressure(major_faults_per_s=0.0)


def test_pressure_that_is_switched_off_is_absent(tmp_path: Path) -> None:
    """Then the files are there and cannot be read."""
    (tmp_path / "pressure" / "cpu").mkdir(parents=True)  # reading a folder fails as well
    probe = PressureProbe(tmp_path)

    assert probe.read(0.0) is None


@pytest.mark.skipif(not Path("/proc/pressure/cpu").exists(), reason="this kernel has no PSI")
def test_this_machine_has_pressure() -> None:
    """The kernel's real files."""
    probe = PressureProbe(Path("/proc"))
    probe.read(0.0)

    pressure = probe.read(1.0)

    assert pressure is not None
    assert pressure.cpu is not None
    assert 0.0 <= pressure.cpu <= 1.0
    assert pressure.major_faults_per_s is not None
