"""`configure()` exports from a program without an SDK, and leaves one that has its own alone."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ollameter.telemetry import setup
from ollameter.testing import FakeOllama
from tests.telemetry.programs import CALL, QUIET, Sink, printed, run


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


def test_the_end_of_the_program_needs_no_new_thread(fake: FakeOllama, sink: Sink) -> None:
    """Python 3.12 starts none any more when exit hooks run: ours are there already."""
    script = """
    handle = ollameter.configure("shop")
    with ollameter.OllamaProvider(sys.argv[1], model="llama3.2") as llm:
        llm.chat([{"role": "user", "content": "x"}])
    def refuse(_):
        raise RuntimeError("can't create new thread at interpreter shutdown")
    atexit.register(setattr, threading.Thread, "start", refuse)  # runs first: hooks run backwards
    """
    printed(script, fake, OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{sink.port}")

    assert sink.spans == ["chat llama3.2"]
    assert "gen_ai.client.operation.duration" in sink.metrics


def test_a_handle_flushes_and_is_left_with_with(fake: FakeOllama, sink: Sink) -> None:
    """Everything has arrived when `force_flush` says so; after `with` nothing is active."""
    script = """
    with ollameter.configure("shop") as handle:
        with ollameter.OllamaProvider(sys.argv[1], model="llama3.2") as llm:
            llm.chat([{"role": "user", "content": "x"}])
        print(handle.force_flush())
    print(handle.active, handle.force_flush(), handle.shutdown(), ollameter.configure() is handle)
    """
    endpoint = f"http://127.0.0.1:{sink.port}"

    assert printed(script, fake, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint) == ["True", "False True True True"]
    assert sink.spans == ["chat llama3.2"]


def test_the_interval_of_metrics_is_what_the_environment_says(fake: FakeOllama, sink: Sink) -> None:
    """`OTEL_METRIC_EXPORT_INTERVAL`, in milliseconds: they arrive while the program runs."""
    script = """
    handle = ollameter.configure("shop")
    with ollameter.OllamaProvider(sys.argv[1], model="llama3.2") as llm:
        llm.chat([{"role": "user", "content": "x"}])
    sys.stdin.read()
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    settings = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{sink.port}",
        "OTEL_METRIC_EXPORT_INTERVAL": "50",
    }
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(QUIET + script), fake.base_url],
        stdin=subprocess.PIPE, env={**kept, **settings},
    ) as program:  # fmt: skip
        ends_at = time.monotonic() + 20
        while not sink.metrics and time.monotonic() < ends_at:
            threading.Event().wait(0.02)
        running = program.poll() is None
        program.communicate(b"", timeout=20)

    assert running
    assert "gen_ai.client.operation.duration" in sink.metrics


def test_a_signal_that_is_not_wanted_is_not_set_up(fake: FakeOllama) -> None:
    """`OTEL_TRACES_EXPORTER=none` and its like: the application may set that provider itself."""
    script = """
    handle = ollameter.configure("shop")
    found = trace.get_tracer_provider(), metrics.get_meter_provider(), _logs.get_logger_provider()
    print([type(provider).__name__ for provider in found], handle.active)
    """
    settings = {f"OTEL_{signal}_EXPORTER": "none" for signal in ("TRACES", "METRICS", "LOGS")}

    assert printed(script, fake, **settings) == [
        "['ProxyTracerProvider', '_ProxyMeterProvider', 'ProxyLoggerProvider'] False"
    ]


@pytest.mark.parametrize(
    "setting",
    [
        "trace.set_tracer_provider(trace.NoOpTracerProvider())",
        "metrics.set_meter_provider(metrics.NoOpMeterProvider())",
        "_logs.set_logger_provider(_logs.NoOpLoggerProvider())",
    ],
)
def test_any_provider_an_application_has_set_is_respected(setting: str, fake: FakeOllama) -> None:
    """One of the three is enough to say that somebody else does this."""
    done = run(QUIET + f"    {setting}\n    print(ollameter.configure().active)", fake)

    assert done.stdout == "False\n"
    assert done.stderr.count("has set up OpenTelemetry") == 1


@pytest.mark.parametrize(
    ("given", "environment", "name", "version"),
    [
        ("'shop', service_version='2'", {}, "shop", "2"),
        ("", {}, "python", "unknown"),
        ("", {"OTEL_SERVICE_NAME": "env"}, "env", "unknown"),
        ("'shop'", {"OTEL_SERVICE_NAME": "env"}, "shop", "unknown"),
        ("", {"OTEL_RESOURCE_ATTRIBUTES": "service.name=a,service.version=9,host.name=h"}, "a", "9"),
        ("service_version='2'", {"OTEL_RESOURCE_ATTRIBUTES": "service.version=9"}, "python", "2"),
    ],
)
def test_what_is_given_in_code_wins_over_the_environment(
    given: str, environment: dict[str, str], name: str, version: str, fake: FakeOllama
) -> None:
    """And the environment wins over what can be found out."""
    script = f"""
    ollameter.configure({given})
    found = trace.get_tracer_provider().resource.attributes
    print(found["service.name"], found["service.version"], found["host.name"])
    """
    (line,) = printed(script, fake, OTEL_METRICS_EXPORTER="none", **environment)

    assert line.split()[:2] == [name, version]
    assert (line.split()[2] == "h") == (
        "OTEL_RESOURCE_ATTRIBUTES" in environment and "host.name" in str(environment)
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_worker_exports_its_own_calls(fake: FakeOllama, sink: Sink) -> None:
    """As under a preloading server: each process closes what is its own."""
    script = """
    import os
    handle = ollameter.configure("shop")
    child = os.fork()
    with ollameter.OllamaProvider(sys.argv[1], model="llama3.2") as llm:
        llm.chat([{"role": "user", "content": "x"}])
    print(handle.shutdown(), flush=True)
    if child:
        os.waitpid(child, 0)
    else:
        os._exit(0)
    """
    done = printed(
        script, fake, OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{sink.port}",
        GRPC_ENABLE_FORK_SUPPORT="true",
    )  # fmt: skip

    assert done == ["True", "True"]
    assert sink.spans == ["chat llama3.2"] * 2


@pytest.mark.parametrize("size", ["", "x", "0", "16"])
def test_the_size_of_the_buffer_is_the_sdks_own_setting(size: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """2048 unless `OTEL_BSP_MAX_QUEUE_SIZE` says a number above 0."""
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", size)

    assert setup._queue_size("OTEL_BSP_MAX_QUEUE_SIZE") == (16 if size == "16" else 2048)
