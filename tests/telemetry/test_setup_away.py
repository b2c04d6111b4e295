"""A collector that is not there costs a program one line and a bounded end; its spans wait for it."""

from __future__ import annotations

import os
import socket
import socketserver
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from ollameter.testing import FakeOllama
from tests.telemetry.programs import CALL, QUIET, Sink, run


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


def test_a_flush_of_the_applications_own_does_not_hang(fake: FakeOllama) -> None:
    """While a collector is away, `force_flush` of the global provider comes back."""
    script = """
    import time
    handle = ollameter.configure("shop")
    with ollameter.OllamaProvider(sys.argv[1], model="llama3.2") as llm:
        for _ in range(3):
            llm.chat([{"role": "user", "content": "x"}])
            begun = time.monotonic()
            trace.get_tracer_provider().force_flush()
            print(time.monotonic() - begun < 5)
    print(handle.force_flush(1.0), handle.shutdown(0.1))
    """
    done = run(
        QUIET + script,
        fake,
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9",
        OTEL_EXPORTER_OTLP_TIMEOUT="1",
    )

    assert done.stdout.splitlines() == ["True", "True", "True", "False False"]
    assert len(done.stderr.splitlines()) == 1, done.stderr


class _Plain(socketserver.BaseRequestHandler):
    """Answers as a port without TLS does when it is greeted with TLS."""

    def handle(self) -> None:
        """Answer once."""
        self.request.recv(65536)
        self.request.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_port_without_tls_costs_one_line_too(protocol: str, fake: FakeOllama) -> None:
    """What gRPC logs by itself, written past Python's, is kept out of the terminal."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Plain) as port:
        threading.Thread(target=port.serve_forever, args=(0.05,)).start()
        done = run(
            CALL,
            fake,
            OTEL_EXPORTER_OTLP_ENDPOINT=f"https://127.0.0.1:{port.server_address[1]}",
            OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
        )
        port.shutdown()

    assert (done.returncode, done.stdout) == (0, "Hello! True True\n")
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert "for a port without TLS the endpoint begins with http://" in done.stderr


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_port_that_never_answers_costs_one_line_at_the_end(protocol: str, fake: FakeOllama) -> None:
    """The time is over before the exporter has anything to report."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        done = run(CALL, fake, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, OTEL_EXPORTER_OTLP_PROTOCOL=protocol)

    assert (done.returncode, done.stdout) == (0, "Hello! True True\n")
    assert done.stderr == f"telemetry did not arrive at {endpoint} within 5 s, the rest is given up\n"
