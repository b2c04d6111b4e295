"""An endpoint's password goes to the collector's address alone: not into any log of ours."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SECRET = "s3cr3t"
PROGRAM = """
import logging, sys
logging.basicConfig(level=logging.DEBUG, stream=sys.stdout)
import ollameter
from ollameter.testing import FakeOllama
with FakeOllama() as server, ollameter.configure(service_name="s") as telemetry:
    with ollameter.OllamaProvider(server.base_url, model="llama3.2", host_monitor=False) as llm:
        llm.chat([{"role": "user", "content": "hi"}])
    telemetry.force_flush(3)
    telemetry.shutdown(1)
print("ended")
"""


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_the_password_of_an_endpoint_is_not_logged(protocol: str) -> None:
    """Though nobody answers there, and every log is on."""
    environment = {
        **os.environ,
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://me:{SECRET}@127.0.0.1:9",
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True, text=True, timeout=60, check=False, env=environment,
    )  # fmt: skip

    said = done.stdout + done.stderr
    assert "ended" in said
    assert "does not arrive at http://127.0.0.1:9" in said
    assert [line for line in said.splitlines() if SECRET in line] == []
