"""Where a call stands among others: suppressed or not, current for a moment, told to the server."""

from __future__ import annotations

import ipaddress
from collections.abc import MutableMapping
from functools import lru_cache
from types import TracebackType
from typing import Any

from opentelemetry import _logs, baggage, propagate, trace
from opentelemetry import context as otel_context
from opentelemetry import metrics as otel_metrics
from opentelemetry.context import Context

from ollameter.telemetry import names
from ollameter.telemetry.guard import guarded

_SUPPRESSED = (
    otel_context._SUPPRESS_INSTRUMENTATION_KEY,  # noqa: SLF001  # the key instrumentations share
    "suppress_instrumentation",
    names.GENAI_CONTEXT_KEY,  # another instrumentation describes this very call
)
_HTTP_SUPPRESSED = otel_context._SUPPRESS_HTTP_INSTRUMENTATION_KEY  # noqa: SLF001  # likewise
# What the API gives out as long as nobody has set a provider; two of the three have no public name.
_PROXIES = (
    trace.ProxyTracerProvider,
    otel_metrics._internal._ProxyMeterProvider,  # noqa: SLF001  # no public name
    _logs._internal.ProxyLoggerProvider,  # noqa: SLF001  # no public name
)


def is_suppressed(context: Context) -> bool:
    """Whether nothing may be started here."""
    return bool(context) and any(context.get(key) for key in _SUPPRESSED)


def without_http(context: Context) -> Context:
    """Return a context in which HTTP instrumentation is silent."""
    return otel_context.set_value(_HTTP_SUPPRESSED, True, context)


# Where the API keeps what was set; asking it by its functions costs several microseconds a call.
_KEPT = (
    (trace, "_TRACER_PROVIDER"),
    (otel_metrics._internal, "_METER_PROVIDER"),  # noqa: SLF001  # likewise
    (_logs._internal, "_LOGGER_PROVIDER"),  # noqa: SLF001  # likewise
)


_was_asked = False


def is_set_up() -> bool:
    """Whether anybody has set a global provider, of traces, metrics or logs."""
    global _was_asked  # once: the functions read the environment, which may name a provider
    if _was_asked and all(getattr(module, name, module) is None for module, name in _KEPT):
        return False
    _was_asked = True
    found = (
        trace.get_tracer_provider(),
        otel_metrics.get_meter_provider(),
        _logs.get_logger_provider(),
    )
    return not all(is_stand_in(provider) for provider in found)


def is_stand_in(provider: object) -> bool:
    """Whether this is what the API gives out until somebody sets a provider."""
    return isinstance(provider, _PROXIES)


def inject(headers: MutableMapping[str, str], context: Context, address: str) -> None:
    """Add what carries a context to a server; baggage only to one on this machine."""
    carried = context if is_loopback(address) else baggage.clear(context)
    guarded("inject a trace context", propagate.inject, headers, carried)


@lru_cache(maxsize=64)
def is_loopback(address: str) -> bool:
    """Whether an address is of this machine alone: by its number, or `localhost` itself."""
    if address.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return False


class Attached:
    """Makes a context current within `with`; to be entered and left in one frame. None: nothing."""

    __slots__ = ("_context", "_token")

    def __init__(self, context: Context | None) -> None:
        self._context = context
        self._token: Any = None

    def __enter__(self) -> None:
        if self._context is not None:
            self._token = otel_context.attach(self._context)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trail: TracebackType | None
    ) -> None:
        if self._token is not None:
            otel_context.detach(self._token)
