"""The three choices on top of every dashboard: datasource, service, model."""

from __future__ import annotations

from typing import Any

from boards.exported import DURATION, MODEL, SERVICE

PROMETHEUS_UID = "prometheus"
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
_CALLS = f"{DURATION}_count"
_EVERYTHING = ".*"


def all_of_them() -> list[dict[str, Any]]:
    """Return the variables in the order in which they depend on each other."""
    return [
        _prometheus(),
        _labels("service", "Service", f"label_values({_CALLS}, {SERVICE})"),
        _labels("model", "Model", f'label_values({_CALLS}{{{SERVICE}=~"$service"}}, {MODEL})'),
    ]


def _prometheus() -> dict[str, Any]:
    return {
        "name": "datasource",
        "label": "Prometheus",
        "type": "datasource",
        "query": "prometheus",
        "current": {"selected": False, "text": "Prometheus", "value": PROMETHEUS_UID},
        "hide": 0,
        "refresh": 1,
        "regex": "",
        "multi": False,
        "includeAll": False,
        "options": [],
    }


def _labels(name: str, title: str, query: str) -> dict[str, Any]:
    return {
        "name": name,
        "label": title,
        "type": "query",
        "datasource": dict(DATASOURCE),
        "definition": query,
        "query": {"qryType": 1, "query": query, "refId": "PrometheusVariableQueryEditor-VariableQuery"},
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "hide": 0,
        "refresh": 2,
        "regex": "",
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": _EVERYTHING,
        "options": [],
    }
