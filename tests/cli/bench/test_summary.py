"""A run is summed up by its calls' own metrics, and compared with the reason the machine gives."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from ollameter import InvalidRequest
from ollameter.cli.bench.record import Run, load_run
from ollameter.cli.bench.summary import compare_groups, compare_models, compare_runs, summaries
from ollameter.cli.bench.tables import comparison_lines, summary_table
from tests.cli.bench.made_up import call, run_of, steady

NAMES = ("before", "now")


def test_a_summary_is_made_of_the_metrics() -> None:
    """Means of the phases, medians of the rest, all tokens over the wall time of the group."""
    calls = [call(0.0, speed=50), call(0.0, speed=100), call(3.0, failed=True)]
    (found,) = summaries(run_of(*calls))

    assert (found.model, found.concurrency, found.calls, found.failed) == ("m", 1, 3, 1)
    assert found.tokens_per_second is not None
    assert found.tokens_per_second.median == pytest.approx(75)
    assert found.time_to_first_chunk_s is not None
    assert found.time_to_first_chunk_s.count == 2
    assert (found.load_s, found.prompt_eval_s) == pytest.approx((0.1, 0.2))
    assert found.queue_s == pytest.approx(0.2)
    assert found.eval_s == pytest.approx(1.5)
    assert found.throughput == pytest.approx(202 / 3.1)
    assert found.cpu_utilization == pytest.approx(0.5)


def test_groups_are_kept_apart_in_their_order() -> None:
    """By model, by how many at once, and by whether the model had to be loaded."""
    calls = [call(0, cold=True), call(1), call(2, concurrency=4), call(3, model="other")]
    found = summaries(run_of(*calls))

    assert [(s.model, s.concurrency, s.cold) for s in found] == [
        ("m", 1, True), ("m", 1, False), ("m", 4, False), ("other", 1, False)
    ]  # fmt: skip


def test_a_run_on_a_busy_machine_is_slower_and_the_load_explains_it() -> None:
    """Half the speed, and a processor that is busy with something else."""
    idle, busy = run_of(*steady(cpu=0.47)), run_of(*steady(speed=25, cpu=0.98))
    (found,) = compare_runs(idle, busy, NAMES)

    assert found.verdict == "slower"
    assert found.reason == (
        "CPU 98% busy (Ollama 45%, others 53%) against 47% busy (Ollama 45%, others 2%)"
    )
    assert any("slower" in line for line in comparison_lines([found]))


@pytest.mark.parametrize(("speed", "verdict"), [(50, "no difference"), (80, "faster"), (20, "slower")])
def test_two_models_of_a_run_are_compared(speed: float, verdict: str) -> None:
    """The second against the first."""
    run = run_of(*steady(), *steady(model="other", speed=speed))

    assert [found.verdict for found in compare_models(run)] == [verdict]


def test_a_later_start_with_faster_decoding_is_mixed_and_few_calls_say_nothing() -> None:
    """Neither is rounded to a verdict."""
    late = [
        msgspec.structs.replace(c, metrics=msgspec.structs.replace(c.metrics, time_to_first_chunk_s=2.0))
        for c in steady(speed=100)
    ]

    assert compare_groups(steady(3), steady(3, speed=5), NAMES).verdict == "too few calls"
    assert compare_groups(steady(), late, NAMES).verdict == "mixed"


def test_a_run_survives_its_file(tmp_path: Path) -> None:
    """With every call's metrics."""
    run, path = run_of(*steady(3), call(9, failed=True)), tmp_path / "run.json"
    run.save(path)

    assert load_run(path) == run
    assert summaries(load_run(path)) == summaries(run)


@pytest.mark.parametrize("text", ["", "{}", "[1]", "not json"])
def test_another_file_is_refused_by_name(tmp_path: Path, text: str) -> None:
    """And so is a run of another format."""
    path = tmp_path / "other.json"
    path.write_text(text)

    with pytest.raises(InvalidRequest, match="other.json"):
        load_run(path)


def test_a_run_of_another_format_is_refused(tmp_path: Path) -> None:
    """Its number is named."""
    run, path = run_of(), tmp_path / "run.json"
    Run(started_at=run.started_at, machine={}, settings={}, format=99).save(path)

    with pytest.raises(InvalidRequest, match="format 99"):
        load_run(path)


def test_a_table_has_a_column_a_group() -> None:
    """What is unknown is a dash."""
    table = summary_table(summaries(run_of(*steady(2), call(9, model="broken", failed=True))))

    assert len(table.columns) == 3
    assert list(table.columns[2].cells)[:2] == ["1, 1 failed", "-"]
