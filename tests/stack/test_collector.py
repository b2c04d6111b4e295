"""The shipped files take what a call exports, in the real servers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from ollameter.testing import FakeOllama
from tests.stack.backend import COLLECTOR_FILE, Stack
from tests.stack.stored import eventually, traces, value


def test_the_shipped_file_is_valid(collector_prefix: Path) -> None:
    """By the collector's own word."""
    otelcol = collector_prefix / "bin" / "otelcol"
    done = subprocess.run(
        [str(otelcol), "validate", f"--config={COLLECTOR_FILE}"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")


def test_the_demo_arrives_in_jaeger_and_prometheus(stack: Stack, fake: FakeOllama) -> None:
    """Its span and its metrics, over gRPC."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": stack.collector.grpc_endpoint, "OLLAMA_HOST": fake.base_url}
    subprocess.run(
        [sys.executable, "-m", "ollameter.cli.demo"],
        check=True, timeout=60, capture_output=True, env={**kept, **endpoint},
    )  # fmt: skip

    found = eventually(lambda: traces(stack.jaeger.query_url, "ollameter-demo"))
    ((span,),) = found.values()
    assert span.name == "chat llama3.2"
    assert span.attributes["ollama.load.duration"] == 0.00001
    calls = 'gen_ai_client_operation_duration_seconds_count{service_name="ollameter-demo"}'
    assert eventually(lambda: value(stack.prometheus.url, calls)) == 1
