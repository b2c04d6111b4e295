"""Pictures show what the JSON asks for, and one of each dashboard is checked in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.table import Table
from PIL import Image

from tests.dashboards import known
from tests.dashboards.conftest import Filled
from tests.dashboards.drawing.answers import Window
from tests.dashboards.drawing.charts import draw
from tests.dashboards.drawing.page import draw_page
from tests.dashboards.drawing.units import written
from tests.dashboards.expected import EXPECTED
from tests.dashboards.pictures import PICTURES
from tests.dashboards.shipped import FILES, GRAFANA, read
from tests.dashboards.test_expressions import CHOSEN


@pytest.fixture
def window(filled: Filled) -> Window:
    """The five minutes of the known input."""
    start_s = filled.now_s - known.RANGE_S
    return Window(filled.prometheus_url, CHOSEN, start_s, filled.now_s, known.STEP_S)


def drawn(window: Window, dashboard: str, title: str) -> Axes:
    """Return the axes with one panel."""
    panels = read(GRAFANA / "dashboards" / f"{dashboard}.json")["panels"]
    axes = Figure().add_axes((0.0, 0.0, 1.0, 1.0))
    draw(axes, next(panel for panel in panels if panel["title"] == title), window)
    return axes


def test_lines_end_where_the_numbers_are(window: Window) -> None:
    """With their names, on an axis that begins at zero."""
    axes = drawn(window, "models", "Decode speed by model")
    ends = {str(line.get_label()): list(line.get_ydata())[-1] for line in axes.lines}  # type: ignore[arg-type]  # an array

    assert ends == pytest.approx(EXPECTED["models / Decode speed by model / A"])
    assert axes.get_ylim()[0] == 0
    assert axes.get_yticklabels()[0].get_text() == "0 tok/s"


def test_stacked_areas_add_up(window: Window) -> None:
    """Four phases, on top of each other; together the server's mean total."""
    axes = drawn(window, "phases", "Where time goes")
    tops = [area.get_datalim(axes.transData).y1 for area in axes.collections]

    assert [area.get_label() for area in axes.collections] == ["load", "queue", "prompt", "decode"]
    assert tops == sorted(tops)
    assert tops[-1] == pytest.approx(EXPECTED["phases / The client's clock beside the server's / B"][""])


def test_a_number_stands_alone(window: Window) -> None:
    """In its unit, in the colour of the threshold that it passed."""
    calls = drawn(window, "overview", "Calls").texts
    errors = drawn(window, "overview", "Error ratio").texts

    assert [text.get_text() for text in calls + errors] == ["120", "16.7%"]
    assert errors[0].get_color() == "#E02F44"


def test_a_table_joins_its_queries(window: Window) -> None:
    """A row for each model, a column for each query, each in its unit."""
    (table,) = (
        child for child in drawn(window, "overview", "Models").get_children() if isinstance(child, Table)
    )
    cells = table.get_celld()
    rows = [[cells[line, column].get_text().get_text() for column in range(7)] for line in range(3)]

    assert rows == [
        ["Model", "Calls", "Errors", "p95 duration", "p95 first chunk", "Output tokens", "Decode speed"],
        ["llama3.2", "80", "25%", "2.47 s", "624 ms", "3.06 K", "50 tok/s"],
        ["qwen3", "40", "0%", "9.98 s", "9.98 s", "840", "20 tok/s"],
    ]


def test_a_heatmap_counts_each_bucket_alone(window: Window) -> None:
    """Prometheus counts all that is below a bound."""
    (mesh,) = drawn(window, "latency", "Durations").collections
    counts: Any = mesh.get_array()

    assert [round(float(count), 6) for count in counts[:, -1].compressed()] == [4, 12, 8]


def test_dots_are_single_calls(window: Window) -> None:
    """Of any duration that the input has."""
    dots = drawn(window, "latency", "Duration").collections[-1]
    at: Any = dots.get_offsets()
    values = {round(float(value), 3) for value in at[:, 1]}

    assert values
    assert values <= {0.5, 2.0, 8.0}


def test_nothing_is_said_in_words(window: Window) -> None:
    """The panel's own."""
    nobody = replace(window, chosen=replace(CHOSEN, services=("nobody",)))
    panels = (
        ("overview", "Calls"),
        ("overview", "Models"),
        ("latency", "Durations"),
        ("machine", "GPU power"),
    )
    found = [[text.get_text() for text in drawn(nobody, *panel).texts] for panel in panels]

    assert found == [["no calls"], ["no calls"], ["no calls"], ["no GPU reported"]]


@pytest.mark.parametrize("dashboard", ["overview", "latency", "machine"])
def test_a_page_is_drawn(window: Window, tmp_path: Path, dashboard: str) -> None:
    """Every panel of it, into a picture of moderate size."""
    picture = tmp_path / "drawn.png"

    draw_page(read(GRAFANA / "dashboards" / f"{dashboard}.json"), window, "known input", picture)

    assert 10_000 < picture.stat().st_size <= 200_000
    with Image.open(picture) as page:
        assert (page.format, page.width) == ("PNG", 1300)


def test_one_picture_of_each_dashboard_is_checked_in() -> None:
    """None is missing, left over or large, and the pages about them lead to each."""
    about = (GRAFANA / "README.md").read_text(encoding="utf-8")
    page = PICTURES.with_suffix(".md").read_text(encoding="utf-8")
    pictures = {picture.stem: picture for picture in PICTURES.glob("*.png")}

    assert pictures.keys() == {file.stem for file in FILES}
    for name, picture in pictures.items():
        assert picture.stat().st_size <= 200_000
        assert f"docs/dashboards/{name}.png" in about
        assert f"](dashboards/{name}.png)" in page
        with Image.open(picture) as drawing:
            assert drawing.size == (1300, _height(name))


def _height(name: str) -> int:
    """Return what a picture's height is by its JSON: one of an older layout differs."""
    panels = read(GRAFANA / "dashboards" / f"{name}.json")["panels"]
    lines = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels)
    return int(100 * (0.85 + lines * 0.33))


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0, "s", "0 s"), (0.0124, "s", "12.4 ms"), (1.5, "s", "1.5 s"), (90, "s", "1.5 min"),
        (0.1667, "percentunit", "16.7%"), (1, "percentunit", "100%"),
        (512, "bytes", "512 B"), (3 * 1024**3, "bytes", "3 GiB"), (5 * 1024**5, "bytes", "5120 TiB"),
        (0.0666, "reqps", "0.067 req/s"), (1234, "short", "1.23 K"), (12_000_000, "short", "12 Mil"),
        (38, "suffix: tok/s", "38 tok/s"), (61.5, "watt", "61.5 W"), (64, "celsius", "64 °C"),
    ],
)  # fmt: skip
def test_numbers_are_written_as_in_grafana(value: float, unit: str, text: str) -> None:
    """With about three digits."""
    assert written(value, unit) == text
