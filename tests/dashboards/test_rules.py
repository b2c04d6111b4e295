"""Every shipped alert and recording rule returns what the known input implies.

What a rule records is put in its place: Prometheus records now, the known input lies in the past.
How long an alert waits, and where it stays silent, is in `rules_test.yml`.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from tests.dashboards.asking import values
from tests.dashboards.conftest import Filled
from tests.dashboards.expected import Values
from tests.stack.backend import PROMETHEUS_FILE
from tests.stack.stored import eventually, query

RULES = PROMETHEUS_FILE.parent


def rules(file: str, key: str) -> dict[str, str]:
    """Return the expressions of a rule file by the name of their alert or record."""
    groups = yaml.safe_load((RULES / file).read_text(encoding="utf-8"))["groups"]
    return {rule[key]: rule["expr"] for group in groups for rule in group["rules"]}


ALERTS, RECORDED = rules("alerts.yml", "alert"), rules("recording.yml", "record")

# Noise counts here: rules choose nothing. Of its three calls a step one fails.
_NOISY = ("unwanted|shop", "llama3.2|other", "qwen3|other")
_LLAMA, _QWEN = "llama3.2|shop", "qwen3|shop"


def with_noise(number: float, **ours: float) -> Values:
    """Return a number for each noisy pair, and ours for the others."""
    names = {"llama": _LLAMA, "qwen": _QWEN}
    return {**dict.fromkeys(_NOISY, number), **{names[name]: value for name, value in ours.items()}}


_MEMORY = "127.0.0.1|11434"
_LOST: Values = {
    "otlp_grpc/jaeger|collector-1": 20 * (9 + 15),
    "otlp_http/prometheus|collector-1": 20 * (12 + 18),
    "collector-1|otlp": 20 * (3 + 6),
}

EXPECTED_RECORDED: dict[str, Values] = {
    "ollameter:calls:rate5m": with_noise(3 / 15, llama=4 / 15, qwen=2 / 15),
    "ollameter:errors:rate5m": with_noise(1 / 15, llama=1 / 15, qwen=0),
    "ollameter:error_ratio:rate5m": with_noise(1 / 3, llama=0.25, qwen=0),
    "ollameter:duration_seconds:p95_5m": with_noise(
        40.96 * 1.95, llama=1.28 * (1 + 56 / 60), qwen=5.12 * 1.95
    ),
    "ollameter:time_to_first_chunk_seconds:p95_5m": with_noise(
        20.48 * (1 + 18 / 20), llama=0.32 * 1.95, qwen=5.12 * 1.95
    ),
    "ollameter:output_tokens:rate5m": with_noise(2 * 1_401 / 15, llama=3 * 51 / 15, qwen=2 * 21 / 15),
    "ollameter:eval_throughput:mean5m": with_noise(100, llama=50, qwen=20),
    "ollameter:queue_seconds:mean5m": with_noise(60 - 11 - 12 - 14, llama=0.5, qwen=1.5),
    "ollameter:model_memory_bytes:by_location": {
        f"llama3.2|box|gpu|{_MEMORY}": 0, f"llama3.2|box|host|{_MEMORY}": 2_000,
        f"qwen3|box|gpu|{_MEMORY}": 3_000, f"qwen3|box|host|{_MEMORY}": 1_000,
        f"unwanted|box|gpu|{_MEMORY}": 50, f"unwanted|box|host|{_MEMORY}": 50,
        f"llama3.2|elsewhere|gpu|{_MEMORY}": 0, f"llama3.2|elsewhere|host|{_MEMORY}": 7_000,
        f"qwen3|elsewhere|gpu|{_MEMORY}": 0, f"qwen3|elsewhere|host|{_MEMORY}": 9_000,
    },
    "ollameter:telemetry_not_delivered:total": _LOST,
}  # fmt: skip
EXPECTED_ALERTS: dict[str, Values] = {
    "OllamaCallsFail": with_noise(1 / 3, llama=0.25),
    "OllamaSlowFirstChunk": with_noise(20.48 * 1.9, qwen=5.12 * 1.95),
    "OllamaThroughputDropped": {_QWEN: 20},
    "OllamaColdStartStorm": with_noise(20, qwen=20),
    "OllamaQueueing": with_noise(23, qwen=1.5),
    "OllamaModelFellBackToCpu": {f"llama3.2|box|host|{_MEMORY}": 2_000},
    "CollectorQueueFills": {"traces|otlp_grpc/jaeger|collector-1|otelcol|collector-1|otelcol": 0.9},
    "TelemetryNotDelivered": EXPECTED_RECORDED["ollameter:telemetry_not_delivered:total"],
}
OF_THE_PRESENT = {"CollectorDown": {"otel-collector:8888|otelcol": 0.0}}  # by the scrape, as shipped


_RECORDED_SERIES = (
    r"(?P<name>ollameter:[\w:]+)(?P<matchers>\{[^}]*})?(?:\[(?P<range>\w+)])?(?P<offset>(?<!]) offset \w+)?"
)


def inlined(expr: str) -> str:
    """Return an expression without recorded series: their own expressions stand in their place."""

    def put(found: re.Match[str]) -> str:
        recorded = inlined(RECORDED[found["name"]])
        if found["matchers"]:
            recorded, times = re.subn(r"\bollama_\w+_bytes\b", rf"\g<0>{found['matchers']}", recorded)
            assert times == 1, recorded
        if found["range"]:
            return f"({recorded})[{found['range']}:1m]"
        if found["offset"]:  # only of a selector or a subquery, says PromQL
            return f"last_over_time(({recorded})[1m:1m]{found['offset']})"
        return f"({recorded})"

    return re.sub(_RECORDED_SERIES, put, expr)


def about(expected: Values) -> Any:
    """Return what equals these numbers but for rounding."""
    return pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_every_rule_has_an_expected_number() -> None:
    """One that is not in the tables is not tested."""
    assert EXPECTED_ALERTS.keys() | OF_THE_PRESENT.keys() == ALERTS.keys()
    assert EXPECTED_RECORDED.keys() == RECORDED.keys()


@pytest.mark.parametrize("name", EXPECTED_RECORDED)
def test_it_records_what_the_input_implies(filled: Filled, name: str) -> None:
    """For every service and model there is."""
    found = values(query(filled.prometheus_url, inlined(RECORDED[name]), filled.now_s))

    assert found == about(EXPECTED_RECORDED[name])


@pytest.mark.parametrize("name", EXPECTED_ALERTS)
def test_it_alerts_with_the_number_that_the_input_implies(filled: Filled, name: str) -> None:
    """And not about the service or model that is well."""
    found = values(query(filled.prometheus_url, inlined(ALERTS[name]), filled.now_s))

    assert found == about(EXPECTED_ALERTS[name])


@pytest.mark.parametrize("name", OF_THE_PRESENT)
def test_it_alerts_now(filled: Filled, name: str) -> None:
    """Nobody answers where the shipped file looks for the collector."""
    wanted = OF_THE_PRESENT[name]

    def now() -> Values:
        return values(query(filled.prometheus_url, ALERTS[name]))

    assert eventually(now, lambda found: found == wanted) == wanted
