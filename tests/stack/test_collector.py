"""The shipped collector file takes what a call exports, in the real collector."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from ollameter.testing import FakeOllama
from tests.stack.servers import Collector

CONFIG = Path(__file__).parents[2] / "otel-collector" / "collector.yaml"


def test_the_shipped_file_is_valid(collector_prefix: Path) -> None:
    """By the collector's own word."""
    otelcol = collector_prefix / "bin" / "otelcol"
    done = subprocess.run(
        [str(otelcol), "validate", f"--config={CONFIG}"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")


def test_the_demo_arrives_at_a_real_collector(
    collector_prefix: Path, fake: FakeOllama, tmp_path: Path
) -> None:
    """Its span and its metrics, over gRPC."""
    with Collector(
        collector_prefix, [CONFIG], jaeger_otlp="", prometheus_otlp="",
        env={"OTELCOL_VERBOSITY": "detailed"}, folder=tmp_path,
    ) as collector:  # fmt: skip
        kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
        endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.grpc_endpoint, "OLLAMA_HOST": fake.base_url}
        subprocess.run(
            [sys.executable, "-m", "ollameter.cli.demo"],
            check=True, timeout=60, capture_output=True, env={**kept, **endpoint},
        )  # fmt: skip
        arrived = collector.log.read_text()

    assert "Name           : chat llama3.2" in arrived
    assert "-> service.name: Str(ollameter-demo)" in arrived
    assert "-> ollama.load.duration: Double(0.00001)" in arrived
    assert "Name: gen_ai.client.operation.duration" in arrived
