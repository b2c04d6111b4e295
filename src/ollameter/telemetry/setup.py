"""`configure()`: an SDK with OTLP export for programs that bring none; the only global set-up."""

from __future__ import annotations

import atexit
import logging
import os
import platform
import socket
import sys
import threading
import uuid
from typing import TYPE_CHECKING, Any, Self

from opentelemetry import _logs, trace
from opentelemetry import metrics as otel_metrics

from ollameter.telemetry import names

if TYPE_CHECKING:
    from ollameter.telemetry.delivery import Road

_log = logging.getLogger("ollameter.telemetry")
_SHUTDOWN_S = 5.0
_GRPC, _HTTP = "grpc", "http/protobuf"

_lock = threading.Lock()
_first: TelemetryHandle | None = None


class TelemetryHandle:
    """What `configure()` set up, to be flushed and shut down; inert when it set up nothing."""

    def __init__(self, providers: tuple[Any, ...] = (), road: Road | None = None) -> None:
        self._providers = providers
        self._road = road
        self._down = False

    @property
    def active(self) -> bool:
        """Whether anything is exported through this handle."""
        return bool(self._providers) and not self._down

    def force_flush(self, timeout_s: float = _SHUTDOWN_S) -> bool:
        """Export what is waiting; return whether that ended within `timeout_s` seconds."""
        from ollameter.telemetry.delivery import within

        millis = int(timeout_s * 1000)
        flushes = [lambda p=provider: p.force_flush(millis) for provider in self._providers]
        return within(timeout_s, *flushes) if self.active else True

    def shutdown(self, timeout_s: float = _SHUTDOWN_S) -> bool:
        """Export what is waiting and stop; return whether that ended within `timeout_s` seconds.

        Runs by itself when the program ends. Calling it again does nothing.
        """
        if not self.active:
            return True
        from ollameter.telemetry.delivery import within

        self._down = True
        atexit.unregister(self.shutdown)
        in_time = within(timeout_s, *(provider.shutdown for provider in self._providers))
        if self._road is not None:
            self._road.stopped.set()
        return in_time

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.shutdown()


def configure(service_name: str | None = None, *, service_version: str | None = None) -> TelemetryHandle:
    """Set up OpenTelemetry's SDK with OTLP export, for a program that has none.

    Reads the standard `OTEL_*` variables: endpoint, headers, protocol (grpc unless
    `OTEL_EXPORTER_OTLP_PROTOCOL` says `http/protobuf`), intervals, resource attributes, sampler.
    When the application has set providers already, nothing is touched: one warning, an inert
    handle. Called again, the first handle is returned. `OTEL_SDK_DISABLED=true` exports nothing.
    Needs `pip install "ollameter[otlp]"`; raises `ImportError` saying so.
    """
    global _first  # one set-up a process
    with _lock:
        if _first is None:
            _first = _configured(service_name, service_version)
        return _first


def _configured(service_name: str | None, service_version: str | None) -> TelemetryHandle:
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return TelemetryHandle()
    if _is_set_up():
        _log.warning("configure(): the application has set up OpenTelemetry; it is left as it is")
        return TelemetryHandle()
    try:
        return _set_up(service_name, service_version)
    except ImportError as error:
        raise ImportError('configure() needs the SDK: pip install "ollameter[otlp]"') from error


def _is_set_up() -> bool:
    """Whether someone has set a provider; asking for one here would already load it."""
    tracers, meters = trace.get_tracer_provider(), otel_metrics.get_meter_provider()
    proxies = (trace.ProxyTracerProvider, otel_metrics._internal._ProxyMeterProvider)  # noqa: SLF001
    return not (isinstance(tracers, proxies) and isinstance(meters, proxies))


def _set_up(service_name: str | None, service_version: str | None) -> TelemetryHandle:
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    from ollameter.telemetry.delivery import PatientSpanExporter, Road, WatchedMetricExporter

    spans, metrics, logs, endpoint = otlp_exporters()
    road = Road(endpoint)
    road.quiet_the_sdk()
    resource = _resource(service_name, service_version)
    # The SDK's own exit hooks wait for as long as its exporters like; ours has a bound.
    tracer_provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    tracer_provider.add_span_processor(BatchSpanProcessor(PatientSpanExporter(spans, road)))
    reader = PeriodicExportingMetricReader(WatchedMetricExporter(metrics, road))
    meter_provider = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
    logger_provider = LoggerProvider(resource=resource, shutdown_on_exit=False)
    logger_provider.add_log_record_processor(BatchLogRecordProcessor(logs))
    trace.set_tracer_provider(tracer_provider)
    otel_metrics.set_meter_provider(meter_provider)
    _logs.set_logger_provider(logger_provider)
    handle = TelemetryHandle((tracer_provider, meter_provider, logger_provider), road)
    atexit.register(handle.shutdown)
    return handle


def otlp_exporters() -> tuple[Any, Any, Any, str]:
    """Return the exporters of spans, metrics and logs that the environment asks for."""
    protocol = os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "").strip() or _GRPC
    if protocol not in {_GRPC, _HTTP}:
        _log.warning("OTEL_EXPORTER_OTLP_PROTOCOL=%s is not known: using %s", protocol, _GRPC)
        protocol = _GRPC
    endpoint = os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    if protocol == _HTTP:
        from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        http = (OTLPSpanExporter(), OTLPMetricExporter(), OTLPLogExporter())
        return *http, endpoint or "http://localhost:4318"
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetrics
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans

    return GrpcSpans(), GrpcMetrics(), GrpcLogs(), endpoint or "http://localhost:4317"


def _resource(service_name: str | None, service_version: str | None) -> Any:
    """Return who exports: the environment's attributes win over these, except a name in code."""
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource

    machine = platform.machine().lower()
    ours: dict[str, str | int] = {
        names.SERVICE_NAME: service_name or os.path.basename(sys.argv[0] or "python"),
        names.SERVICE_VERSION: service_version or "unknown",
        names.SERVICE_INSTANCE_ID: str(uuid.uuid4()),
        names.RESOURCE_HOST_NAME: socket.gethostname(),
        names.RESOURCE_HOST_ARCH: _ARCHITECTURES.get(machine, machine),
        names.PROCESS_PID: os.getpid(),
        names.PROCESS_EXECUTABLE_NAME: os.path.basename(sys.executable or "python"),
        names.PROCESS_RUNTIME_NAME: platform.python_implementation().lower(),
        names.PROCESS_RUNTIME_VERSION: platform.python_version(),
    }
    given = OTELResourceDetector().detect()
    resource = Resource.create({**ours}).merge(given)
    return (
        resource if service_name is None else resource.merge(Resource({names.SERVICE_NAME: service_name}))
    )


_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
