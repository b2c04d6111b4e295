"""Calls counted in Prometheus, from their number to an exemplar that opens as a trace."""

from __future__ import annotations

import time
from collections import Counter
from urllib.parse import urlencode

import pytest

from ollameter.telemetry import names
from ollameter.testing import FakeOllama
from tests.stack.applications import run
from tests.stack.backend import Stack
from tests.stack.loopback import fetch_json
from tests.stack.stored import eventually, exemplars, query, trace, traces, value

SERVICE = "counted"
WHOLE, STREAMS, REFUSED, CHUNKS = 6, 4, 2, 4
CALLS = f"""
    import sys, ollameter
    with ollameter.configure("{SERVICE}"):
        with ollameter.OllamaProvider(sys.argv[1], model="llama3.2") as llm:
            llm.load()
            llm.running()  # says how long the context is
            for _ in range({WHOLE}):
                llm.chat([{{"role": "user", "content": "x"}}])
            for _ in range({STREAMS}):
                with llm.stream([{{"role": "user", "content": "x"}}]) as stream:
                    print(len(list(stream)))
            for _ in range({REFUSED}):
                try:
                    llm.chat([{{"role": "user", "content": "x"}}], model="absent")
                except ollameter.ModelNotFound:
                    pass
"""
# How many values each histogram has got; a refused call has a duration and nothing else.
ANSWERED = WHOLE + STREAMS
COUNTS = {
    names.OPERATION_DURATION: ANSWERED + REFUSED,
    names.TOKEN_USAGE: 2 * ANSWERED,
    names.TIME_TO_FIRST_CHUNK: STREAMS,
    names.TIME_PER_OUTPUT_CHUNK: STREAMS * (CHUNKS - 1),
    names.SERVER_REQUEST_DURATION: ANSWERED,
    names.SERVER_TIME_TO_FIRST_TOKEN: ANSWERED,
    names.SERVER_TIME_PER_OUTPUT_TOKEN: ANSWERED,
    names.REQUEST_DURATION: ANSWERED,
    names.LOAD_DURATION: ANSWERED,
    names.PROMPT_EVAL_DURATION: ANSWERED,
    names.EVAL_DURATION: ANSWERED,
    names.UNATTRIBUTED_DURATION: ANSWERED,
    names.EVAL_THROUGHPUT: ANSWERED,
    names.CONTEXT_UTILIZATION: ANSWERED,
}
HISTOGRAMS = [names.METRICS[name] for name in COUNTS]
SUFFIXES = {
    names.SECONDS: "_seconds",
    names.TOKENS: "",
    names.TOKENS_PER_SECOND: "_per_second",
    names.RATIO: "",
}


def in_prometheus(metric: names.Metric) -> str:
    """Return a histogram's name in Prometheus, without `_count` and its like."""
    return metric.name.replace(".", "_") + SUFFIXES[metric.unit]


@pytest.fixture(scope="module")
def prometheus(stack: Stack) -> str:
    """Prometheus's address, once the program has made its calls and ended."""
    with FakeOllama() as fake:
        printed = run(
            CALLS, fake.base_url,
            OTEL_EXPORTER_OTLP_ENDPOINT=stack.collector.grpc_endpoint,
            OLLAMETER_CHUNK_METRICS="true", OLLAMETER_SERVER_METRICS="true",
        )  # fmt: skip
    assert printed.split() == [str(CHUNKS)] * STREAMS
    return stack.prometheus.url


@pytest.mark.parametrize("metric", HISTOGRAMS, ids=lambda metric: metric.name)
def test_each_histogram_has_counted_every_call(prometheus: str, metric: names.Metric) -> None:
    """As many as were made: not one more by a retry, not one less by a lost batch."""
    count = f'sum({in_prometheus(metric)}_count{{service_name="{SERVICE}"}})'
    expected = COUNTS[metric.name]

    assert eventually(lambda: value(prometheus, count), lambda it: it == expected) == expected


def test_no_histogram_is_left_out() -> None:
    """Each that the library can record is counted here."""
    assert {metric.name for metric in names.METRICS.values() if metric.kind == "histogram"} == COUNTS.keys()


def test_what_failed_is_counted_by_its_error(prometheus: str) -> None:
    """The label is the one that the span has."""
    failed = f'gen_ai_client_operation_duration_seconds_count{{service_name="{SERVICE}",error_type!=""}}'

    (sample,) = eventually(lambda: query(prometheus, failed))
    assert (sample.labels["error_type"], sample.value) == ("404", REFUSED)


def test_what_failed_is_an_error_in_jaeger_too(stack: Stack, prometheus: str) -> None:
    """By the same word, with a short message; an answered call has no status."""
    found = eventually(
        lambda: traces(stack.jaeger.query_url, SERVICE, limit=100),
        lambda it: len(it) >= ANSWERED + REFUSED + 2,
    )
    statuses = Counter((span.name, span.status) for spans in found.values() for span in spans)
    errors = {span.attributes.get("error.type") for spans in found.values() for span in spans}

    assert statuses["chat absent", "ERROR"] == REFUSED
    assert statuses["chat llama3.2", "UNSET"] == ANSWERED
    assert errors == {"404", None}


def test_buckets_are_those_of_the_contract(prometheus: str) -> None:
    """Each histogram's bounds, and nothing between or beyond."""
    for metric in HISTOGRAMS:
        bounds = f'count by (le) ({in_prometheus(metric)}_bucket{{service_name="{SERVICE}"}})'
        seen = eventually(lambda bounds=bounds: query(prometheus, bounds))  # type: ignore[misc]  # mypy infers no default argument
        assert metric.buckets is not None
        assert sorted(float(sample.labels["le"]) for sample in seen) == [*metric.buckets, float("inf")]


def test_an_exemplar_opens_as_a_trace(stack: Stack, prometheus: str) -> None:
    """From a point in a latency panel to the call that it stands for."""
    buckets = f'gen_ai_client_operation_duration_seconds_bucket{{service_name="{SERVICE}"}}'
    found = eventually(lambda: exemplars(prometheus, buckets))

    assert found
    for exemplar in found:
        spans = eventually(lambda it=exemplar: trace(stack.jaeger.query_url, it["trace_id"]))  # type: ignore[misc]  # likewise
        (span,) = spans
        assert (span.span_id, span.resource["service.name"]) == (exemplar["span_id"], SERVICE)


def test_service_performance_monitoring_answers(stack: Stack, prometheus: str) -> None:
    """Calls, errors and latencies by operation, computed from the spans that the collector saw."""

    def operations(kind: str) -> set[str]:
        """Return those with a value above 0 at any time."""
        question = urlencode({
            "service": SERVICE, "spanKind": "client", "groupByOperation": "true", "quantile": 0.95,
            "lookback": 300_000, "step": 1000, "ratePer": 60_000, "endTs": int(time.time() * 1000),
        })  # fmt: skip
        answer = fetch_json(f"{stack.jaeger.query_url}/api/metrics/{kind}?{question}")
        return {
            label["value"]
            for metric in answer["metrics"]
            for label in metric["labels"]
            if label["name"] == "operation"
            if any(float(point["gaugeValue"]["doubleValue"]) > 0 for point in metric["metricPoints"])
        }

    everything = {"chat llama3.2", "chat absent", names.LOAD_MODEL, names.LIST_RUNNING}
    assert eventually(lambda: operations("calls"), lambda it: it >= everything) == everything
    assert eventually(lambda: operations("latencies"), lambda it: it >= everything) == everything
    assert eventually(lambda: operations("errors")) == {"chat absent"}


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_script_that_makes_one_call_and_ends_is_seen(
    stack: Stack, fake: FakeOllama, protocol: str
) -> None:
    """Its increase is exactly 1, and its trace is there."""
    service = f"once by {protocol}"
    endpoint = stack.collector.grpc_endpoint if protocol == "grpc" else stack.collector.http_endpoint
    once = """
        import sys, ollameter
        with ollameter.configure(sys.argv[2]):
            with ollameter.OllamaProvider(sys.argv[1], model="llama3.2") as llm:
                llm.chat([{"role": "user", "content": "x"}])
    """
    run(
        once, fake.base_url, service,
        OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
    )  # fmt: skip
    counter = f'gen_ai_client_operation_duration_seconds_count{{service_name="{service}"}}'
    counted = f"increase({counter}[5m] anchored)"

    assert eventually(lambda: value(stack.prometheus.url, counted), lambda it: it == 1) == 1
    (spans,) = eventually(lambda: traces(stack.jaeger.query_url, service)).values()
    assert [span.name for span in spans] == ["chat llama3.2"]


def test_every_rule_is_evaluated(prometheus: str) -> None:
    """Recording rules give the known ratios; no rule fails."""
    ratio = f'ollameter:error_ratio:rate5m{{service_name="{SERVICE}"}}'
    samples = eventually(lambda: query(prometheus, ratio), lambda it: len(it) == 2)
    groups = fetch_json(f"{prometheus}/api/v1/rules")["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]

    by_model = {sample.labels["gen_ai_request_model"]: sample.value for sample in samples}
    assert by_model == {"llama3.2": 0.0, "absent": 1.0}
    assert {rule["health"] for rule in rules} == {"ok"}
    assert sorted(group["name"] for group in groups) == ["calls", "machine", "ollameter", "pipeline"]
