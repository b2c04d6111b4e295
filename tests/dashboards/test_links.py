"""What the dashboards offer and lead to is there: choices, exemplars, traces of an error."""

from __future__ import annotations

import json
import re
import time
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit

import pytest

from ollameter.testing import FakeOllama
from tests.dashboards import known
from tests.dashboards.application import Application
from tests.dashboards.asking import Chosen
from tests.dashboards.conftest import Filled
from tests.dashboards.shipped import GRAFANA, everything_asked, read
from tests.stack.backend import Stack
from tests.stack.loopback import fetch_json
from tests.stack.stored import eventually, exemplars, trace

SERVICE = "links"
CHOSEN = Chosen(services=(SERVICE,), models=("llama3.2",), range_s=300, rate_interval_s=60)


@pytest.fixture(scope="module")
def seen(stack: Stack) -> Stack:
    """A back end that has seen one good and one failed call of this service."""
    now_s = int(time.time())
    with FakeOllama() as fake:
        application = Application(
            SERVICE, fake, stack.collector.http_endpoint, host="box", began_at_s=now_s - 60,
            machine=known.machine(0.1),
        )  # fmt: skip
        application.chats("llama3.2", 0.4, 0.8, context_length=4_096)
        application.fails("llama3.2", after_s=0.5)
        application.exports(now_s)
        application.close()
    return stack


def test_a_dot_opens_its_trace(seen: Stack) -> None:
    """The exemplars that Grafana shows beside durations lead to the two calls in Jaeger."""
    expr = next(a.expr for a in everything_asked() if a.key == "latency / Duration / B")
    url, asked = seen.prometheus.url, CHOSEN.filled_in(expr)

    found = eventually(lambda: exemplars(url, asked), lambda dots: len(dots) == 2)
    assert len({dot["trace_id"] for dot in found}) == 2
    for dot in found:
        spans = eventually(lambda: trace(seen.jaeger.query_url, dot["trace_id"]))  # noqa: B023  # called at once
        assert [(span.name, span.span_id) for span in spans] == [("chat llama3.2", dot["span_id"])]


def test_an_error_leads_to_its_traces(seen: Stack) -> None:
    """The search behind a row of "What failed" finds the failed call, and not the good one."""
    query = _searched_for(Service=SERVICE, Error="500")
    tags = dict(tag.split("=", 1) for tag in query["tags"].split())
    asked = {"service": query["service"], "tags": json.dumps(tags), "lookback": "1h", "limit": 20}
    url = f"{seen.jaeger.query_url}/api/traces?{urlencode(asked)}"

    (found,) = eventually(lambda: fetch_json(url)["data"], lambda traces: len(traces) == 1)
    (span,) = found["spans"]
    assert {tag["key"]: tag["value"] for tag in span["tags"]}["error.type"] == "500"


def _searched_for(**row: str) -> Any:
    """Return the query of a table's link once Grafana has put a row's fields into it."""
    panels = read(GRAFANA / "dashboards" / "errors.json")["panels"]
    (override,) = next(panel for panel in panels if panel["type"] == "table")["fieldConfig"]["overrides"]
    (link,) = next(each["value"] for each in override["properties"] if each["id"] == "links")
    url = re.sub(r"\$\{__data\.fields\.(\w+)}", lambda field: row[field[1]], link["url"])
    (query,) = json.loads(unquote(urlsplit(url).query.partition("panes=")[2]))["a"]["queries"]
    return query


def test_services_and_their_models_can_be_chosen(filled: Filled) -> None:
    """The variables offer what has called, and of the chosen services alone."""
    _, service, model = read(GRAFANA / "dashboards" / "overview.json")["templating"]["list"]
    chosen = Chosen(services=("other",), models=(), range_s=300, rate_interval_s=60)

    assert _offered(filled, service, chosen) == ["other", "shop"]
    assert _offered(filled, model, chosen) == ["llama3.2", "qwen3"]


def _offered(filled: Filled, variable: Any, chosen: Chosen) -> list[str]:
    """Return what `label_values(series, label)` stands for in Prometheus's API."""
    found = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["definition"])
    assert found is not None
    matching = urlencode({"match[]": chosen.filled_in(found[1])})
    offered: list[str] = fetch_json(f"{filled.prometheus_url}/api/v1/label/{found[2]}/values?{matching}")[
        "data"
    ]
    return offered
