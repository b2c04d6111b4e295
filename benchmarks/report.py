"""A run as tables, in Markdown or HTML: the targets, everything side by side, the accuracy, the machine."""

from __future__ import annotations

import html
import platform
import statistics
from collections.abc import Container, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, ratio
from benchmarks.micro import CALIBRATION
from benchmarks.sections import AT_ONCE, CHUNKS, PER_SECOND, Results
from benchmarks.targets import rows
from benchmarks.variants import OURS, VARIANTS


@dataclass(frozen=True)
class Table:
    """A table and what has to be said of it."""

    title: str
    head: Sequence[str]
    body: Sequence[Sequence[str]]
    note: str = ""

    def markdown(self) -> str:
        """Return it as Markdown."""
        lines = [self.head, ["---"] * len(self.head), *self.body]
        table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
        return "\n\n".join(part for part in (f"## {self.title}", table, self.note) if part)

    def html(self) -> str:
        """Return it as HTML."""
        head = "".join(f"<th>{html.escape(cell)}</th>" for cell in self.head)
        body = "\n".join(
            "<tr>" + "".join(f"<td>{html.escape(cell.replace('**', ''))}</td>" for cell in cells) + "</tr>"
            for cells in self.body
        )
        note = f"<p>{html.escape(self.note)}</p>" if self.note else ""
        return f"<h2>{html.escape(self.title)}</h2>\n<table>\n<tr>{head}</tr>\n{body}\n</table>\n{note}"


def machine() -> dict[str, str]:
    """Describe the machine and the versions that were measured."""
    names = ("requests", "urllib3", "aiohttp", "msgspec", "psutil", "opentelemetry-sdk")
    cpuinfo = _lines("/proc/cpuinfo")
    models = [line.split(":", 1)[1].strip() for line in cpuinfo if line.startswith("model name")]
    return {
        "measured at": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": f"{models[0] if models else platform.processor()}, {len(models)} logical",
        "memory": next((line.split(":")[1].strip() for line in _lines("/proc/meminfo")), "?"),
        "system": platform.platform(),
        "Python": platform.python_version(),
        **{name: version(name) for name in names},
    }


def tables(found: Results, earlier: Sequence[Results] = ()) -> list[Table]:
    """Return what a run found; sections that were left out are left out here."""
    made = [_targets(found), _runs([*earlier, found]), _side_by_side(found), _concurrent(found)]
    made += [_imports(found), _accuracy(found), _micro(found), _server(found), _machine(found)]
    return [table for table in made if table.body]


def markdown(found: Results, earlier: Sequence[Results] = ()) -> str:
    """Return the whole report as Markdown; `earlier` runs are set beside the last one."""
    parts = [table.markdown() for table in tables(found, earlier)]
    return "# Performance: results\n\n" + "\n\n".join(parts) + "\n"


def as_html(found: Results, earlier: Sequence[Results] = ()) -> str:
    """Return the whole report as one HTML page; `earlier` runs are set beside the last one."""
    body = "\n".join(table.html() for table in tables(found, earlier))
    style = "body{font-family:sans-serif}td,th{padding:.2em .8em;text-align:left;border-top:1px solid #ccc}"
    return f"<!doctype html><meta charset=utf-8><title>Performance</title><style>{style}</style>\n{body}\n"


def _targets(found: Results) -> Table:
    body = [(row.number, row.work, row.target, row.measured, row.met) for row in rows(found)]
    note = (
        "Medians over rounds, with quartiles. CPU is `process_time` of the client process; ratios are "
        "taken round by round, so that what disturbs a round disturbs both sides of it."
    )
    if micro := found.get("micro"):
        note += (
            f" Calibration for the rows in µs, ms and shares of a core: `json.loads` of one chunk line "
            f"takes {micro[CALIBRATION]:.1f} µs here; where these targets were set it took 1.9."
        )
    return Table("Targets", ("row", "work", "target", "measured", "met"), body, note)


def _runs(found: Sequence[Results]) -> Table:
    """Set the medians of several runs beside each other: how far they are apart, of their middle."""
    body = []
    for same in zip(*map(rows, found), strict=True) if len(found) > 1 else ():
        known = [row.figure.median for row in same if row.figure is not None]
        middle = statistics.median(known) if known else 0.0
        apart = f"{(max(known) - min(known)) / abs(middle):.0%}" if middle else ""
        body.append((same[0].number, same[0].work, *(row.median for row in same), apart))
    head = ("row", "work", *(f"run {n}" for n in range(1, len(found) + 1)), "apart")
    note = "Medians; apart: the greatest less the smallest, as a share of the middle one."
    return Table("The runs", head, body, note)


def _in_order(found: Container[str]) -> list[str]:
    """Return variants in the order in which they are described, whichever was measured first."""
    return [name for name in VARIANTS if name in found]


def _side_by_side(found: Results) -> Table:
    calls, chunks = found.get("calls", {}), found.get("chunks", {})
    body = [
        (
            name,
            Figure.of(calls[name]).text(0),
            ratio(calls[name], calls["requests"]).text(),
            Figure.of(chunks[name]).text(),
            ratio(chunks[name], chunks["requests"]).text(),
        )
        for name in _in_order(calls)
    ]
    head = ("variant", "µs a call", "against requests", "µs a chunk", "against requests")
    note = (
        f"A call is one whole answer; a chunk is one line of a stream of {CHUNKS:,}, as fast as it comes."
    )
    return Table("Side by side: CPU", head, body, note)


def _concurrent(found: Results) -> Table:
    streams, crowd = found.get("streams", {}), found.get("crowd", {})
    body = []
    for name in _in_order(next(iter(streams.values()), {})):
        cells = [Figure.of(streams[n][name]).text(0) if n in streams else "" for n in map(str, AT_ONCE)]
        told = crowd.get(name)
        cells += (
            ["", "", ""]
            if told is None
            else [
                Figure.of([r["core"] * 100 for r in told]).text(0, " %"),
                Figure.of([r["late_p50_s"] * 1e3 for r in told]).text(2, " ms"),
                Figure.of([r["late_p99_s"] * 1e3 for r in told]).text(2, " ms"),
            ]
        )
        body.append((name, *cells))
    paced = f"at {PER_SECOND} chunks/s"
    head = ("variant", *(f"streams/s, {n} at once" for n in AT_ONCE), f"share of a core, 512 {paced}",
            "late, p50", "late, p99")  # fmt: skip
    return Table("Side by side: many streams on one event loop", head, body)


def _accuracy(found: Results) -> Table:
    body = []
    for framing, told in found.get("accuracy", {}).items():
        for name, runs in told.items():
            late = [late * 1e3 for run in runs for late in run["late_s"]]
            body.append(
                (
                    framing,
                    name,
                    Figure.of([run["late_s"][0] * 1e3 for run in runs]).text(2),
                    f"{Figure.of(late).median:.2f}, {max(late):.2f}",
                    _off(runs, "first_chunk_s"),
                    _off(runs, "duration_s"),
                )
            )
    head = ("framing", "variant", "first chunk delivered late, ms", "any chunk: median, worst, ms",
            "reported first chunk less server's, ms", "reported duration less server's, ms")  # fmt: skip
    note = "Late: after the server wrote the chunk, by the same clock. Blank: not reported."
    return Table("Accuracy", head, body, note)


def _imports(found: Results) -> Table:
    told = found.get("imports", {})
    base = [run["cpu_s"] for run in told.get("import requests", ())]
    body = [
        (
            name,
            Figure.of([run["cpu_s"] * 1e3 for run in runs]).text(0),
            ratio([run["cpu_s"] for run in runs], base).text(),
            Figure.of([run["rss_bytes"] / (1 << 20) for run in runs]).text(1),
        )
        for name, runs in told.items()
    ]
    head = ("fresh interpreter", "ms of CPU", "against import requests", "resident, MiB")
    return Table(
        "Side by side: imports", head, body, "After the first call: one whole chat, without an SDK."
    )


def _off(runs: Sequence[dict[str, Any]], name: str) -> str:
    known = [(run[name] - run[f"server_{name}"]) * 1e3 for run in runs if run[name] is not None]
    return Figure.of(known).text(2) if known else ""


def _micro(found: Results) -> Table:
    body = [(name, f"{us:.2f}") for name, us in found.get("micro", {}).items()]
    return Table("Single steps", ("step", "µs of CPU"), body)


def _server(found: Results) -> Table:
    told = {**found.get("server", {})}
    if crowd := found.get("crowd"):
        told["512 streams at 50 chunks/s"] = crowd[OURS][-1]["server"]
    body = [
        (name, f"{r['busy']:.0%}", str(r["requests"]), str(r["paced"]), f"{r['late_p99_us'] / 1e3:.2f}")
        for name, r in told.items()
    ]
    head = ("section", "busy", "requests", "paced pieces", "its own lateness, p99, ms")
    return Table(
        "The fake server", head, body, "It has a processor of its own; it is never the bottleneck."
    )


def _machine(found: Results) -> Table:
    return Table("Machine", ("what", "is"), list(found.get("machine", {}).items()))


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
