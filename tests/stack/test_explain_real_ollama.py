"""`explain()` on the real Ollama: cold, warm, queued and busy are four different verdicts."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from ollameter import HostMonitor, OllamaProvider, PerformanceMetrics
from tests.host.staged import until
from tests.stack.servers import RealOllama

PROMPT = "1 2 3 4 5 6 7 8 9 10 11 12"  # a row that the model goes on with for as long as it may
BURN = "import time; end = time.monotonic() + {}\nwhile time.monotonic() < end: pass"
SLOT, LOADED, BUSY = "waited for a slot, most likely: ", "loaded the model for ", "busy box: "


@pytest.fixture(scope="module")
def llm(ollama_prefix: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OllamaProvider]:
    """A provider with a server of its own that has one slot and has loaded nothing yet."""
    folder = tmp_path_factory.mktemp("ollama")
    with (
        RealOllama(ollama_prefix, folder=folder, env={"OLLAMA_NUM_PARALLEL": "1"}) as server,
        OllamaProvider(server.base_url, model=server.model) as provider,
    ):
        until(HostMonitor.shared().latest)
        yield provider


def count(llm: OllamaProvider, tokens: int, stop: str = "no such answer") -> PerformanceMetrics:
    """Return the metrics of an answer of so many tokens, or up to what ends it.

    One thread: several would wait for each other as soon as a core has something else to do.
    """
    options = {"num_predict": tokens, "temperature": 0, "seed": 1, "stop": [stop], "num_thread": 1}
    return llm.generate(PROMPT, raw=True, options=options).metrics


@contextmanager
def burners(seconds: int) -> Iterator[None]:
    """Keep every processor busy with something else, no longer than this."""
    command = [sys.executable, "-c", BURN.format(seconds)]
    started = [subprocess.Popen(command) for _ in range(psutil.cpu_count() or 1)]
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait(10)


def starts(metrics: PerformanceMetrics) -> set[str]:
    """Return which of the verdicts are among the sentences."""
    said = metrics.explain()
    return {start for start in (SLOT, LOADED, BUSY) if any(one.startswith(start) for one in said)}


def test_the_first_call_loads_the_model(llm: OllamaProvider) -> None:
    """It says for how long, which is what the server says."""
    metrics = count(llm, 4)

    assert LOADED in starts(metrics)
    assert SLOT not in starts(metrics)
    assert metrics.explain()[0].startswith(f"{LOADED}{metrics.load_s:.2f} s")


def test_a_warm_call_is_neither_loaded_nor_queued(llm: OllamaProvider) -> None:
    """Nothing stands out, but for what others do on this machine meanwhile, when they do."""
    count(llm, 4)
    calls = [count(llm, 16, stop="14") for _ in range(10)]

    assert not any(starts(metrics) & {SLOT, LOADED} for metrics in calls)
    for metrics in calls:
        host, (sentence,) = metrics.host, metrics.explain()
        assert host is not None
        is_quiet = host.samples < 4 or (host.cpu_utilization_mean or 0.0) < 0.9
        assert sentence.startswith(f"nothing stands out: {metrics}" if is_quiet else BUSY), sentence


def test_the_later_of_two_calls_waits_for_the_only_slot(llm: OllamaProvider) -> None:
    """As long as the other one takes; the earlier one does not wait."""
    count(llm, 4)
    both: list[PerformanceMetrics] = []
    gate = threading.Barrier(2)

    def call() -> None:
        gate.wait(30.0)
        both.append(count(llm, 48))

    threads = [threading.Thread(target=call) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(240.0)

    earlier, later = sorted(both, key=lambda metrics: metrics.duration_s)
    assert SLOT in starts(later)
    assert not starts(earlier) & {SLOT, LOADED}
    assert LOADED not in starts(later)
    assert later.unattributed_s is not None
    assert earlier.total_s is not None
    assert later.unattributed_s == pytest.approx(earlier.total_s, rel=0.25)


def test_a_busy_machine_is_told_from_a_slow_model(llm: OllamaProvider) -> None:
    """While every processor has something else to do; Ollama's share is told beside the others'."""
    count(llm, 4)
    with burners(120):
        time_limit_s = time.monotonic() + 100.0
        tokens, metrics = 16, count(llm, 16)
        while metrics.duration_s < 2.0 and time.monotonic() < time_limit_s:
            tokens *= 2
            metrics = count(llm, tokens)

    assert starts(metrics) == {BUSY}
    assert metrics.host is not None
    assert metrics.host.cpu_utilization_mean is not None
    assert metrics.host.ollama_cpu_utilization_mean is not None
    assert metrics.host.cpu_utilization_mean - metrics.host.ollama_cpu_utilization_mean >= 0.25
