"""The probe of the own process."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from ollameter.host.process import ProcessProbe
from ollameter.host.process_table import LinuxProcesses
from ollameter.host.readings import ProcessUse
from tests.host.staged import process


def test_cpu_is_a_share_of_the_whole_machine() -> None:
    """One core of four for a second is a quarter."""
    times = iter([SimpleNamespace(user=5.0, system=1.0), SimpleNamespace(user=5.75, system=1.25)])
    probe = ProcessProbe(times.__next__, lambda: process(7, rss_bytes=300, threads=4), cpus=4)

    first, second = probe.read(0.0), probe.read(1.0)

    assert first == ProcessUse(rss_bytes=300, threads=4)
    assert second == ProcessUse(cpu_user=0.1875, cpu_system=0.0625, rss_bytes=300, threads=4)


def test_what_the_table_does_not_show_is_absent() -> None:
    """CPU time comes from elsewhere and stays."""
    times = iter([SimpleNamespace(user=5.0, system=1.0), SimpleNamespace(user=5.5, system=1.0)])
    probe = ProcessProbe(times.__next__, lambda: None, cpus=1)
    probe.read(0.0)

    assert probe.read(1.0) == ProcessUse(cpu_user=0.5, cpu_system=0.0)


def test_the_figures_of_this_process_agree_with_psutil() -> None:
    """Resident memory and threads, read a moment apart."""
    table = LinuxProcesses(Path("/proc"))
    probe = ProcessProbe(os.times, lambda: table.stat(os.getpid()), cpus=1)

    use, seen = probe.read(0.0), psutil.Process()

    assert use.rss_bytes == pytest.approx(seen.memory_info().rss, rel=0.02)
    assert use.threads == seen.num_threads()
