"""The JSON files are what is described, and what Grafana's classic model wants of them."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import build_dashboards
from boards import BOARDS
from boards.exported import LEFT_OUT, of_call
from ollameter.telemetry import gauges, names
from tests.dashboards.shipped import FILES, GRAFANA, Json, everything_asked, metrics_asked, read

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
UNITS = {
    "s", "percentunit", "short", "reqps", "suffix: tok/s", "cps", "bytes", "watt", "celsius",
}  # fmt: skip
each_file = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


def panels_of(file: Path) -> list[Json]:
    """Return the panels of a dashboard."""
    panels: list[Json] = read(file)["panels"]
    return panels


def test_there_is_one_file_for_each_topic() -> None:
    """Those that users look for."""
    assert [file.stem for file in FILES] == [
        "errors", "latency", "machine", "models", "overview", "phases", "pipeline", "tokens",
    ]  # fmt: skip


def test_the_files_are_what_is_described() -> None:
    """As `make check` asks, with the very command."""
    asked = [sys.executable, str(GRAFANA / "build_dashboards.py"), "--check"]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_file_that_differs_is_named(tmp_path: Path) -> None:
    """Changed, missing, or of no dashboard; writing repairs all of it."""
    build_dashboards.main([], tmp_path)
    build_dashboards.main(["--check"], tmp_path)
    (tmp_path / "latency.json").write_text("{}\n")
    (tmp_path / "errors.json").unlink()
    (tmp_path / "stranger.json").write_text("{}\n")

    with pytest.raises(SystemExit, match="errors.json, latency.json, stranger.json"):
        build_dashboards.main(["--check"], tmp_path)

    build_dashboards.main([], tmp_path)
    build_dashboards.main(["--check"], tmp_path)


@each_file
def test_a_dashboard_has_what_grafana_reads(file: Path) -> None:
    """Identity, schema, and a way to its siblings."""
    found = read(file)

    assert found["id"] is None
    assert found["uid"] == f"ollameter-{file.stem}"
    assert found["schemaVersion"] == 42
    assert found["tags"] == ["ollameter"]
    assert found["title"].startswith("ollameter: ")
    assert found["description"].endswith(".")
    assert [(link["type"], link["tags"], link["includeVars"]) for link in found["links"]] == [
        ("dashboards", ["ollameter"], True)
    ]


def test_uids_and_titles_are_unique() -> None:
    """Grafana would silently show one of two."""
    found = [read(file) for file in FILES]

    assert len({board["uid"] for board in found}) == len({board["title"] for board in found}) == len(FILES)


@each_file
def test_datasource_service_and_model_can_be_chosen(file: Path) -> None:
    """In this order, each from what the one before left over."""
    chosen = read(file)["templating"]["list"]
    datasource, service, model = chosen

    assert [each["name"] for each in chosen] == ["datasource", "service", "model"]
    assert (datasource["type"], datasource["query"]) == ("datasource", "prometheus")
    calls = "gen_ai_client_operation_duration_seconds_count"
    asked = f"label_values({calls}, service_name)"
    assert (service["datasource"], service["definition"]) == (DATASOURCE, asked)
    asked = f'label_values({calls}{{service_name=~"$service"}}, gen_ai_request_model)'
    assert (model["datasource"], model["definition"]) == (DATASOURCE, asked)
    for each in (service, model):
        assert each["multi"] is each["includeAll"] is True
        assert each["allValue"] == ".*"
        assert each["query"]["query"] == each["definition"]


@each_file
def test_every_panel_explains_itself(file: Path) -> None:
    """A description, a unit and a word for nothing."""
    for panel in panels_of(file):
        defaults = panel["fieldConfig"]["defaults"]
        assert len(panel["description"]) > 10
        assert panel["description"].endswith("."), panel["title"]
        assert defaults["unit"] in UNITS, panel["title"]
        assert defaults["noValue"], panel["title"]
        assert panel["type"] in ("stat", "timeseries", "table", "heatmap")


@each_file
def test_panels_have_their_own_ids_and_titles(file: Path) -> None:
    """Numbered from 1, and no two of one name."""
    panels = panels_of(file)

    assert [panel["id"] for panel in panels] == list(range(1, len(panels) + 1))
    assert len({panel["title"] for panel in panels}) == len(panels)


@each_file
def test_panels_lie_side_by_side(file: Path) -> None:
    """Within 24 columns, none over another, no line left ragged."""
    covered: set[tuple[int, int]] = set()
    for panel in panels_of(file):
        at = panel["gridPos"]
        assert at["x"] >= 0
        assert at["x"] + at["w"] <= 24
        cells = set(itertools.product(range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"])))
        assert not cells & covered, panel["title"]
        covered |= cells
    height = max(y for _, y in covered) + 1

    assert len(covered) == 24 * height


@each_file
def test_every_query_refers_to_the_chosen_datasource(file: Path) -> None:
    """By its variable; each with a letter of its own."""
    for panel in panels_of(file):
        assert panel["datasource"] == DATASOURCE
        letters = [target["refId"] for target in panel["targets"]]
        assert letters == list("ABCDEFGH"[: len(letters)])
        for target in panel["targets"]:
            assert target["datasource"] == DATASOURCE
            assert target["instant"] is not target["range"]
            assert target["legendFormat"], panel["title"]


@each_file
def test_queries_use_grafanas_intervals_and_the_variables(file: Path) -> None:
    """A fixed window is wrong at the next zoom; a metric of ours is of the chosen services."""
    for panel in panels_of(file):
        for target in panel["targets"]:
            windows = re.findall(r"\[(.+?)\]( anchored)?", target["expr"])
            assert set(windows) <= {("$__rate_interval", ""), ("$__range", " anchored")}, target["expr"]
            wanted = "$__range" if target["instant"] else "$__rate_interval"
            assert {window for window, _ in windows} <= {wanted} or panel["title"] == "Output"
            for metric, matchers in re.findall(r"\b(\w+)(\{[^}]*\})", target["expr"]):
                assert 'service_name=~"$service"' in matchers, metric
            assert not re.search(r"\b(gen_ai_client|ollama)_\w+ ?\[", target["expr"]), target["expr"]


def test_every_metric_of_the_library_is_on_a_panel_or_left_out_on_purpose() -> None:
    """And nothing else is: what Prometheus calls them is asserted against a real one."""
    ours = {name for name in metrics_asked() if not name.startswith(("otelcol_", "traces_"))}

    assert not ours & LEFT_OUT.keys()
    assert len(ours | LEFT_OUT.keys()) == len(names.METRICS) + len(gauges._INSTRUMENTS)
    assert {of_call(name) for name in names.METRICS} <= ours | LEFT_OUT.keys()
    assert all(LEFT_OUT.values())


def test_expressions_stand_in_one_place_each() -> None:
    """Every panel of the description has its queries in its file, in that order."""
    described = {
        (board.key, panel.title): [query.expr for query in panel.queries]
        for board in BOARDS
        for panel in board.panels
    }
    shipped: dict[tuple[str, str], list[str]] = {}
    for asked in everything_asked():
        shipped.setdefault((asked.dashboard, asked.panel), []).append(asked.expr)

    assert shipped == described


@each_file
def test_columns_of_tables_have_titles_and_units(file: Path) -> None:
    """Grafana would call them `Value #A` and show every number alike."""
    for panel in panels_of(file):
        if panel["type"] != "table":
            assert "transformations" not in panel
            continue
        merge, organize = panel["transformations"]
        titles: dict[str, Any] = organize["options"]["renameByName"]
        columns = [target["legendFormat"] for target in panel["targets"]]
        assert (merge["id"], organize["id"]) == ("merge", "organize")
        assert list(titles.values())[-len(columns) :] == columns
        assert [each["matcher"]["options"] for each in panel["fieldConfig"]["overrides"]] == columns


def test_exemplars_are_asked_for_where_they_help() -> None:
    """Only of graphs of histograms: Prometheus has none of gauges."""
    for file in FILES:
        for panel in panels_of(file):
            if any(target["exemplar"] for target in panel["targets"]):
                assert panel["type"] == "timeseries"
                assert any("_bucket" in target["expr"] for target in panel["targets"])
    with_them = {
        file.stem
        for file in FILES
        for panel in panels_of(file)
        if any(t["exemplar"] for t in panel["targets"])
    }

    assert with_them >= {"latency", "overview", "phases", "machine", "errors"}
