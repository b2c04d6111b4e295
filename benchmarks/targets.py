"""The targets, and what a run has to say of each: a figure, and whether it is met."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.figures import Figure, by_round, difference, ratio
from benchmarks.sections import Results
from benchmarks.variants import CUT_OUT, OURS

_MIB = 1 << 20


@dataclass(frozen=True)
class Row:
    """One target: what it bounds, the bound, and what was measured (None: it could not be)."""

    number: str
    work: str
    bound: float
    figure: Figure | None
    unit: str = "x"
    digits: int = 2
    at_least: bool = False

    @property
    def target(self) -> str:
        """The bound in words."""
        return f"{'≥' if self.at_least else '≤'} {self.bound:g}{self.unit}"

    @property
    def measured(self) -> str:
        """Median and quartiles in words."""
        return "not measured" if self.figure is None else self.figure.text(self.digits, self.unit)

    @property
    def median(self) -> str:
        """The median alone in words."""
        return "" if self.figure is None else f"{self.figure.median:.{self.digits}f}{self.unit}"

    @property
    def met(self) -> str:
        """Whether the median keeps the bound."""
        if self.figure is None:
            return ""
        kept = self.figure.median >= self.bound if self.at_least else self.figure.median <= self.bound
        return "yes" if kept else "**no**"


def rows(found: Results) -> list[Row]:
    """Return every row that the run has measured."""
    return [
        *_calls(found), *_chunks(found), *_accuracy(found), *_streams(found), *_crowd(found),
        *_imports(found), *_memory(found), *_monitor(found),
    ]  # fmt: skip


def _calls(found: Results) -> Iterator[Row]:
    calls = found.get("calls")
    if calls is None:
        return
    ours, base = calls[OURS], calls["requests"]
    yield Row("1", "chat with full telemetry, against bare requests", 0.85, ratio(ours, base))
    for peer, bound in (("ollama", 1.0), ("ollama + OpenLLMetry", 0.75), ("ollama + OpenLIT", 0.5)):
        figure = ratio(ours, calls[peer]) if peer in calls else None
        yield Row("2", f"chat with full telemetry, against {peer}", bound, figure)
    for name, bound in ((OURS, 0.35), ("ollameter, no SDK", 0.02)):
        added = difference(calls[name], calls[CUT_OUT])
        figure = added.scaled(1 / Figure.of(base).median)
        label = "sampled" if name == OURS else "without an SDK"
        yield Row(
            "3", f"what telemetry adds to a call, {label}, in bare requests calls", bound, figure, digits=3
        )


def _chunks(found: Results) -> Iterator[Row]:
    chunks = found.get("chunks")
    if chunks is None:
        return
    ours = chunks[OURS]
    for peer, bound in (("requests", 0.5), ("ollama + OpenLLMetry", 0.15), ("ollama + OpenLIT", 0.07)):
        figure = ratio(ours, chunks[peer]) if peer in chunks else None
        yield Row("4", f"a chunk of a stream of 4,096, against {peer}", bound, figure, digits=3)
    added = difference(ours, chunks[CUT_OUT])
    yield Row("5", "what telemetry adds to a chunk", 0.2, added, " µs", 3)
    times = difference(chunks["ollameter, arrival times"], chunks[CUT_OUT])
    yield Row("5", "the same, with the times between chunks taken", 0.3, times, " µs", 3)


def _accuracy(found: Results) -> Iterator[Row]:
    for framing, told in found.get("accuracy", {}).items():
        ours, base = told[OURS], told["http.client"]
        first = by_round(lambda a, b: (a - b) * 1e3, *([r["late_s"][0] for r in x] for x in (ours, base)))
        yield Row("6", f"first chunk later than http.client delivers it, {framing}", 0.5, first, " ms", 3)
        off = Figure.of([abs(r["first_chunk_s"] - r["server_first_chunk_s"]) * 1e3 for r in ours])
        yield Row("6", f"time to first chunk off the server's, {framing}", 1.0, off, " ms", 3)
        off = Figure.of([abs(r["duration_s"] / r["server_duration_s"] - 1) * 100 for r in ours])
        yield Row("6", f"duration off the server's, {framing}", 1.0, off, " %", 3)


def _streams(found: Results) -> Iterator[Row]:
    for at_once, bound in (("1", 4.5), ("64", 7.0), ("512", 20.0)):
        told = found.get("streams", {}).get(at_once)
        if told is not None:
            peer = told.get("ollama + OpenLLMetry")
            figure = None if peer is None else ratio(told[OURS], peer)
            work = f"streams/s, {at_once} at once, against ollama + OpenLLMetry"
            yield Row("7", work, bound, figure, at_least=True)


def _crowd(found: Results) -> Iterator[Row]:
    told = found.get("crowd", {}).get(OURS)
    if told is not None:
        core = Figure.of([r["core"] * 100 for r in told])
        late = Figure.of([r["late_p99_s"] * 1e3 for r in told])
        yield Row("8", "512 streams at 50 chunks/s, share of a core", 55, core, " %", 1)
        yield Row("8", "the same, p99 lateness", 2, late, " ms")


def _imports(found: Results) -> Iterator[Row]:
    told: Any = found.get("imports")
    if told is None:
        return
    cpu = {name: [r["cpu_s"] for r in runs] for name, runs in told.items()}
    called = "ollameter, after the first call"
    base = cpu["import requests"]
    yield Row("9", "import ollameter, against import requests", 0.75, ratio(cpu["import ollameter"], base))
    unwanted = {module for run in told["import ollameter"] for module in run["modules"]}
    yield Row("9", "unwanted modules it imports", 0, Figure.of([len(unwanted)]), "", 0)
    yield Row("9", "import and first call, against import requests", 1.9, ratio(cpu[called], base))
    memory = Figure.of([r["rss_bytes"] / _MIB for r in told[called]])
    yield Row("9", "memory after the first call", 34, memory, " MiB", 1)


def _memory(found: Results) -> Iterator[Row]:
    if resident := found.get("resident"):
        grown = [(after - resident[1]) / _MIB for after in resident[-1:]]
        yield Row("10", "memory grown over the last 80 % of many calls", 0.5, Figure.of(grown), " MiB")
    if told := found.get("gibibyte"):
        above = (told["peak"] - told["before"] - told["text"]) / _MIB
        yield Row("10", "a stream of 1 GiB, above the text kept", 5, Figure.of([above]), " MiB")


def _monitor(found: Results) -> Iterator[Row]:
    if "idle" in found:
        figure = Figure.of([found["idle"] * 100])
        yield Row("11", "the host monitor at its default rates, share of a core", 0.3, figure, " %", 3)
    micro = found.get("micro")
    if micro is not None:
        names = (
            ("host window: opened", 3),
            ("host window: summary of a short call", 40),
            ("host window: summary of a quarter of an hour", 40),
        )
        for name, bound in names:
            yield Row("11", name, bound, Figure.of([micro[name]]), " µs", 1)
