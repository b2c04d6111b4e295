"""The host monitor beside the real Ollama: finds it, measures it, finds it again."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from ollameter.host.monitor import HostMonitor
from ollameter.host.readings import ServerUse
from tests.host.costs import monitor_share
from tests.host.staged import Holder, until
from tests.host.truth import CPUS, next_sample
from tests.stack.loopback import fetch_json
from tests.stack.servers import RealOllama


@pytest.fixture
def monitor() -> Iterator[HostMonitor]:
    """A monitor of this machine at its default rates."""
    monitor, holder = HostMonitor(), Holder()
    monitor.acquire(holder)
    yield monitor
    monitor.release(holder)


@pytest.fixture
def own_ollama(ollama_prefix: Path, tmp_path: Path) -> Iterator[RealOllama]:
    """A server that a test may kill."""
    with RealOllama(ollama_prefix, folder=tmp_path) as server:
        yield server


def key_of(server: RealOllama) -> tuple[str, int]:
    """Return the server's address as a client has it."""
    host, _, port = server.address("http").rpartition(":")
    return host, int(port)


def seen(monitor: HostMonitor, server: RealOllama) -> ServerUse | None:
    """Return what the monitor knows of the server now."""
    snapshot = monitor.latest()
    return None if snapshot is None else snapshot.servers.get(key_of(server))


def processes(server: RealOllama) -> list[psutil.Process]:
    """Return by psutil the server and its runners."""
    root = psutil.Process(server.pid)
    return [root, *root.children(recursive=True)]


def generate(server: RealOllama, tokens: int) -> None:
    """Have it work."""
    options = {"num_predict": tokens, "temperature": 0, "seed": 1}
    body = {"model": server.model, "prompt": "Count to a hundred.", "stream": False, "options": options}
    fetch_json(f"{server.base_url}/api/generate", body, timeout_s=240.0)


@contextmanager
def at_work(server: RealOllama) -> Iterator[None]:
    """Keep it at work, one short answer after the other."""
    done = threading.Event()

    def work() -> None:
        while not done.is_set():
            generate(server, 16)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        yield
    finally:
        done.set()
        worker.join(240.0)


def cpu_s(server: RealOllama) -> float:
    """Return by psutil how much CPU time all of it has had."""
    return float(sum(sum(process.cpu_times()[:2]) for process in processes(server)))


def test_server_and_runner_are_found(monitor: HostMonitor, real_ollama: RealOllama) -> None:
    """By port and by descent; the runner as soon as there is one."""
    monitor.watch(*key_of(real_ollama))
    generate(real_ollama, 1)

    until(lambda: (use := seen(monitor, real_ollama)) and len(use.pids) == 2, 10.0)

    use = seen(monitor, real_ollama)
    assert use is not None
    assert set(use.pids) == {process.pid for process in processes(real_ollama)}
    assert use.threads == pytest.approx(sum(p.num_threads() for p in processes(real_ollama)), abs=4)


def test_its_cpu_and_memory_agree_with_psutil(monitor: HostMonitor, real_ollama: RealOllama) -> None:
    """Within 5 % over a call of four seconds, as the call is told and as the gauge shows."""
    monitor.watch(*key_of(real_ollama))
    generate(real_ollama, 1)
    until(lambda: (use := seen(monitor, real_ollama)) and len(use.pids) == 2, 10.0)

    with at_work(real_ollama):
        next_sample(monitor)
        window, begin_s, begin_cpu_s = monitor.start_window(*key_of(real_ollama)), time.perf_counter(), 0.0
        begin_cpu_s = cpu_s(real_ollama)
        until(lambda: time.perf_counter() - begin_s > 4.0, 10.0)
        next_sample(monitor)
        load, used_s = window.load(), cpu_s(real_ollama) - begin_cpu_s
        elapsed_s = time.perf_counter() - begin_s
        next_sample(monitor)
        use, rss = seen(monitor, real_ollama), sum(p.memory_info().rss for p in processes(real_ollama))

    assert load is not None
    assert use is not None
    assert load.server_is_local is True
    assert load.ollama_cpu_utilization_mean == pytest.approx(used_s / elapsed_s / CPUS, rel=0.05)
    assert use.cpu_utilization is not None
    assert use.rss_bytes == pytest.approx(rss, rel=0.05)
    assert load.ollama_rss_bytes_peak == pytest.approx(rss, rel=0.05)


def test_a_killed_and_restarted_server_is_found_again(monitor: HostMonitor, own_ollama: RealOllama) -> None:
    """With its new process, on the old port; meanwhile there are no figures rather than old ones."""
    monitor.watch(*key_of(own_ollama))
    until(lambda: seen(monitor, own_ollama), 10.0)
    first = own_ollama.pid

    own_ollama.kill()
    until(lambda: seen(monitor, own_ollama) is None, 5.0)
    own_ollama.start()

    until(lambda: seen(monitor, own_ollama), 10.0)
    use = seen(monitor, own_ollama)
    assert use is not None
    assert use.pids == (own_ollama.pid,)
    assert own_ollama.pid != first


def test_sampling_it_takes_a_third_of_a_percent_of_a_core(
    monitor: HostMonitor, real_ollama: RealOllama
) -> None:
    """With a server and a runner to read at every tick; threefold room for a busy machine."""
    host, port = key_of(real_ollama)
    monitor.watch(host, port)
    generate(real_ollama, 1)
    until(lambda: (use := seen(monitor, real_ollama)) and len(use.pids) == 2, 10.0)

    assert min(monitor_share(4.0, port) for _ in range(2)) <= 0.009
