"""A run's tables as HTML: everything that the pictures show, readable without a script."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

from ollameter.cli.bench.record import Run
from ollameter.cli.bench.summary import Comparison, Group, Summary
from ollameter.cli.bench.tables import comparison_lines

_DISTRIBUTION = ("median", "p95", "spread")
_SUMMARY = (
    "group", "calls", "failed", *(f"tok/s {name}" for name in _DISTRIBUTION),
    *(f"first chunk s {name}" for name in _DISTRIBUTION),
    *(f"whole call s {name}" for name in _DISTRIBUTION),
    "load s", "queue s", "prompt s", "decode s", "all tok/s", "CPU", "Ollama CPU",
)  # fmt: skip
_CALL = (
    "model", "at once", "cold", "start s", "outcome", "whole call s", "first chunk s", "load s", "queue s",
    "prompt tok", "prompt s", "output tok", "decode s", "tok/s", "CPU", "Ollama CPU",
)  # fmt: skip


def facts(known: dict[str, Any]) -> str:
    """Return names and values in one line."""
    return " · ".join(
        f"{html.escape(name)} <b>{html.escape(str(value))}</b>" for name, value in known.items()
    )


def comparison_block(comparisons: Sequence[Comparison]) -> str:
    """Return what was compared, as text; nothing without a comparison."""
    lines = comparison_lines(comparisons)
    return f"<h2>Compared</h2><pre>{html.escape(chr(10).join(lines))}</pre>" if lines else ""


def summary_rows(summaries: Sequence[Summary]) -> str:
    """Return one row a group."""
    rows: list[list[Any]] = []
    for s in summaries:
        cells: list[Any] = [str(Group(s.model, s.concurrency, s.cold)), s.calls, s.failed]
        for found in (s.tokens_per_second, s.time_to_first_chunk_s, s.duration_s):
            cells += [None] * 3 if found is None else [found.median, found.p95, found.spread]
        cells += [s.load_s, s.queue_s, s.prompt_eval_s, s.eval_s, s.throughput]
        rows.append([*cells, s.cpu_utilization, s.ollama_cpu_utilization])
    return _table(_SUMMARY, rows)


def call_rows(run: Run) -> str:
    """Return one row a call."""
    rows: list[list[Any]] = []
    for call in run.calls:
        m, host = call.metrics, call.metrics.host
        what = [
            m.model,
            call.concurrency,
            "yes" if call.cold else "no",
            call.at_s,
            m.error_type or m.outcome,
        ]
        ours = [m.duration_s, m.time_to_first_chunk_s]
        theirs = [m.load_s, m.unattributed_s, m.input_tokens, m.prompt_eval_s, m.output_tokens, m.eval_s]
        busy = (
            [None, None] if host is None else [host.cpu_utilization_mean, host.ollama_cpu_utilization_mean]
        )
        rows.append([*what, *ours, *theirs, m.tokens_per_second, *(busy or [None, None])])
    return _table(_CALL, rows)


def _table(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    head = "".join(f"<th>{html.escape(name)}" for name in heads)
    body = "".join("<tr>" + "".join(f"<td>{_cell(value)}" for value in row) for row in rows)
    return f"<div class=wide><table><thead><tr>{head}<tbody>{body}</table></div>"


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else html.escape(str(value))
