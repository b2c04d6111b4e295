"""Every example runs, is short, and is listed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

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


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs_and_prints_what_it_promises(name: str, fake: FakeOllama) -> None:
    """Against the fake server, as a user would start it."""
    environment = {**os.environ, "OLLAMA_HOST": fake.base_url}
    if name == "export.py":
        environment["OTEL_SDK_DISABLED"] = "true"  # exporting has its own tests
    answers, said = SCRIPTS.get(name, ([], ""))
    fake.script("/api/chat", *answers)
    done = subprocess.run(
        [sys.executable, str(FOLDER / name), "llama3.2"],
        capture_output=True, text=True, timeout=60, check=False, env=environment,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")
    assert said in done.stdout
    assert "Hello!" in done.stdout or "Short." in done.stdout


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_short_and_listed(name: str) -> None:
    """At most 40 lines; the index names it."""
    assert len((FOLDER / name).read_text().splitlines()) <= 40
    assert f"[{name}]({name})" in (FOLDER / "README.md").read_text()
