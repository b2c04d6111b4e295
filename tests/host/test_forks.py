"""Forks: a child has no thread, says nothing wrong, and starts its own when it needs one."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ollameter.host.monitor import HostMonitor, _after_fork
from ollameter.host.proc import KeptFile
from ollameter.host.run import LOADING
from tests.host.staged import Holder, staged_probes, until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")

PREAMBLE = """
import os, sys, threading, time
from ollameter.host.monitor import HostMonitor

class Holder: pass

def until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.005)

def in_child(work):
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0

def files():
    return len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0

monitor, holder = HostMonitor.shared(), Holder()
"""


def run(script: str) -> None:
    """Run a script in an interpreter of its own, which nothing else has threads in."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-W", "ignore:.*fork:DeprecationWarning", "-c", PREAMBLE + script],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_child_starts_its_own_thread_with_its_first_call() -> None:
    """A server that forks its workers after loading the application."""
    run("""
before = files()
monitor.acquire(holder)
until(monitor.latest)
window = monitor.start_window("127.0.0.1", 11434)

def child():
    assert threading.active_count() == 1
    assert files() <= before + 1, (files(), before)
    assert not monitor.is_running
    load = window.load()
    assert load is None or load.process_cpu_s is None or load.process_cpu_s >= 0
    own = monitor.start_window("127.0.0.1", 11434)
    assert monitor.is_running
    until(monitor.latest)
    until(lambda: (load := own.load()) and load.samples)
    assert monitor.latest().process.rss_bytes > 1_000_000
    monitor.release(holder)
    until(lambda: threading.active_count() == 1)

in_child(child)
assert monitor.is_running
assert monitor.latest() is not None
monitor.release(holder)
""")


def test_a_child_that_needs_none_has_no_thread() -> None:
    """The parent's holders are not its own to count."""
    run("""
monitor.acquire(holder)

def child():
    assert threading.active_count() == 1
    monitor.release(holder)
    assert monitor.latest() is None

in_child(child)
""")


def test_forking_at_any_moment_of_the_start_is_safe() -> None:
    """Amid the thread's imports, too: their locks have no owner in the child."""
    run("""
for pause in range(30):
    for name in [n for n in sys.modules if n.startswith(("ollameter.host.machine", "psutil"))]:
        del sys.modules[name]
    own = HostMonitor()
    own.acquire(holder)
    time.sleep(0.004 + pause / 2500)

    def child():
        until(own.latest)

    in_child(child)
    own.release(holder)
""")


def test_a_fork_before_any_use_is_nothing() -> None:
    """Nothing was registered, nothing is to be forgotten."""
    run("""
def child():
    monitor.acquire(holder)
    until(monitor.latest)

in_child(child)
assert threading.active_count() == 1
""")


def test_what_a_fork_leaves_behind_is_forgotten() -> None:
    """The child's side of it, without a fork: locks are new, files closed, the thread is not ours."""
    file = KeptFile("/proc/self/stat")
    monitor, holder = HostMonitor(probes=lambda servers: staged_probes()), Holder()
    monitor.acquire(holder)
    until(monitor.latest)
    run_of_parent, lock = monitor._run, monitor._lock
    file.read()
    LOADING.acquire()  # as before the fork

    _after_fork()

    assert not LOADING.locked()
    assert not monitor.is_running
    assert monitor._lock is not lock
    assert file._descriptor is None
    monitor.acquire(holder)
    until(monitor.latest)
    monitor.release(holder)
    assert run_of_parent is not None
    run_of_parent.stop()


def test_importing_reads_nothing_and_imports_little() -> None:
    """No psutil, no NVML, no thread; not even a socket."""
    script = """
import sys, threading
before = set(sys.modules)
import ollameter.host.monitor
new = sys.modules.keys() - before
assert not {"psutil", "pynvml", "ctypes", "asyncio", "socket", "opentelemetry"} & new, new
assert threading.active_count() == 1
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
