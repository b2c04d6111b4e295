"""Assertions on what was exported, whose failures say what there was instead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ollameter.testing.records import CapturedPoint, CapturedSpan

if TYPE_CHECKING:  # it needs the SDK
    from ollameter.testing.captured import CapturedTelemetry

_ABSENT = object()


def assert_span(
    captured: CapturedTelemetry,
    name: str,
    *,
    status: str | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> CapturedSpan:
    """Return the one span of this name, once its status and the attributes given are as given.

    `status` is UNSET, OK or ERROR; an attribute whose value is None must be absent; values are of
    the very type given (1 is neither 1.0 nor True). Raises `AssertionError` naming what differs.
    """
    spans = [span for span in captured.spans if span.name == name]
    if len(spans) != 1:
        there = [span.name for span in captured.spans]
        raise AssertionError(f"expected one span {name!r}, found {len(spans)} among {there}")
    span = spans[0]
    problems = _differences(attributes or {}, span.attributes)
    if status is not None and span.status != status:
        problems.insert(0, f"status: expected {status}, was {span.status} ({span.status_description})")
    _raise_if(problems, f"span {name!r}")
    return span


def assert_metric(
    captured: CapturedTelemetry,
    name: str,
    *,
    unit: str | None = None,
    value: float | None = None,
    count: int | None = None,
    total: float | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> CapturedPoint:
    """Return the one data point of this metric that has the attributes given.

    `value` is a counter's or gauge's, `count` and `total` (the sum of what was recorded) are a
    histogram's; None is not looked at. Raises `AssertionError` naming what differs.
    """
    metric = captured.metric(name)
    wanted = attributes or {}
    points = [point for point in metric.points if not _differences(wanted, point.attributes)]
    if len(points) != 1:
        there = [point.attributes for point in metric.points]
        raise AssertionError(f"metric {name}: expected one point with {dict(wanted)}, there are {there}")
    point = points[0]
    expected = {"unit": unit, "value": value, "count": count, "total": total}
    found = {"unit": metric.unit, "value": point.value, "count": point.count, "total": point.sum}
    problems = [
        f"{what}: expected {wish!r}, was {found[what]!r}"
        for what, wish in expected.items()
        if wish is not None and wish != found[what]
    ]
    _raise_if(problems, f"metric {name}")
    return point


def _differences(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    seen = {name: found.get(name, _ABSENT) for name in wanted}
    return [
        f"{name}: expected {_shown(wish)}, was {_shown(seen[name])}"
        for name, wish in wanted.items()
        if not _same(wish, seen[name])
    ]


def _same(wish: Any, found: Any) -> bool:
    if wish is None:
        return found is _ABSENT
    return type(wish) is type(found) and bool(wish == found)


def _shown(value: Any) -> str:
    return "absent" if value is None or value is _ABSENT else repr(value)


def _raise_if(problems: list[str], where: str) -> None:
    if problems:
        raise AssertionError("\n  ".join([f"{where} is not as expected", *problems]))
