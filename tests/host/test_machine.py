"""Which sources a platform is read from; every one of them gives the same kind of sample."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ollameter.host.machine import linux_sources, machine_probes, psutil_sources
from ollameter.host.process_table import LinuxProcesses
from ollameter.host.psutil_table import PsutilProcesses
from ollameter.host.sampling import Sampling
from ollameter.host.servers import WatchedServers


@pytest.mark.parametrize("proc", ["/proc", "/nowhere"])
def test_a_tick_reads_this_machine_from_its_own_files_or_from_psutil(
    proc: str, caplog: pytest.LogCaptureFixture
) -> None:
    """No probe fails, and memory and process are known at the first tick."""
    servers = WatchedServers(time.perf_counter)
    sampling = Sampling(time.perf_counter, servers)
    probes = machine_probes(servers, Path(proc))
    sampling.begin(probes)

    sampling.tick()
    probes.close()

    latest = sampling.latest
    assert latest is not None
    assert latest.cpu is not None
    assert latest.memory is not None
    assert latest.process is not None
    assert latest.memory.used_bytes < latest.memory.total_bytes
    assert latest.process.rss_bytes is not None
    assert latest.process.rss_bytes > 1_000_000
    assert caplog.records == []


def test_both_sources_count_the_same_processors() -> None:
    """Ratios are shares of all of them."""
    linux, other = linux_sources(Path("/proc")), psutil_sources()

    assert len(linux.cpu_times()) == len(other.cpu_times())
    assert isinstance(linux.table, LinuxProcesses)
    assert isinstance(other.table, PsutilProcesses)
