"""What Jaeger and Prometheus have, asked through their public APIs, in Python's own types."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Event
from typing import Any, TypeVar
from urllib.error import HTTPError
from urllib.parse import urlencode

from tests.stack.loopback import fetch_json

T = TypeVar("T")
KINDS = {1: "INTERNAL", 2: "SERVER", 3: "CLIENT", 4: "PRODUCER", 5: "CONSUMER"}
STATUS = {0: "UNSET", 1: "OK", 2: "ERROR"}


def eventually(ask: Callable[[], T], wanted: Callable[[T], object] = bool, within_s: float = 20.0) -> T:
    """Ask until the answer is the wanted one; return the last answer either way, for the assertion."""
    ends_at = time.monotonic() + within_s
    while not wanted(answer := ask()) and time.monotonic() < ends_at:
        Event().wait(0.1)
    return answer


@dataclass(frozen=True, slots=True)
class Span:
    """One span as Jaeger has it."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    start_ns: int
    end_ns: int
    status: str
    attributes: Mapping[str, Any]
    resource: Mapping[str, Any]
    scope: str


def services(jaeger_url: str) -> set[str]:
    """Name the services that have sent a span."""
    return set(fetch_json(f"{jaeger_url}/api/services")["data"] or ())


def trace(jaeger_url: str, trace_id: str) -> list[Span]:
    """Return a trace's spans in the order of their start; none if it is unknown."""
    try:
        answer = fetch_json(f"{jaeger_url}/api/v3/traces/{trace_id}")
    except HTTPError as error:
        with error:
            if error.code == 404:
                return []
            raise
    return _spans(answer)


def stored_ids(jaeger_url: str, trace_id: str) -> set[str]:
    """Return the ids of a trace's spans that have arrived."""
    return {span.span_id for span in trace(jaeger_url, trace_id)}


def traces(jaeger_url: str, service: str, limit: int = 20) -> dict[str, list[Span]]:
    """Return a service's traces of the last hour by their ids."""
    now = time.time()
    question = {
        "query.service_name": service,
        "query.start_time_min": _rfc3339(now - 3600),
        "query.start_time_max": _rfc3339(now + 60),
        "query.num_traces": limit,
    }
    try:
        answer = fetch_json(f"{jaeger_url}/api/v3/traces?{urlencode(question)}")
    except HTTPError as error:
        with error:
            if error.code == 404:
                return {}
            raise
    found: dict[str, list[Span]] = {}
    for span in _spans(answer):
        found.setdefault(span.trace_id, []).append(span)
    return found


@dataclass(frozen=True, slots=True)
class Sample:
    """One series' value at one time."""

    labels: Mapping[str, str]
    value: float


def query(prometheus_url: str, promql: str, at: float | None = None) -> list[Sample]:
    """Evaluate an expression at a time (Unix seconds), now unless given; a scalar has no labels."""
    question = {"query": promql, **({} if at is None else {"time": at})}
    data = fetch_json(f"{prometheus_url}/api/v1/query?{urlencode(question)}")["data"]
    if data["resultType"] == "scalar":
        return [Sample({}, float(data["result"][1]))]
    return [Sample(each["metric"], float(each["value"][1])) for each in data["result"]]


def value(prometheus_url: str, promql: str, at: float | None = None) -> float | None:
    """Evaluate an expression that has one value; None when it has none."""
    samples = query(prometheus_url, promql, at)
    if len(samples) > 1:
        raise ValueError(f"{len(samples)} values of {promql}")
    return samples[0].value if samples else None


def exemplars(prometheus_url: str, promql: str) -> list[Mapping[str, str]]:
    """Return the labels (`trace_id`, `span_id`) of the last hour's exemplars."""
    now = time.time()
    question = urlencode({"query": promql, "start": now - 3600, "end": now + 60})
    data = fetch_json(f"{prometheus_url}/api/v1/query_exemplars?{question}")["data"]
    return [each["labels"] for series in data for each in series["exemplars"]]


def _spans(answer: Any) -> list[Span]:
    spans = [
        _span(span, _plain(resource["resource"]["attributes"]), scope.get("scope", {}).get("name", ""))
        for resource in answer["result"]["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    ]
    return sorted(spans, key=lambda span: span.start_ns)


def _span(sent: Any, resource: Mapping[str, Any], scope: str) -> Span:
    return Span(
        name=sent["name"],
        kind=KINDS[sent["kind"]],
        trace_id=sent["traceId"],
        span_id=sent["spanId"],
        parent_id=sent.get("parentSpanId", ""),
        start_ns=int(sent["startTimeUnixNano"]),
        end_ns=int(sent["endTimeUnixNano"]),
        status=STATUS[sent.get("status", {}).get("code", 0)],
        attributes=_plain(sent.get("attributes", [])),
        resource=resource,
        scope=scope,
    )


def _plain(attributes: Any) -> dict[str, Any]:
    return {each["key"]: _value(each["value"]) for each in attributes}


def _value(sent: Mapping[str, Any]) -> Any:
    """Read OTLP's JSON; an integer is sent as a string, so that its type is not lost."""
    ((kind, content),) = sent.items()
    if kind == "arrayValue":
        return [_value(each) for each in content.get("values", ())]
    return {"stringValue": str, "intValue": int, "doubleValue": float, "boolValue": bool}[kind](content)


def _rfc3339(unix_s: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(unix_s))
