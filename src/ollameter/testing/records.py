"""What was exported, as plain data that tests compare: no OpenTelemetry type anywhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Attributes = dict[str, Any]


@dataclass(frozen=True)
class CapturedLink:
    """Another span that a span points to."""

    trace_id: str
    span_id: str
    attributes: Attributes = field(default_factory=dict)


@dataclass(frozen=True)
class CapturedSpan:
    """One ended span; `parent_span_id` is None for a root, `status` one of UNSET, OK, ERROR.

    Ids are lower-case hex, `events` are names with attributes, `resource` says whose span it is.
    """

    name: str
    kind: str
    attributes: Attributes
    status: str
    status_description: str | None
    events: list[tuple[str, Attributes]]
    start_ns: int
    end_ns: int
    trace_id: str
    span_id: str
    parent_span_id: str | None
    links: list[CapturedLink] = field(default_factory=list)
    resource: Attributes = field(default_factory=dict)


@dataclass(frozen=True)
class CapturedExemplar:
    """One recorded value of a data point; the ids are None when no span was current."""

    value: float
    trace_id: str | None
    span_id: str | None


@dataclass(frozen=True)
class CapturedPoint:
    """One data point: `value` of a sum or gauge; `count`, `sum`, `buckets`, `bounds` of a histogram."""

    attributes: Attributes
    value: float | None = None
    count: int | None = None
    sum: float | None = None
    buckets: tuple[int, ...] = ()
    bounds: tuple[float, ...] = ()
    exemplars: tuple[CapturedExemplar, ...] = ()

    @property
    def exemplar_span_ids(self) -> tuple[str, ...]:
        """The spans that the exemplars lead to."""
        return tuple(exemplar.span_id for exemplar in self.exemplars if exemplar.span_id is not None)


@dataclass(frozen=True)
class CapturedMetric:
    """One metric with its data points; `kind` is Histogram, ExponentialHistogram, Sum or Gauge."""

    name: str
    unit: str
    description: str
    kind: str
    points: list[CapturedPoint] = field(default_factory=list)


@dataclass(frozen=True)
class CapturedLog:
    """One log record or event; `event_name` is None for a mere log, the ids when no span was current."""

    event_name: str | None
    attributes: Attributes
    body: Any
    severity: str | None
    trace_id: str | None
    span_id: str | None
