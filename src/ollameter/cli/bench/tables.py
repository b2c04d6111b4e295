"""A run's summaries and comparisons as tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from ollameter.cli.bench.statistics import Difference, Distribution
from ollameter.cli.bench.summary import Comparison, Summary

UNKNOWN = "-"


def summary_table(found: Sequence[Summary]) -> Table:
    """Return one row a group: median, 95th percentile and spread (between the quartiles)."""
    table = Table(title="median / p95 / spread", title_justify="left")
    for column in ("model", "at once"):
        table.add_column(column)
    for column in ("calls", "tok/s", "first chunk s", "whole call s", "load s", "queue s", "prompt s",
                   "decode s", "all tok/s", "CPU", "Ollama"):  # fmt: skip
        table.add_column(column, justify="right")
    for s in found:
        table.add_row(
            s.model,
            "cold" if s.cold else str(s.concurrency),
            f"{s.calls}" if not s.failed else f"{s.calls} ({s.failed} failed)",
            _distribution(s.tokens_per_second, 1),
            _distribution(s.time_to_first_chunk_s, 3),
            _distribution(s.duration_s, 3),
            *(_seconds(value) for value in (s.load_s, s.queue_s, s.prompt_eval_s, s.eval_s)),
            UNKNOWN if s.throughput is None else f"{s.throughput:.1f}",
            _share(s.cpu_utilization),
            _share(s.ollama_cpu_utilization),
        )
    return table


def comparison_lines(found: Sequence[Comparison]) -> list[str]:
    """Return what the comparisons say, a few lines each."""
    lines: list[str] = []
    for comparison in found:
        lines.append(f"{comparison.second} against {comparison.first}: {comparison.verdict}")
        if comparison.reason:
            lines.append(f"  {comparison.reason}")
        for name, difference in (
            ("tok/s", comparison.tokens_per_second),
            ("first chunk", comparison.time_to_first_chunk_s),
            ("whole call", comparison.duration_s),
        ):
            if difference is not None:
                lines.append(f"  {name:<12}{_difference(difference)}")
    return lines


def _difference(d: Difference) -> str:
    interval = f"99 % interval {d.low:.2f} to {d.high:.2f}"
    return f"{d.first:.3f} -> {d.second:.3f}  x{d.ratio:.2f} ({interval}): {d.direction}"


def _distribution(d: Distribution | None, digits: int) -> str:
    if d is None:
        return UNKNOWN
    return f"{d.median:.{digits}f} / {d.p95:.{digits}f} / {d.spread:.{digits}f}"


def _seconds(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.3f}"


def _share(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.0%}"
