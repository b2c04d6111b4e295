"""A run as one HTML page that needs no network: pictures by plotly, tables that need no script."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from operator import attrgetter
from pathlib import Path
from string import Template

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from ollameter.cli.bench.html_tables import call_rows, comparison_block, facts, summary_rows
from ollameter.cli.bench.record import MeasuredCall, Run
from ollameter.cli.bench.summary import Comparison, Group, Summary, grouped, values_of

_PHASES = (
    ("load", "load_s", "#8c6bb1"),
    ("queue and rest", "queue_s", "#ef8a62"),
    ("prompt", "prompt_eval_s", "#67a9cf"),
    ("decode", "eval_s", "#1b9e77"),
)
_HEIGHT = 380
_PAGE = Template(Path(__file__).with_name("page.html").read_text(encoding="utf-8"))


def write_report(
    path: Path, run: Run, summaries: Sequence[Summary], comparisons: Sequence[Comparison]
) -> None:
    """Write the page."""
    path.write_text(report(run, summaries, comparisons), encoding="utf-8")


def report(run: Run, summaries: Sequence[Summary], comparisons: Sequence[Comparison]) -> str:
    """Return the page."""
    pictures = {
        "Where the time goes": phases(summaries),
        "Time to the first chunk": spread(run, "time_to_first_chunk_s", "s"),
        "Decoding speed": spread(run, "tokens_per_second", "tok/s"),
        "Throughput by calls at once": throughput(summaries),
        "The machine under the calls": load_over_time(run),
    }
    body = "\n".join(
        f"<section><h2>{html.escape(title)}</h2><div class=plot id=plot{number}></div></section>"
        for number, title in enumerate(pictures)
    )
    figures = [json.loads(figure.to_json()) for figure in pictures.values()]
    return _PAGE.substitute(
        started=html.escape(f"{run.started_at:%Y-%m-%d %H:%M} UTC"),
        machine=facts(run.machine),
        settings=facts({name: value for name, value in run.settings.items() if name != "prompts"}),
        comparisons=comparison_block(comparisons),
        summaries=summary_rows(summaries),
        calls=call_rows(run),
        pictures=body,
        # `</` would end the script in which it stands.
        figures=json.dumps(figures).replace("</", "<\\/"),
        plotly=get_plotlyjs(),
    )


def phases(summaries: Sequence[Summary]) -> go.Figure:
    """Return the mean seconds of each phase, stacked, one bar a group."""
    titles = [str(Group(s.model, s.concurrency, s.cold)) for s in summaries]
    bars = [
        go.Bar(
            name=name,
            y=titles,
            x=[getattr(s, field) for s in summaries],
            orientation="h",
            marker_color=color,
        )
        for name, field, color in _PHASES
    ]
    figure = go.Figure(bars)
    figure.update_layout(barmode="stack", xaxis_title="seconds, mean of a call", yaxis_autorange="reversed")
    return _laid_out(figure)


def spread(run: Run, field: str, unit: str) -> go.Figure:
    """Return every call's value of one number, and its quartiles, by group."""
    boxes = [
        go.Box(
            name=str(group), x=values_of(calls, attrgetter(field)), boxpoints="all", jitter=0.4, pointpos=0
        )
        for group, calls in grouped(run.calls).items()
    ]
    figure = go.Figure(boxes)
    figure.update_layout(xaxis_title=unit, xaxis_rangemode="tozero", showlegend=False)
    figure.update_yaxes(autorange="reversed")
    return _laid_out(figure)


def throughput(summaries: Sequence[Summary]) -> go.Figure:
    """Return all output tokens per second of wall time against how many calls ran at once."""
    figure = go.Figure()
    for model in dict.fromkeys(s.model for s in summaries):
        warm = [s for s in summaries if s.model == model and not s.cold]
        figure.add_scatter(
            name=model,
            x=[s.concurrency for s in warm],
            y=[s.throughput for s in warm],
            mode="lines+markers",
        )
    figure.update_layout(xaxis_title="calls at once", yaxis_title="tok/s in all", yaxis_rangemode="tozero")
    figure.update_xaxes(dtick=1 if len({s.concurrency for s in summaries}) < 9 else None)
    return _laid_out(figure)


def load_over_time(run: Run) -> go.Figure:
    """Return the load of processors and GPUs over the run, and each call as a line beneath."""
    figure, at = go.Figure(), [sample.at_s for sample in run.load]
    for name, field in (("CPU", "cpu"), ("CPU of Ollama", "ollama_cpu"), ("busiest GPU", "gpu")):
        values = [getattr(sample, field) for sample in run.load]
        if any(value is not None for value in values):
            figure.add_scatter(name=name, x=at, y=values, mode="lines")
    lanes = _lanes(run.calls)
    xs: list[float | None] = []
    ys: list[float | None] = []
    for call, lane in zip(run.calls, lanes, strict=True):
        xs += [call.at_s, call.at_s + call.metrics.duration_s, None]
        ys += [-0.05 * (1 + lane)] * 2 + [None]
    figure.add_scatter(name="calls", x=xs, y=ys, mode="lines", line={"width": 5})
    lowest = -0.05 * (2 + max(lanes, default=0))
    figure.update_layout(xaxis_title="seconds since the start", yaxis_title="share of all processors")
    figure.update_yaxes(range=[lowest, 1.05], tickformat=".0%", tickvals=[0, 0.25, 0.5, 0.75, 1])
    return _laid_out(figure)


def _lanes(calls: Sequence[MeasuredCall]) -> list[int]:
    """Return a row for each call, so that calls at the same time lie beside each other."""
    free_at: list[float] = []
    lanes = []
    for call in calls:
        lane = next((i for i, end in enumerate(free_at) if end <= call.at_s), len(free_at))
        if lane == len(free_at):
            free_at.append(0.0)
        free_at[lane] = call.at_s + call.metrics.duration_s
        lanes.append(lane)
    return lanes


def _laid_out(figure: go.Figure) -> go.Figure:
    figure.update_layout(
        template="none",
        height=_HEIGHT,
        margin={"l": 10, "r": 10, "t": 10, "b": 50},
        legend={"orientation": "h", "y": 1.12},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
    )
    figure.update_xaxes(automargin=True)
    figure.update_yaxes(automargin=True)
    return figure
