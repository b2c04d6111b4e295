"""`configure()` exports from a program without an SDK, and leaves one that has its own alone."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import pytest
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


@pytest.fixture
def sink() -> Iterator[Sink]:
    """A receiver on a free port."""
    opened = Sink()
    yield opened
    opened.close()


def run(script: str, fake: FakeOllama, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program against the fake server with only the given OpenTelemetry settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), fake.base_url],
        capture_output=True, text=True, timeout=60, check=False, env={**kept, **environment},
    )  # fmt: skip


def test_a_script_that_makes_one_call_is_exported(fake: FakeOllama, sink: Sink) -> None:
    """Trace and metrics arrive when the program ends, with who it was."""
    done = run(CALL, fake, OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{sink.port}")

    assert (done.stdout, done.stderr) == ("Hello! True True\n", "")
    assert sink.spans == ["chat llama3.2"]
    assert {"gen_ai.client.operation.duration", "ollama.eval.duration"} <= sink.metrics
    assert sink.services == {"shop"}
    assert {
        "service.instance.id", "service.version", "host.name", "host.arch", "process.pid",
        "process.runtime.name",
    } <= sink.resource_keys  # fmt: skip


def test_the_protocol_is_what_the_environment_says(fake: FakeOllama) -> None:
    """`http/protobuf` posts to the standard paths."""
    paths: list[str] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            paths.append(self.path)
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        done = run(
            CALL,
            fake,
            OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{server.server_port}",
        )
        server.shutdown()

    assert (done.stdout, done.stderr) == ("Hello! True True\n", "")
    assert {"/v1/traces", "/v1/metrics"} == set(paths)


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_an_absent_collector_costs_one_line_and_at_most_five_seconds(
    protocol: str, fake: FakeOllama
) -> None:
    """The answer comes all the same; no traceback is printed."""
    begun = time.monotonic()
    done = run(
        CALL,
        fake,
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9",
        OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
    )
    took_s = time.monotonic() - begun

    assert (done.returncode, done.stdout) == (0, "Hello! True True\n")
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert "telemetry does not arrive at http://127.0.0.1:9" in done.stderr
    assert took_s < 5 + 3


def test_spans_wait_for_a_collector_that_comes_back(fake: FakeOllama) -> None:
    """Longer away than the SDK's own patience with a batch would be."""
    first = Sink()
    port = first.port
    first.close()
    script = """
        import sys, time, ollameter
        handle = ollameter.configure(service_name="shop")
        with ollameter.OllamaProvider(sys.argv[1], model="llama3.2") as llm:
            for _ in range(10):
                llm.chat([{"role": "user", "content": "x"}])
        print("called", flush=True)
        sys.stdin.readline()
        print(handle.shutdown())
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    settings = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
    }
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), fake.base_url],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**kept, **settings},
    ) as program:  # fmt: skip
        assert program.stdout is not None
        assert program.stdout.readline() == "called\n"
        away_until = time.monotonic() + 4
        while time.monotonic() < away_until:
            assert program.poll() is None
            threading.Event().wait(0.1)
        back = Sink(port)
        ends_at = time.monotonic() + 20
        while len(back.spans) < 10 and time.monotonic() < ends_at:
            threading.Event().wait(0.05)
        out, err = program.communicate("\n", timeout=20)
        back.close()

    assert back.spans == ["chat llama3.2"] * 10
    assert out == "True\n"
    assert err.count("telemetry does not arrive") == 1, err
    assert "Traceback" not in err


def test_an_application_with_its_own_sdk_is_left_alone(fake: FakeOllama) -> None:
    """One warning, an inert handle, the same provider as before."""
    script = """
        import sys, ollameter
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        mine = TracerProvider()
        trace.set_tracer_provider(mine)
        handle = ollameter.configure()
        ollameter.configure()
        print(handle.active, handle.shutdown(), handle.force_flush(), trace.get_tracer_provider() is mine)
    """
    done = run(script, fake)

    assert done.stdout == "False True True True\n"
    assert done.stderr.count("has set up OpenTelemetry") == 1


def test_a_disabled_sdk_exports_nothing_and_metrics_are_returned(fake: FakeOllama, sink: Sink) -> None:
    """`OTEL_SDK_DISABLED=true`."""
    done = run(
        CALL,
        fake,
        OTEL_SDK_DISABLED="true",
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{sink.port}",
    )

    assert (done.stdout, done.stderr) == ("Hello! False True\n", "")
    assert sink.spans == []
