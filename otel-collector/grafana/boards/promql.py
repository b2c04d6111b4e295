"""The few shapes of PromQL that the dashboards are made of.

Graphs take rates over `$__rate_interval`. Totals take the whole range, `anchored`: Prometheus then
does not extrapolate, so that ten calls are ten and the one call of a short script is one.
"""

from __future__ import annotations

from boards.exported import MODEL, SERVICE

_MOMENT = "[$__rate_interval]"
_RANGE = "[$__range] anchored"


def of_service(*more: str) -> str:
    """Return the matchers for the chosen services, and more."""
    return _matchers(f'{SERVICE}=~"$service"', *more)


def chosen(*more: str) -> str:
    """Return the matchers for the chosen services and models, and more."""
    return of_service(f'{MODEL}=~"$model"', *more)


def _matchers(*each: str) -> str:
    return "{" + ",".join(each) + "}"


def rate(series: str, *by: str, where: str | None = None) -> str:
    """Return the sum of rates; `where` instead of the chosen services and models."""
    return f"sum{_by(*by)}(rate({series}{_where(where)}{_MOMENT}))"


def total(series: str, *by: str, where: str | None = None) -> str:
    """Return the exact sum of increases in the whole range."""
    return f"sum{_by(*by)}(increase({series}{_where(where)}{_RANGE}))"


def ratio(part: str, whole: str) -> str:
    """Return a quotient, and nothing where there is nothing to divide by."""
    return f"{part} / ({whole} > 0)"


def share(part: str, whole: str) -> str:
    """Return a part of a whole, 0 where the whole is there and its part is not."""
    return f"({part} or {whole} * 0) / ({whole} > 0)"


def quantile(q: float, histogram: str, *by: str, where: str | None = None) -> str:
    """Return a quantile, as exact as the buckets are narrow."""
    return f"histogram_quantile({q}, {rate(f'{histogram}_bucket', 'le', *by, where=where)})"


def quantile_of_range(q: float, histogram: str, *by: str) -> str:
    """Return a quantile of everything in the range."""
    return f"histogram_quantile({q}, {total(f'{histogram}_bucket', 'le', *by)})"


def mean(histogram: str, *by: str) -> str:
    """Return the mean of what was recorded."""
    return ratio(rate(f"{histogram}_sum", *by), rate(f"{histogram}_count", *by))


def mean_of_range(histogram: str, *by: str) -> str:
    """Return the mean of everything in the range, exactly."""
    return ratio(total(f"{histogram}_sum", *by), total(f"{histogram}_count", *by))


def average(gauge: str, *by: str, where: str | None = None) -> str:
    """Return a gauge of the machine: the mean of what each process on it saw."""
    return f"avg{_by(*by)}({gauge}{of_service() if where is None else where})"


def _where(where: str | None) -> str:
    return chosen() if where is None else where


def _by(*labels: str) -> str:
    return f" by ({', '.join(labels)}) " if labels else ""
