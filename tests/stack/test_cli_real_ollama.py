"""The command on the real Ollama: its numbers are the metrics', and its comparisons are right."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.cli.terminal import run
from tests.stack.servers import RealOllama

BURN = "import time; end = time.monotonic() + 120\nwhile time.monotonic() < end: pass"
TRIES = 3  # a shared machine may change its pace between two runs


@contextmanager
def busy_machine() -> Iterator[None]:
    """Keep every processor busy with something else, two minutes at most."""
    burners = [subprocess.Popen([sys.executable, "-c", BURN]) for _ in range(2 * (psutil.cpu_count() or 1))]
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.wait(10)


def bench(server: RealOllama, path: Path, *more: str) -> Any:
    """Run a small benchmark, save it, and return what was printed."""
    asked = ("bench", server.model, "-n", "4", "--num-predict", "16", "--warm-up", "2", "--json")
    ran = run(*asked, "--save", str(path), *more, host=server.base_url)
    assert ran.code == 0, ran.err
    return ran.data


def test_a_benchmarks_numbers_are_those_of_the_metrics(real_ollama: RealOllama, tmp_path: Path) -> None:
    """Of every call, as they were returned; each answer is whole, and the sums are of these calls."""
    printed = bench(real_ollama, tmp_path / "run.json", "-c", "1,2")
    calls = [(call["concurrency"], call["metrics"]) for call in printed["run"]["calls"]]

    assert json.loads((tmp_path / "run.json").read_text()) == printed["run"]
    for summary in printed["summaries"]:
        mine = [metrics for level, metrics in calls if level == summary["concurrency"]]
        assert summary["calls"] == len(mine) == 12
        assert {metrics["outcome"] for metrics in mine} == {"completed"}
        speeds = [(m["eval_count"] - 1) * 1e9 / m["eval_duration"] for m in mine]
        assert summary["tokens_per_second"]["median"] == pytest.approx(statistics.median(speeds))
        waits = [m["time_to_first_chunk_s"] for m in mine]
        assert summary["time_to_first_chunk_s"]["median"] == pytest.approx(statistics.median(waits))
        assert summary["prompt_eval_s"] == pytest.approx(
            statistics.mean(m["prompt_eval_duration"] / 1e9 for m in mine)
        )
    assert printed["run"]["machine"]["ollama"] == real_ollama.version


def test_two_runs_of_one_model_do_not_differ(real_ollama: RealOllama, tmp_path: Path) -> None:
    """At least one pair in three, since others work on this machine, too."""
    verdicts = []
    for attempt in range(TRIES):
        first = tmp_path / f"{attempt}.json"
        bench(real_ollama, first)
        (found,) = bench(real_ollama, tmp_path / "second.json", "--compare", str(first))["comparisons"]
        verdicts.append(found["verdict"])
        if found["verdict"] == "no difference":
            break

    assert "no difference" in verdicts


def test_a_run_on_a_loaded_machine_is_slower_and_the_load_explains_it(
    real_ollama: RealOllama, tmp_path: Path
) -> None:
    """Against one on the machine as it was before."""
    idle = tmp_path / "idle.json"
    bench(real_ollama, idle)
    with busy_machine():
        (found,) = bench(real_ollama, tmp_path / "busy.json", "--compare", str(idle))["comparisons"]

    assert found["verdict"] == "slower"
    assert found["reason"].startswith(("CPU 100% busy", "CPU 9"))
    assert "Ollama" in found["reason"]


def test_top_shows_the_loaded_model_and_ollamas_processes(real_ollama: RealOllama) -> None:
    """After a call, with the time until the model leaves."""
    run("chat", "-m", real_ollama.model, "--num-predict", "1", "x", host=real_ollama.base_url)
    seen = run("top", "--once", "--json", host=real_ollama.base_url).data

    (model,) = seen["models"]
    assert model["name"] == real_ollama.model
    assert 0 < model["unloads_in_s"] <= 300
    (server,) = seen["ollama"]
    assert server["processes"] == 2
    assert server["rss_bytes"] > 50 << 20


def test_doctor_and_models_see_the_real_server(real_ollama: RealOllama) -> None:
    """A call works; the model is listed with what Ollama knows of it."""
    examined = run("doctor", host=real_ollama.base_url)
    (model,) = run("models", "--json", host=real_ollama.base_url).data

    assert examined.code == 0, examined.out
    assert f"ok  call: chat {real_ollama.model}: completed" in examined.out
    assert model["loaded"] is True
    assert (model["quantization"], model["context_length"]) == ("Q4_1", 8192)
