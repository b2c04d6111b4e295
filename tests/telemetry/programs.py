"""An OTLP receiver, and programs that call `configure()` for real, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from concurrent import futures

import grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics_pb
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc as metrics_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as trace_pb
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as trace_grpc

from ollameter.testing import FakeOllama

CALL = """
    import sys, ollameter
    handle = ollameter.configure(service_name="shop")
    with ollameter.OllamaProvider(sys.argv[1], model="llama3.2") as llm:
        text, metrics = llm.chat([{"role": "user", "content": "x"}])
    print(text, handle.active, ollameter.configure() is handle)
"""
QUIET = """
    import sys, threading, atexit, ollameter
    from opentelemetry import trace, metrics, _logs
"""


class Sink:
    """An OTLP receiver over gRPC that keeps what it gets, as long as it is open."""

    def __init__(self, port: int = 0) -> None:
        self.spans: list[str] = []
        self.metrics: set[str] = set()
        self.services: set[str] = set()
        self.resource_keys: set[str] = set()
        self._server = grpc.server(futures.ThreadPoolExecutor(4))
        trace_grpc.add_TraceServiceServicer_to_server(_Traces(self), self._server)  # type: ignore[no-untyped-call]  # generated
        metrics_grpc.add_MetricsServiceServicer_to_server(_Metrics(self), self._server)  # type: ignore[no-untyped-call]  # generated
        self.port = self._server.add_insecure_port(f"127.0.0.1:{port}")
        self._server.start()

    def close(self) -> None:
        """Stop receiving at once."""
        self._server.stop(0).wait()


class _Traces(trace_grpc.TraceServiceServicer):
    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def Export(self, request: trace_pb.ExportTraceServiceRequest, context: object) -> object:  # noqa: N802
        for resource in request.resource_spans:
            attributes = {a.key: a.value.string_value for a in resource.resource.attributes}
            self._sink.services.add(attributes["service.name"])
            self._sink.resource_keys |= attributes.keys()
            self._sink.spans += [s.name for scope in resource.scope_spans for s in scope.spans]
        return trace_pb.ExportTraceServiceResponse()


class _Metrics(metrics_grpc.MetricsServiceServicer):
    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def Export(self, request: metrics_pb.ExportMetricsServiceRequest, context: object) -> object:  # noqa: N802
        for resource in request.resource_metrics:
            self._sink.metrics |= {m.name for scope in resource.scope_metrics for m in scope.metrics}
        return metrics_pb.ExportMetricsServiceResponse()


def run(script: str, fake: FakeOllama, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program against the fake server with only the given OpenTelemetry settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), fake.base_url],
        capture_output=True, text=True, timeout=60, check=False, env={**kept, **environment},
    )  # fmt: skip


def printed(script: str, fake: FakeOllama, **environment: str) -> list[str]:
    """Return what a program printed; it must have ended well, without a word on stderr."""
    done = run(QUIET + script, fake, **environment)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()
