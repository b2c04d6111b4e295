"""A run's summaries and comparisons as tables for a terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.table import Table

from ollameter.cli.bench.statistics import Difference, Distribution
from ollameter.cli.bench.summary import Comparison, Summary
from ollameter.cli.sizes import UNKNOWN, share_text


def summary_table(found: Sequence[Summary]) -> Table:
    """Return one column a group; of a distribution its median, 95th percentile and spread (quartiles)."""
    table = Table("")
    for s in found:
        table.add_column(
            f"{s.model}\n{'cold start' if s.cold else f'{s.concurrency} at once'}", justify="right"
        )
    for name, shown in _ROWS:
        table.add_row(name, *(shown(s) for s in found))
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


def _failed(s: Summary) -> str:
    return f"{s.calls}, {s.failed} failed" if s.failed else str(s.calls)


def _seconds(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.3f}"


_ROWS: tuple[tuple[str, Callable[[Summary], str]], ...] = (
    ("calls", _failed),
    ("tok/s: median / p95 / spread", lambda s: _distribution(s.tokens_per_second, 1)),
    ("first chunk, s", lambda s: _distribution(s.time_to_first_chunk_s, 3)),
    ("whole call, s", lambda s: _distribution(s.duration_s, 3)),
    ("load, s (mean)", lambda s: _seconds(s.load_s)),
    ("queue, s (mean)", lambda s: _seconds(s.queue_s)),
    ("prompt, s (mean)", lambda s: _seconds(s.prompt_eval_s)),
    ("decode, s (mean)", lambda s: _seconds(s.eval_s)),
    ("all together, tok/s", lambda s: UNKNOWN if s.throughput is None else f"{s.throughput:.1f}"),
    ("CPU busy", lambda s: share_text(s.cpu_utilization)),
    ("of it Ollama", lambda s: share_text(s.ollama_cpu_utilization)),
)
