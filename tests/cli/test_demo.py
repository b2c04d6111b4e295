"""`make demo` works without a terminal, on a running server or the embedded engine, and can fail."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from ollameter.testing import Answer, FakeOllama, chat_lines


def demo(**environment: str) -> subprocess.CompletedProcess[str]:
    """Run the demo without a terminal."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    return subprocess.run(
        [sys.executable, "-m", "ollameter.cli.demo"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False,
        env={**kept, **environment},
    )  # fmt: skip


def test_the_demo_uses_the_ollama_that_is_running(fake: FakeOllama) -> None:
    """It prints answer, cost, span and metrics."""
    done = demo(OLLAMA_HOST=fake.base_url)

    assert (done.returncode, done.stderr) == (0, "")
    assert "Using the Ollama that is running, model llama3.2." in done.stdout
    assert "Hello!" in done.stdout
    span = done.stdout.partition("The span that is exported\n")[2].partition("\n\n")[0]
    assert json.loads(span)["attributes"]["gen_ai.usage.output_tokens"] == 3
    assert "ollama.eval.duration" in done.stdout


def test_without_an_ollama_the_embedded_engine_answers() -> None:
    """A real model; nothing of it is left running."""
    done = demo(OLLAMA_HOST="127.0.0.1:9")

    assert (done.returncode, done.stderr) == (0, "")
    assert "starting the embedded engine (it is not Ollama)" in done.stdout
    assert "chat smollm2:135m: completed in" in done.stdout


@pytest.mark.parametrize(
    "answer",
    [
        Answer(lines=chat_lines("a")[:-1]),
        Answer(lines=chat_lines("a", load_duration=10**9)),
        Answer(lines=chat_lines("a", total_duration=10**11)),
    ],
)
def test_a_demo_whose_call_is_wrong_fails(answer: Answer, fake: FakeOllama) -> None:
    """Cut off, or with numbers that do not add up."""
    fake.script("/api/chat", answer)

    done = demo(OLLAMA_HOST=fake.base_url)

    assert done.returncode == 1
    assert "The demo failed: " in done.stderr
