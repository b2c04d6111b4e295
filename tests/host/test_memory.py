"""Memory and swap, from psutil's tuples or from Linux's own file."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from ollameter.host.linux_counters import LinuxCounters
from ollameter.host.memory import MemoryProbe, SwapProbe
from ollameter.host.readings import MemoryUse, SwapUse

MEMINFO = """MemTotal:       24683656 kB
MemFree:        20165792 kB
MemAvailable:   24008508 kB
Buffers:           50096 kB
Cached:          3609328 kB
SwapCached:            7 kB
SwapTotal:       2097148 kB
SwapFree:        1048572 kB
Slab:             500304 kB
SReclaimable:     460004 kB
HugePages_Total:       0
"""


def folder(tmp_path: Path, meminfo: str) -> LinuxCounters:
    """Return the counters of a /proc with this memory."""
    (tmp_path / "meminfo").write_text(meminfo)
    return LinuxCounters(tmp_path)


def test_used_is_neither_free_nor_cache() -> None:
    """The four states add up to the total."""
    seen = SimpleNamespace(total=100, available=70, free=20, cached=30, buffers=10, used=1)

    use = MemoryProbe(lambda: seen).read(0.0)

    assert use == MemoryUse(
        total_bytes=100, used_bytes=40, free_bytes=20, available_bytes=70, cached_bytes=30, buffers_bytes=10
    )


def test_without_figures_of_the_cache_used_is_what_is_not_available() -> None:
    """MacOS and Windows: two states, which add up as well."""
    seen = SimpleNamespace(total=100, available=70, free=20, used=1)

    use = MemoryProbe(lambda: seen).read(0.0)

    assert use == MemoryUse(total_bytes=100, used_bytes=30, free_bytes=70, available_bytes=70)


def test_a_container_whose_figures_do_not_fit_uses_nothing_rather_than_less() -> None:
    """Some of them show the cache of the whole machine."""
    seen = SimpleNamespace(total=100, available=70, free=50, cached=80, buffers=0)

    assert MemoryProbe(lambda: seen).read(0.0).used_bytes == 0


def test_swap_is_absent_on_a_machine_without_any() -> None:
    """0 of 0 would look like a number."""
    some, none = SimpleNamespace(total=10, used=0), SimpleNamespace(total=0, used=0)

    assert SwapProbe(lambda: some).read(0.0) == SwapUse(total_bytes=10, used_bytes=0)
    assert SwapProbe(lambda: none).read(0.0) is None


def test_linux_own_file_is_read(tmp_path: Path) -> None:
    """Its kB are KiB; the cache includes what the kernel can take back of its own structures."""
    counters = folder(tmp_path, MEMINFO)

    memory, swap = counters.virtual_memory(), counters.swap_memory()

    assert memory._asdict() == {
        "total": 24683656 * 1024,
        "available": 24008508 * 1024,
        "free": 20165792 * 1024,
        "buffers": 50096 * 1024,
        "cached": (3609328 + 460004) * 1024,
    }
    assert swap._asdict() == {"total": 2097148 * 1024, "used": 1048576 * 1024}


def test_an_old_kernel_says_less(tmp_path: Path) -> None:
    """Before 3.14 there was no MemAvailable: what is free is available at least."""
    counters = folder(tmp_path, "MemTotal: 100 kB\nMemFree: 40 kB\n")

    assert counters.virtual_memory()._asdict() == {
        "total": 102400, "available": 40960, "free": 40960, "buffers": 0, "cached": 0,
    }  # fmt: skip
    assert counters.swap_memory()._asdict() == {"total": 0, "used": 0}


def test_every_core_is_read_and_nothing_after_them(tmp_path: Path) -> None:
    """Offline cores are not listed; guest time is part of user."""
    first = "cpu  9 9 9 9 9 9 9 9 9 9\ncpu0 1 2 3 4 5 6 7 8 1 1\ncpu2 8 7 6 5 4 3 2 1 1 1"
    counters = LinuxCounters(tmp_path)
    (tmp_path / "stat").write_text(first)
    cores = counters.cpu_times()
    (tmp_path / "stat").write_text(first + "\nintr 5 6\nctxt 3\n")

    assert cores == [(1, 2, 3, 4, 5, 6, 7, 8), (8, 7, 6, 5, 4, 3, 2, 1)]
    assert counters.cpu_times() == cores


def test_a_file_without_the_total_fails(tmp_path: Path) -> None:
    """A failing probe is dropped: better than a wrong number."""
    with pytest.raises(KeyError, match="MemTotal"):
        folder(tmp_path, "MemFree: 40 kB\n").virtual_memory()
    with pytest.raises(OSError, match="cannot be read"):
        LinuxCounters(tmp_path / "nowhere").virtual_memory()


def test_linux_own_files_agree_with_psutil() -> None:
    """The same numbers, a moment apart."""
    counters = LinuxCounters(Path("/proc"))

    ours, theirs = counters.virtual_memory(), psutil.virtual_memory()
    cores, their_cores = counters.cpu_times(), psutil.cpu_times(percpu=True)

    assert ours.total == theirs.total
    assert ours.cached == pytest.approx(theirs.cached, rel=0.05)
    assert ours.free == pytest.approx(theirs.free, rel=0.05)
    assert counters.swap_memory().total == psutil.swap_memory().total
    assert len(cores) == len(their_cores)
    for core, their in zip(cores, their_cores, strict=True):
        assert core.user / 100 == pytest.approx(their.user, rel=0.01, abs=1.0)
        assert core.idle / 100 == pytest.approx(their.idle, rel=0.01, abs=1.0)
