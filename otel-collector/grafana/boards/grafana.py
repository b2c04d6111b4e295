"""Dashboards as Grafana's JSON, the classic model that provisioning reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from boards import links, variables
from boards.panel import COLUMNS, Board, Panel, Query

SCHEMA_VERSION = 42

_COLOURS = ("green", "orange", "red")

Json = dict[str, Any]


def dashboard(board: Board) -> Json:
    """Return a whole dashboard."""
    return {
        "id": None,
        "uid": board.uid,
        "title": board.title,
        "description": board.description,
        "tags": [links.TAG],
        "schemaVersion": SCHEMA_VERSION,
        "editable": True,
        "graphTooltip": 1,
        "timezone": "browser",
        "time": {"from": "now-1h", "to": "now"},
        "refresh": "30s",
        "annotations": {"list": []},
        "links": [links.to_other_dashboards()],
        "templating": {"list": variables.all_of_them()},
        "panels": [
            _panel(panel, number, position)
            for number, (panel, position) in enumerate(
                zip(board.panels, _positions(board.panels), strict=True), 1
            )
        ],
    }


def _positions(panels: Sequence[Panel]) -> Iterator[Json]:
    """Place panels from left to right, in a new line when one does not fit."""
    x = y = tallest = 0
    for panel in panels:
        if x + panel.width > COLUMNS:
            x, y, tallest = 0, y + tallest, 0
        yield {"x": x, "y": y, "w": panel.width, "h": panel.height}
        x, tallest = x + panel.width, max(tallest, panel.height)


def _panel(panel: Panel, number: int, position: Json) -> Json:
    described = {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": dict(variables.DATASOURCE),
        "gridPos": position,
        "fieldConfig": {"defaults": _defaults(panel), "overrides": _overrides(panel)},
        "options": _options(panel),
        "targets": [_target(panel, query, number) for number, query in enumerate(panel.queries)],
    }
    return described | ({"transformations": _transformations(panel)} if panel.kind == "table" else {})


def _target(panel: Panel, query: Query, number: int) -> Json:
    is_instant = panel.kind in ("stat", "table")
    formats = {"table": "table", "heatmap": "heatmap"}
    return {
        "refId": chr(ord("A") + number),
        "datasource": dict(variables.DATASOURCE),
        "editorMode": "code",
        "expr": query.expr,
        "legendFormat": query.legend,
        "instant": is_instant,
        "range": not is_instant,
        "exemplar": panel.exemplars,
        "format": formats.get(panel.kind, "time_series"),
    }


def _defaults(panel: Panel) -> Json:
    limits: Json = {"min": 0} if panel.kind == "timeseries" else {}
    if panel.most is not None:
        limits["max"] = panel.most
    return {
        "unit": panel.unit,
        "noValue": panel.no_value,
        "color": {"mode": "thresholds" if panel.kind == "stat" else "palette-classic"},
        "thresholds": {"mode": "absolute", "steps": _steps(panel)},
        "custom": _lines(panel) if panel.kind == "timeseries" else dict(_CUSTOM[panel.kind]),
        **limits,
    }


def _steps(panel: Panel) -> list[Json]:
    bounds = (None, *panel.steps)
    return [{"color": colour, "value": bound} for colour, bound in zip(_COLOURS, bounds, strict=False)]


def _lines(panel: Panel) -> Json:
    return {
        "drawStyle": "line",
        "lineWidth": 1,
        "fillOpacity": 50 if panel.stacked else 10,
        "showPoints": "auto",
        "spanNulls": False,
        "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"},
        "thresholdsStyle": {"mode": "dashed" if panel.steps else "off"},
    }


_CUSTOM: dict[str, Json] = {
    "table": {"align": "auto", "filterable": False},
    "stat": {},
    "heatmap": {"scaleDistribution": {"type": "linear"}},
}


def _options(panel: Panel) -> Json:
    if panel.kind == "timeseries":
        return {
            "legend": {
                "displayMode": "list",
                "placement": "bottom",
                "showLegend": True,
                "calcs": ["lastNotNull"],
            },
            "tooltip": {"mode": "multi", "sort": "desc"},
        }
    if panel.kind == "stat":
        return {
            "colorMode": "value",
            "graphMode": "none",
            "justifyMode": "auto",
            "textMode": "auto",
            "wideLayout": True,
            "showPercentChange": False,
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        }
    if panel.kind == "table":
        return {"showHeader": True, "cellHeight": "sm", "frameIndex": 0}
    return {
        "calculate": False,
        "cellGap": 1,
        "cellValues": {},
        "color": {
            "mode": "scheme",
            "scheme": "Blues",
            "fill": "dark-blue",
            "scale": "exponential",
            "exponent": 0.5,
            "steps": 64,
            "reverse": False,
        },
        "exemplars": {"color": "rgba(255,0,255,0.7)"},
        "filterValues": {"le": 1e-9},
        "legend": {"show": True},
        "rowsFrame": {"layout": "auto"},
        "showValue": "never",
        "tooltip": {"mode": "single", "yHistogram": False, "showColorScale": False},
        "yAxis": {"unit": panel.unit, "axisPlacement": "left", "reverse": False},
    }


def _overrides(panel: Panel) -> list[Json]:
    if panel.kind != "table":
        return []
    return [
        {
            "matcher": {"id": "byName", "options": query.legend},
            "properties": [
                {"id": "unit", "value": query.unit or panel.unit},
                *([{"id": "links", "value": [links.to_traces(panel)]}] if panel.traces else []),
            ],
        }
        for query in panel.queries
    ]


def _transformations(panel: Panel) -> list[Json]:
    """Join the answers by the rows' labels, and name the columns."""
    titles = dict(panel.rows)
    for number, query in enumerate(panel.queries):
        column = f"Value #{chr(ord('A') + number)}" if len(panel.queries) > 1 else "Value"
        titles[column] = query.legend
    order = {column: place for place, column in enumerate(titles)}
    return [
        {"id": "merge", "options": {}},
        {
            "id": "organize",
            "options": {"excludeByName": {"Time": True}, "indexByName": order, "renameByName": titles},
        },
    ]
