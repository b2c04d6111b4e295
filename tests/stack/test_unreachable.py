"""A wrong endpoint, protocol or scheme: one clear line, the program unaffected, a bounded end."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ollameter.testing import FakeOllama
from tests.stack.applications import environment
from tests.stack.backend import COLLECTOR_FILE
from tests.stack.servers import Collector

PROGRAM = """
    import sys, time, ollameter
    handle = ollameter.configure("shop")
    with ollameter.OllamaProvider(sys.argv[1], model="llama3.2") as llm:
        text, metrics = llm.chat([{"role": "user", "content": "x"}])
    begun = time.monotonic()
    arrived = handle.shutdown()
    print(text, arrived, time.monotonic() - begun, sep="\\n")
"""
GRPC, HTTP = "grpc", "http/protobuf"
# Endpoint and protocol; `{grpc}` and `{http}` are the collector's ports. Then what the line must say.
CASES = {
    "nobody listens": ("http://127.0.0.1:9", GRPC, "Connection refused"),
    "nobody listens, HTTP": ("http://127.0.0.1:9", HTTP, "Connection refused"),
    "no such host": ("http://collector.invalid:4317", GRPC, "collector.invalid"),
    "no such host, HTTP": ("http://collector.invalid:4318", HTTP, "collector.invalid"),
    "gRPC to the HTTP port": ("http://{http}", GRPC, "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"),
    "HTTP to the gRPC port": ("http://{grpc}", HTTP, "OTEL_EXPORTER_OTLP_PROTOCOL=grpc"),
    "a path that is not there": ("http://{http}/nowhere", HTTP, "404"),
    "TLS to a port without": ("https://{grpc}", GRPC, "the endpoint begins with http://"),
    "TLS to a port without, HTTP": ("https://{http}", HTTP, "the endpoint begins with http://"),
    "no TLS to a port with it": ("http://{tls}", GRPC, "the endpoint begins with https://"),
    "an unknown authority": ("https://{tls}", GRPC, "CERTIFICATE_VERIFY_FAILED"),
    "an unknown authority, HTTP": ("https://{tls_http}", HTTP, "CERTIFICATE_VERIFY_FAILED"),
}


@dataclass(frozen=True, slots=True)
class Ended:
    """What a program printed, and how it ended."""

    code: int
    text: str
    arrived: str
    shutdown_s: float
    told: str


@pytest.fixture(scope="module")
def ended(collector_prefix: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Ended]]:
    """All cases, run at once: each takes the five seconds that a shutdown may take."""
    folder = tmp_path_factory.mktemp("unreachable")
    certificates = Path(__file__).parents[1] / "providers" / "tls"
    tls = {"cert_file": str(certificates / "cert.pem"), "key_file": str(certificates / "key.pem")}
    overlay = folder / "tls.yaml"
    overlay.write_text(
        f"receivers: {{otlp: {{protocols: {{grpc: {{tls: {tls}}}, http: {{tls: {tls}}}}}}}}}",
        encoding="utf-8",
    )

    def collector(name: str, *overlays: Path) -> Collector:
        return Collector(
            collector_prefix,
            [COLLECTOR_FILE, *overlays],
            jaeger_otlp="127.0.0.1:9",
            prometheus_otlp="http://127.0.0.1:9",
            folder=folder / name,
        )

    with (
        collector("plain") as plain,
        collector("secure", overlay) as secure,
        FakeOllama() as fake,
    ):
        ports = {
            "grpc": plain.address("grpc"), "http": plain.address("http"),
            "tls": secure.address("grpc"), "tls_http": secure.address("http"),
        }  # fmt: skip
        programs = {
            name: subprocess.Popen(
                [sys.executable, "-c", textwrap.dedent(PROGRAM), fake.base_url],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                env=environment({
                    "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint.format(**ports),
                    "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
                }),
            )
            for name, (endpoint, protocol, _) in CASES.items()
        }  # fmt: skip
        yield {name: _end_of(program) for name, program in programs.items()}


def _end_of(program: subprocess.Popen[str]) -> Ended:
    out, told = program.communicate(timeout=120)
    text, arrived, shutdown_s = out.splitlines()
    return Ended(program.returncode, text, arrived, float(shutdown_s), told)


@pytest.mark.parametrize("case", CASES)
def test_the_program_is_unaffected_and_ends_in_time(ended: dict[str, Ended], case: str) -> None:
    """The answer is there; `shutdown` takes its five seconds at most."""
    how = ended[case]

    assert (how.code, how.text) == (0, "Hello!")
    assert how.shutdown_s < 5.5


@pytest.mark.parametrize("case", CASES)
def test_one_clear_line_says_why(ended: dict[str, Ended], case: str) -> None:
    """Where it was sent and what went wrong; no traceback, nothing twice."""
    _, _, why = CASES[case]
    (line,) = ended[case].told.splitlines()

    assert line.startswith("telemetry does not arrive at http")
    assert why in line
