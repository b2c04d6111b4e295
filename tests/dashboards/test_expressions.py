"""Every expression of every dashboard returns what the known input implies; none is empty."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from boards.exported import LEFT_OUT
from tests.dashboards import known
from tests.dashboards.asking import Chosen, ask
from tests.dashboards.conftest import Filled
from tests.dashboards.expected import ABOUT_SPANS, EXPECTED, Values
from tests.dashboards.shipped import FILES, everything_asked, metrics_asked, read
from tests.stack.loopback import fetch_json
from tests.stack.stored import eventually, exemplars

# As Grafana chooses them for a graph of five minutes with the datasource's interval of 15 s.
CHOSEN = Chosen(
    services=("shop",),
    models=("llama3.2", "qwen3"),
    range_s=known.RANGE_S,
    rate_interval_s=4 * known.STEP_S,
)
EVERYTHING = {asked.key: asked.expr for asked in everything_asked()}
WITH_SERVICE = [key for key in EXPECTED if "$service" in EVERYTHING.get(key, "")]
WITH_MODEL = [key for key in EXPECTED if "$model" in EVERYTHING.get(key, "")]


def about(values: Values, rel: float = 1e-6) -> Any:
    """Return what equals these numbers but for rounding."""
    return pytest.approx(values, rel=rel, abs=1e-9)


def test_the_table_has_every_expression() -> None:
    """A panel without an expected number is not tested."""
    assert EXPECTED.keys() | ABOUT_SPANS.keys() == EVERYTHING.keys()
    assert all(EXPECTED.values())
    assert all(ABOUT_SPANS.values())


@pytest.mark.parametrize("key", EXPECTED)
def test_it_returns_what_the_input_implies(filled: Filled, key: str) -> None:
    """Neither more nor fewer series, and what is not chosen does not count."""
    assert ask(filled.prometheus_url, EVERYTHING[key], CHOSEN, filled.now_s) == about(EXPECTED[key])


@pytest.mark.parametrize("key", WITH_SERVICE)
def test_the_chosen_services_matter(filled: Filled, key: str) -> None:
    """With all of them the same expression says something else: the table would see a forgotten filter."""
    every = replace(CHOSEN, services=())

    assert ask(filled.prometheus_url, EVERYTHING[key], every, filled.now_s) != about(EXPECTED[key])


@pytest.mark.parametrize("key", WITH_MODEL)
def test_the_chosen_models_matter(filled: Filled, key: str) -> None:
    """Likewise."""
    every = replace(CHOSEN, models=())

    assert ask(filled.prometheus_url, EVERYTHING[key], every, filled.now_s) != about(EXPECTED[key])


@pytest.mark.parametrize("key", ABOUT_SPANS)
def test_spans_are_counted_as_they_arrive(filled: Filled, key: str) -> None:
    """Totals exactly; quantiles nearly, since each status is a series that begins at a flush of its own."""
    wanted = about(ABOUT_SPANS[key], rel=1e-6 if key == "pipeline / Spans / A" else 0.02)

    def now() -> Values:
        return ask(filled.prometheus_url, EVERYTHING[key], CHOSEN)

    assert eventually(now, lambda found: found == wanted) == wanted


def test_metrics_in_prometheus_are_those_on_panels(filled: Filled) -> None:
    """Whatever the library exported is shown or left out on purpose, and nothing else is asked for."""
    names = fetch_json(f"{filled.prometheus_url}/api/v1/label/__name__/values")["data"]
    ours = re.compile(r"(gen_ai|ollama|system|process|hw)_")
    stored = {re.sub(r"_(bucket|sum|count)$", "", name) for name in names if ours.match(name)}
    asked = metrics_asked()

    assert stored == {name for name in asked if ours.match(name)} | LEFT_OUT.keys()
    assert {name for name in asked if not ours.match(name)} <= {
        re.sub(r"_bucket$", "", name) for name in names
    }


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_dots_on_graphs_are_calls_with_a_trace(filled: Filled, file: Any) -> None:
    """Wherever a graph asks for exemplars of a histogram, Prometheus has some, with ids."""
    asked = [
        target["expr"]
        for panel in read(file)["panels"]
        for target in panel["targets"]
        if target["exemplar"] and "_bucket" in target["expr"] and "traces_span" not in target["expr"]
    ]
    for expr in asked:
        found = exemplars(filled.prometheus_url, CHOSEN.filled_in(expr))
        assert found, expr
        assert all(len(labels["trace_id"]) == 32 and len(labels["span_id"]) == 16 for labels in found)
