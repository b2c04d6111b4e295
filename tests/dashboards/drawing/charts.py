"""Each kind of panel on axes of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from math import inf, isnan, log2
from typing import Any

import numpy
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, DateFormatter, date2num
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from tests.dashboards.drawing.answers import Series, Window, rows
from tests.dashboards.drawing.units import written

Json = Mapping[str, Any]

COLOURS = ("#3274D9", "#FF780A", "#37872D", "#E02F44", "#8F3BB8", "#0A8A8A", "#B8860B", "#6B7280")
THRESHOLDS = {"green": "#37872D", "orange": "#FF780A", "red": "#E02F44"}
INK, QUIET, GRID = "#1F2937", "#6B7280", "#E5E7EB"
_LONGEST_LEGEND = 9


def draw(axes: Axes, panel: Json, window: Window) -> None:
    """Draw a panel's content by its kind, or its word for nothing."""
    drawn = _KINDS[panel["type"]](axes, panel, window)
    if not drawn:
        axes.axis("off")
        axes.text(0.5, 0.5, _defaults(panel)["noValue"], ha="center", va="center", color=QUIET, fontsize=11)


def _defaults(panel: Json) -> Json:
    defaults: Json = panel["fieldConfig"]["defaults"]
    return defaults


def _stat(axes: Axes, panel: Json, window: Window) -> bool:
    axes.axis("off")
    found = [sample.value for target in panel["targets"] for sample in window.now(target)]
    if not found:
        return False
    (value,) = found
    defaults = _defaults(panel)
    passed = [
        step
        for step in defaults["thresholds"]["steps"]
        if value >= (-inf if step["value"] is None else step["value"])
    ]
    text = written(value, defaults["unit"])
    axes.text(0.5, 0.45, text, ha="center", va="center", fontsize=21, color=THRESHOLDS[passed[-1]["color"]])
    return True


def _lines(axes: Axes, panel: Json, window: Window) -> bool:
    found = [(series, target) for target in panel["targets"] for series in window.series(target)]
    found = [(series, target) for series, target in found if not all(map(isnan, series.numbers))]
    if not found:
        return False
    times = _dates(window.times)
    defaults = _defaults(panel)
    if defaults["custom"]["stacking"]["mode"] == "normal":
        _stack(axes, times, [series for series, _ in found])
    else:
        for (series, _), colour in zip(found, _endless(len(found)), strict=True):
            alone = "o" if _has_lonely(series.numbers) else None
            axes.plot(
                times,
                series.numbers,
                color=colour,
                linewidth=1.4,
                label=series.name,
                marker=alone,
                markersize=2.5,
            )
            if len(found) == 1:
                axes.fill_between(times, series.numbers, color=colour, alpha=0.12, linewidth=0)
    _exemplars(axes, panel, window)
    _frame(axes, panel, window)
    _legend(axes)
    return True


def _stack(axes: Axes, times: Any, found: Sequence[Series]) -> None:
    numbers = numpy.array([series.numbers for series in found])
    there = ~numpy.isnan(numbers).all(axis=0)
    tops = numpy.cumsum(numpy.nan_to_num(numbers), axis=0)
    below = numpy.zeros(len(times))
    for series, top, colour in zip(found, tops, _endless(len(found)), strict=True):
        axes.fill_between(
            times, below, top, where=there, color=colour, alpha=0.75, linewidth=0, label=series.name
        )  # fmt: skip
        below = top


def _exemplars(axes: Axes, panel: Json, window: Window) -> None:
    asked = [target for target in panel["targets"] if target["exemplar"] and "_bucket" in target["expr"]]
    found = {call for target in asked for call in window.calls(target)}
    if found:
        at, values = zip(*sorted(found), strict=True)
        axes.scatter(
            _dates(at), values, marker="D", s=9, color="#9CA3AF", alpha=0.7, linewidths=0, zorder=1,
            label="calls with a trace",
        )  # fmt: skip


def _table(axes: Axes, panel: Json, window: Window) -> bool:
    axes.axis("off")
    found = list(rows(panel, window))
    if not found:
        return False
    units = {
        each["matcher"]["options"]: each["properties"][0]["value"]
        for each in panel["fieldConfig"]["overrides"]
    }
    titles = [title for title, _ in found[0]]
    cells = [[_cell(content, units.get(title)) for title, content in row] for row in found]
    table = axes.table(
        cellText=cells, colLabels=titles, loc="upper left", cellLoc="left", bbox=_box(len(cells))
    )
    table.auto_set_font_size(False)
    table.set_fontsize(8.5)
    for (line, _), cell in table.get_celld().items():
        cell.set_edgecolor(GRID)
        cell.set_text_props(color=QUIET if line == 0 else INK, ha="left")
    return True


def _box(lines: int) -> Any:
    height = min(1.0, 0.16 * (lines + 1))
    return (0.0, 1.0 - height, 1.0, height)


def _cell(content: str | float | None, unit: str | None) -> str:
    if content is None:
        return ""
    return content if isinstance(content, str) else written(content, unit or "short")


def _heatmap(axes: Axes, panel: Json, window: Window) -> bool:
    (target,) = panel["targets"]
    found = {float(series.labels["le"]): numpy.array(series.numbers) for series in window.series(target)}
    if not found:
        return False
    bounds = sorted(found)
    below = numpy.vstack([numpy.zeros_like(found[bounds[0]]), *(found[bound] for bound in bounds)])
    counts = numpy.diff(below, axis=0)
    used = [index for index, row in enumerate(counts) if numpy.nansum(row) > 0.01]
    if not used:
        return False
    first, last = max(0, used[0] - 1), min(len(bounds) - 1, used[-1] + 1)
    shown = counts[first : last + 1]
    half = window.step_s / 2
    edges = _dates([window.start_s - half + window.step_s * i for i in range(len(window.times) + 1)])
    mesh = axes.pcolormesh(
        edges, range(last - first + 2), numpy.ma.masked_less_equal(shown, 0.01), cmap="Blues"
    )
    bar = _figure(axes).colorbar(mesh, ax=axes, pad=0.01, fraction=0.02)
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=QUIET, labelsize=7.5, length=0)
    axes.set_yticks(range(1, last - first + 2), [_bound(bounds[i]) for i in range(first, last + 1)])
    _frame(axes, panel, window, is_linear=False)
    return True


def _bound(bound: float) -> str:
    return "longer" if bound == inf else f"≤ {written(bound, 's')}"


def _frame(axes: Axes, panel: Json, window: Window, *, is_linear: bool = True) -> None:
    defaults = _defaults(panel)
    left, right = _dates((window.start_s, window.end_s))
    axes.set_xlim(left, right)
    locator = AutoDateLocator(minticks=3, maxticks=7)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(
        DateFormatter("%H:%M:%S" if window.end_s - window.start_s < 900 else "%H:%M")
    )
    axes.grid(True, color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(GRID)
    axes.tick_params(colors=QUIET, labelsize=7.5, length=0)
    if not is_linear:
        return
    top = defaults.get("max", axes.get_ylim()[1] * 1.04)
    axes.set_ylim(0, top)
    axes.set_yticks([tick for tick in _ticks(top, defaults["unit"]) if tick <= top])
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: written(value, defaults["unit"])))
    if defaults["custom"]["thresholdsStyle"]["mode"] != "off":
        for step in defaults["thresholds"]["steps"]:
            if step["value"] is not None and step["value"] <= top:
                axes.axhline(step["value"], color=THRESHOLDS[step["color"]], linewidth=0.8, linestyle="--")


def _figure(axes: Axes) -> Figure:
    figure = axes.get_figure(root=True)
    assert figure is not None
    return figure


def _ticks(top: float, unit: str) -> Any:
    """Return round numbers; of bytes those that are round in their binary unit."""
    size = 1024 ** int(max(0.0, log2(top)) // 10) if unit == "bytes" else 1
    return numpy.asarray(MaxNLocator(5).tick_values(0, top / size)) * size


def _legend(axes: Axes) -> None:
    """Name the lines below the graph, in as many columns as there is place for."""
    handles, names = axes.get_legend_handles_labels()
    handles, names = handles[:_LONGEST_LEGEND], names[:_LONGEST_LEGEND]
    letters = axes.get_position().width * _figure(axes).get_size_inches()[0] * 15
    in_one_line = sum(len(name) + 5 for name in names) <= letters
    columns = len(names) if in_one_line else max(1, int(letters / (max(map(len, names)) + 5)))
    axes.legend(
        handles, names, loc="upper left", bbox_to_anchor=(0, -0.13), ncols=columns, frameon=False,
        fontsize=7.5, labelcolor=INK, handlelength=1.2, columnspacing=1.2, borderaxespad=0,
    )  # fmt: skip


def _has_lonely(numbers: Sequence[float]) -> bool:
    """Whether a value has no neighbour: a line alone would not show it."""
    padded = (float("nan"), *numbers, float("nan"))
    trios = zip(padded, padded[1:], padded[2:], strict=False)
    return any(isnan(before) and not isnan(here) and isnan(after) for before, here, after in trios)


def _endless(count: int) -> list[str]:
    return [COLOURS[index % len(COLOURS)] for index in range(count)]


def _dates(unix_s: Sequence[float]) -> Any:
    return date2num([datetime.fromtimestamp(at, UTC) for at in unix_s])


_KINDS = {"stat": _stat, "timeseries": _lines, "table": _table, "heatmap": _heatmap}
