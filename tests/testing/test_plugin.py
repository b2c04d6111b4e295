"""The pytest plugin gives its fixtures to a user's tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

USERS_TEST = """
import os
from ollameter import OllamaProvider
from ollameter.testing import assert_span

def test_mine(fake_ollama, captured_telemetry):
    assert os.environ["OLLAMA_HOST"] == fake_ollama.base_url
    with OllamaProvider(model="llama3.2", **captured_telemetry.providers) as llm:
        text, metrics = llm.chat([{"role": "user", "content": "x"}])
    assert "/api/chat" in [request.path for request in fake_ollama.requests]
    assert_span(captured_telemetry, "chat llama3.2", attributes={"error.type": None})
"""


def test_a_users_test_gets_its_fixtures(tmp_path: Path) -> None:
    """Named on the command line here; an installed package is found by its entry point."""
    (tmp_path / "test_mine.py").write_text(USERS_TEST)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:ollameter"]
    # The others that are installed here: a user's test needs none of them.
    command += ["-p", "no:asyncio", "-p", "no:hypothesispytest"]
    done = subprocess.run(
        [*command, "-p", "ollameter.testing.plugin", "test_mine.py"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert "1 passed" in done.stdout, done.stdout + done.stderr
    assert done.returncode == 0
