"""Every example runs, is short, and is listed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ollameter.embedded import EmbeddedOllama
from ollameter.testing import Answer, FakeOllama, whole_chat

FOLDER = Path(__file__).parents[2] / "examples"
EXAMPLES = sorted(path.name for path in FOLDER.glob("*.py"))


_CALL = {"function": {"name": "population", "arguments": {"city": "Lisbon"}}}
SCRIPTS: dict[str, tuple[list[Answer], str]] = {
    "busy_box.py": ([], "\n--- busy: Hello!\nHostLoad(samples="),
    "tools.py": (
        [whole_chat("", message={"tool_calls": [_CALL]}), whole_chat("Hello! About 6.")],
        "About 6.\nround 1: ",
    ),
    "structured_output.py": (
        [whole_chat('{"name": "Hello!", "country": "Utopia", "inhabitants": 6}')],
        "Hello! in Utopia has 6 inhabitants",
    ),
}


# What the embedded engine has not got, in its own words.
REFUSED = {"embeddings.py": "does not support embeddings", "tools.py": "does not support tools"}
RUN_BY_ITSELF = [name for name in EXAMPLES if name != "fastapi_service.py"]


def start(name: str, base_url: str, model: str) -> subprocess.CompletedProcess[str]:
    """Run an example as a user would."""
    environment = {**os.environ, "OLLAMA_HOST": base_url}
    if name == "export.py":
        environment["OTEL_SDK_DISABLED"] = "true"  # exporting has its own tests
    return subprocess.run(
        [sys.executable, str(FOLDER / name), model],
        capture_output=True, text=True, timeout=110, check=False, env=environment,
    )  # fmt: skip


@pytest.mark.parametrize("name", RUN_BY_ITSELF)
def test_an_example_runs_and_prints_what_it_promises(name: str, fake: FakeOllama) -> None:
    """Against the fake server."""
    answers, said = SCRIPTS.get(name, ([], ""))
    fake.script("/api/chat", *answers)
    done = start(name, fake.base_url, "llama3.2")

    assert (done.returncode, done.stderr) == (0, "")
    assert said in done.stdout
    assert "Hello!" in done.stdout or "Short." in done.stdout


@pytest.fixture(scope="module")
def embedded() -> Iterator[EmbeddedOllama]:
    """The embedded engine, running."""
    with EmbeddedOllama() as server:
        yield server


@pytest.mark.parametrize("name", RUN_BY_ITSELF)
def test_an_example_runs_with_a_real_model(name: str, embedded: EmbeddedOllama) -> None:
    """Or says in the engine's words what that cannot do."""
    done = start(name, embedded.base_url, embedded.model)

    refused = REFUSED.get(name, "")
    assert done.returncode == (1 if refused else 0), done.stderr
    assert refused in done.stderr
    assert refused or done.stderr == ""
    assert refused or done.stdout


def test_the_example_without_a_word_of_telemetry_is_exported_by_the_launcher(fake: FakeOllama) -> None:
    """As its first lines say: spans and metrics on the console."""
    launcher = Path(sys.executable).with_name("opentelemetry-instrument")
    done = subprocess.run(
        [str(launcher), sys.executable, str(FOLDER / "zero_code.py"), "llama3.2"],
        capture_output=True, text=True, timeout=110, check=False,
        env={
            **os.environ, "OLLAMA_HOST": fake.base_url, "OTEL_LOGS_EXPORTER": "none",
            "OTEL_TRACES_EXPORTER": "console", "OTEL_METRICS_EXPORTER": "console",
        },
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    for said in ("Hello!", '"name": "chat llama3.2"', '"gen_ai.client.operation.duration"'):
        assert said in done.stdout


SERVICE = """
import sys
from opentelemetry import trace
from ollameter.testing import CapturedTelemetry
captured = CapturedTelemetry()
trace.set_tracer_provider(captured.tracer_provider)
sys.path.insert(0, sys.argv[1])
from fastapi.testclient import TestClient
from fastapi_service import app
with TestClient(app) as client:
    answer = client.get("/ask", params={"q": "Hi"})
print(answer.status_code, answer.text)
by_id = {span.span_id: span for span in captured.spans}
span = next(span for span in captured.spans if span.name == "chat llama3.2")
line = [span.name]
while span.parent_span_id is not None:
    span = by_id[span.parent_span_id]
    line.append(span.name)
print(line)
"""


def test_a_request_to_the_service_is_one_trace(fake: FakeOllama) -> None:
    """From HTTP down to the call."""
    done = subprocess.run(
        [sys.executable, "-c", SERVICE, str(FOLDER)],
        capture_output=True, text=True, timeout=110, check=False,
        env={**os.environ, "OLLAMA_HOST": fake.base_url, "MODEL": "llama3.2"},
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["200 Hello!", "['chat llama3.2', 'GET /ask']"]


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_short_and_listed(name: str) -> None:
    """At most 40 lines; the index names it."""
    assert len((FOLDER / name).read_text().splitlines()) <= 40
    assert f"[{name}]({name})" in (FOLDER / "README.md").read_text()
