"""A whole dashboard as one picture, panels where its JSON puts them."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from PIL import Image

from tests.dashboards.drawing.answers import Window
from tests.dashboards.drawing.charts import INK, QUIET, draw

Json = Mapping[str, Any]

_WIDTH_IN, _LINE_IN, _HEAD_IN = 13.0, 0.33, 0.75
_DPI = 100
_COLUMNS = 24


def draw_page(dashboard: Json, window: Window, note: str, file: Path) -> None:
    """Draw a dashboard into a PNG file; `note` says below its title where the numbers come from."""
    lines = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in dashboard["panels"])
    height_in = _HEAD_IN + lines * _LINE_IN + 0.1
    figure = Figure(figsize=(_WIDTH_IN, height_in), facecolor="#F3F4F6", dpi=_DPI)
    canvas = FigureCanvasAgg(figure)
    figure.text(
        0.012, 1 - 0.3 / height_in, dashboard["title"], fontsize=15, color=INK, weight="bold", va="center"
    )
    figure.text(0.012, 1 - 0.57 / height_in, note, fontsize=8.5, color=QUIET, va="center")
    for panel in dashboard["panels"]:
        _panel(figure, panel, window, height_in)
    _save(canvas, file)


def _panel(figure: Figure, panel: Json, window: Window, height_in: float) -> None:
    at = panel["gridPos"]
    margin_in = 0.06
    left = at["x"] / _COLUMNS + margin_in / _WIDTH_IN
    width = at["w"] / _COLUMNS - 2 * margin_in / _WIDTH_IN
    top = 1 - (_HEAD_IN + at["y"] * _LINE_IN + margin_in) / height_in
    height = (at["h"] * _LINE_IN - 2 * margin_in) / height_in
    box = FancyBboxPatch(
        (left, top - height), width, height, boxstyle="round,pad=0,rounding_size=0.003", linewidth=0.8,
        edgecolor="#D1D5DB", facecolor="white", transform=figure.transFigure, zorder=-1,
    )  # fmt: skip
    figure.add_artist(box)
    text_left = left + 0.1 / _WIDTH_IN
    figure.text(
        text_left,
        top - 0.16 / height_in,
        panel["title"],
        fontsize=9.5,
        color=INK,
        weight="bold",
        va="center",
    )
    is_small = panel["type"] == "stat"
    head_in = 0.34 if is_small else _describe(figure, panel, text_left, top, width, height_in)
    foot_in, side_in = {"timeseries": (0.56, 0.72), "heatmap": (0.3, 0.75)}.get(panel["type"], (0.1, 0.15))
    axes = figure.add_axes((
        left + side_in / _WIDTH_IN,
        top - height + foot_in / height_in,
        width - (side_in + 0.3) / _WIDTH_IN,
        height - (head_in + foot_in) / height_in,
    ))  # fmt: skip
    draw(axes, panel, window)


def _describe(
    figure: Figure, panel: Json, left: float, top: float, width: float, height_in: float
) -> float:
    """Write the panel's description below its title; return the inches that both take."""
    letters = int(width * _WIDTH_IN * 16.5)
    wrapped = textwrap.wrap(panel["description"], letters)
    y = top - 0.29 / height_in
    figure.text(left, y, "\n".join(wrapped), fontsize=7, color=QUIET, va="top", linespacing=1.25)
    return 0.36 + 0.125 * len(wrapped)


def _save(canvas: FigureCanvasAgg, file: Path) -> None:
    """Write a PNG with a palette: flat colours need no more, and it is a third of the size."""
    written = io.BytesIO()
    canvas.print_png(written)
    with Image.open(written) as picture:
        reduced = picture.convert("RGB").quantize(colors=128, dither=Image.Dither.NONE)
        reduced.save(file, optimize=True)
