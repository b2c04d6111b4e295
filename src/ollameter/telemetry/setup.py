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
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

from opentelemetry import _logs, trace
from opentelemetry import metrics as otel_metrics

from ollameter.telemetry import names
from ollameter.telemetry.arrival import Arrival
from ollameter.telemetry.bounded import Parked
from ollameter.telemetry.context import is_set_up
from ollameter.telemetry.guard import guarded
from ollameter.telemetry.otlp import endpoint_shown, is_wanted
from ollameter.telemetry.otlp import otlp_exporters as otlp_exporters  # for `testing`, too

if TYPE_CHECKING:
    from ollameter.host.monitor import HostMonitor
    from ollameter.telemetry.delivery import PatientExporter, WatchedMetricExporter

_log = logging.getLogger("ollameter.telemetry")
_TIMEOUT_S = 5.0
_MOMENT_S = 0.2
_DEFAULT_QUEUE = 2048
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}

_lock = threading.Lock()
_first: TelemetryHandle | None = None


class TelemetryHandle:
    """What `configure()` set up, to be flushed and shut down; inert when it set up nothing."""

    def __init__(
        self,
        providers: Sequence[Any] = (),
        exporters: Sequence[PatientExporter | WatchedMetricExporter] = (),
        arrival: Arrival | None = None,
        machine: HostMonitor | None = None,
    ) -> None:
        self._providers = tuple(providers)
        self._exporters = tuple(exporters)
        self._arrival = arrival
        self._machine = machine
        self._down = False
        if machine is not None:
            machine.acquire(self)
        self._closing = Parked(*(provider.shutdown for provider in self._providers))
        if self._providers:
            atexit.register(self.shutdown)
            if hasattr(os, "register_at_fork"):
                os.register_at_fork(after_in_child=self._closing.park)

    @property
    def active(self) -> bool:
        """Whether anything is exported through this handle."""
        return bool(self._providers) and not self._down

    def force_flush(self, timeout_s: float = _TIMEOUT_S) -> bool:
        """Export what is waiting; return whether all of it arrived within `timeout_s` seconds."""
        if not self.active or self._arrival is None:
            return True
        in_time = Parked(*(provider.force_flush for provider in self._providers)).run(timeout_s)
        return in_time and not self._arrival.is_missing

    def shutdown(self, timeout_s: float = _TIMEOUT_S) -> bool:
        """Export what is waiting and stop; return whether that ended within `timeout_s` seconds.

        Runs by itself when the program ends. Calling it again does nothing.
        """
        if not self.active or self._arrival is None:
            return True
        self._down = True
        atexit.unregister(self.shutdown)
        in_time = self._closing.run(timeout_s)
        self._arrival.over.set()
        if self._machine is not None:
            self._machine.release(self)
        if not in_time:
            self._arrival.give_up(timeout_s)
            Parked(*(exporter.close for exporter in self._exporters)).run(_MOMENT_S)
        return in_time

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.shutdown()


def configure(service_name: str | None = None, *, service_version: str | None = None) -> TelemetryHandle:
    """Set up OpenTelemetry's SDK with OTLP export and the machine's gauges, for a program without.

    Reads the standard `OTEL_*` variables: endpoint, headers, protocol (grpc unless
    `OTEL_EXPORTER_OTLP_PROTOCOL` says `http/protobuf`), `OTEL_{TRACES,METRICS,LOGS}_EXPORTER=none`,
    intervals, resource attributes, sampler. When the application has set providers already, nothing
    is touched: one warning, an inert handle. Called again, the first handle is returned.
    `OTEL_SDK_DISABLED=true` exports nothing. While a collector is away, spans wait for it (as many
    as `OTEL_BSP_MAX_QUEUE_SIZE` says), after one warning.
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
    if is_set_up():
        _log.warning("configure(): the application has set up OpenTelemetry; it is left as it is")
        return TelemetryHandle()
    try:
        return _set_up(service_name, service_version)
    except ImportError as error:
        raise ImportError('configure() needs the SDK: pip install "ollameter[otlp]"') from error


def _set_up(service_name: str | None, service_version: str | None) -> TelemetryHandle:
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    from ollameter.host.monitor import HostMonitor
    from ollameter.telemetry import gauges
    from ollameter.telemetry.delivery import PatientExporter, WatchedMetricExporter

    otlp_spans, otlp_metrics, otlp_logs, endpoint = otlp_exporters()
    arrival = Arrival(endpoint_shown(endpoint))
    arrival.quiet_the_sdk()
    resource = _resource(service_name, service_version)
    spans = PatientExporter(otlp_spans, arrival, "traces", _queue_size("OTEL_BSP_MAX_QUEUE_SIZE"))
    metrics = WatchedMetricExporter(otlp_metrics, arrival)
    logs: Any = PatientExporter(otlp_logs, arrival, "logs", _queue_size("OTEL_BLRP_MAX_QUEUE_SIZE"))
    providers: list[Any] = []
    machine: HostMonitor | None = None
    # The SDK's own exit hooks wait for as long as its exporters like; the handle's has a bound.
    if is_wanted("TRACES"):
        tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
        tracers.add_span_processor(BatchSpanProcessor(spans))
        trace.set_tracer_provider(tracers)
        providers.append(tracers)
    if is_wanted("METRICS"):
        reader = PeriodicExportingMetricReader(metrics)
        meters = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
        otel_metrics.set_meter_provider(meters)
        providers.append(meters)
        if gauges.are_wanted():
            machine = HostMonitor.shared()
            guarded("register the host gauges", gauges.register, meters, machine)
    if is_wanted("LOGS"):
        loggers = LoggerProvider(resource=resource, shutdown_on_exit=False)
        loggers.add_log_record_processor(BatchLogRecordProcessor(logs))
        _logs.set_logger_provider(loggers)
        providers.append(loggers)
    return TelemetryHandle(providers, (spans, metrics, logs), arrival, machine)


def _queue_size(variable: str) -> int:
    text = os.environ.get(variable, "").strip()
    return int(text) if text.isdecimal() and int(text) > 0 else _DEFAULT_QUEUE


def _resource(service_name: str | None, service_version: str | None) -> Any:
    """Return who exports: what was given in code, else the environment's, else what can be found out."""
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource

    given = {names.SERVICE_NAME: service_name, names.SERVICE_VERSION: service_version}
    found = Resource.create(_found_out()).merge(OTELResourceDetector().detect())
    return found.merge(Resource({name: value for name, value in given.items() if value is not None}))


def _found_out() -> dict[str, str | int]:
    machine = platform.machine().lower()
    program = os.path.basename(sys.argv[0])
    return {
        names.SERVICE_NAME: "python" if program in {"", "-c", "-m"} else program,
        names.SERVICE_VERSION: "unknown",
        names.SERVICE_INSTANCE_ID: str(uuid.uuid4()),
        names.RESOURCE_HOST_NAME: socket.gethostname(),
        names.RESOURCE_HOST_ARCH: _ARCHITECTURES.get(machine, machine),
        names.PROCESS_PID: os.getpid(),
        names.PROCESS_EXECUTABLE_NAME: os.path.basename(sys.executable or "python"),
        names.PROCESS_RUNTIME_NAME: platform.python_implementation().lower(),
        names.PROCESS_RUNTIME_VERSION: platform.python_version(),
    }
