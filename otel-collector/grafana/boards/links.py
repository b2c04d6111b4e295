"""Ways from a dashboard to its siblings, and from a row of a table to traces."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote

from boards.panel import Panel

JAEGER_UID = "jaeger"
TAG = "ollameter"


def to_other_dashboards() -> dict[str, Any]:
    """Return a menu of all dashboards with our tag; time and choices are kept."""
    return {
        "type": "dashboards",
        "title": "ollameter",
        "tags": [TAG],
        "asDropdown": True,
        "includeVars": True,
        "keepTime": True,
        "targetBlank": False,
        "url": "",
    }


def to_traces(panel: Panel) -> dict[str, Any]:
    """Return a link from a row of a table, by service and error, to Jaeger's search within Grafana."""
    service, *_, error = (f"${{__data.fields.{title}}}" for _, title in panel.rows)
    query = {
        "refId": "A",
        "datasource": {"type": "jaeger", "uid": JAEGER_UID},
        "queryType": "search",
        "service": service,
        "tags": f"error.type={error}",
    }
    pane = {"datasource": JAEGER_UID, "queries": [query], "range": {"from": "${__from}", "to": "${__to}"}}
    panes = quote(json.dumps({"a": pane}, separators=(",", ":")), safe=":,")
    # Grafana looks for its variables before anybody decodes the rest.
    panes = re.sub(r"%24%7B([\w.]+)%7D", r"${\1}", panes)
    return {
        "title": "Traces in Jaeger",
        "url": f"/explore?schemaVersion=1&panes={panes}",
        "targetBlank": True,
    }
