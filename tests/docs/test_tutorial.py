"""The tutorial, followed word for word in a fresh environment, gives what it shows."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from ollameter.embedded import EmbeddedOllama
from tests.packaging.conftest import Built, built, pip_settings  # noqa: F401  # a fixture, used by its name

PAGE = Path(__file__).parents[2] / "docs" / "tutorial.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FILE = re.compile(r"[Ss]ave\s+this as `([\w.]+)`")


def steps() -> Iterator[tuple[str, str, str | None]]:
    """Yield each block as its language, its text, and the file that it is to be saved as."""
    text, at = PAGE.read_text(), 0
    for block in BLOCK.finditer(text):
        files = FILE.findall(text[at : block.start()])
        yield block[1], block[2], files[-1] if files else None
        at = block.end()


def test_the_tutorial_does_what_it_says(built: Built, tmp_path: Path) -> None:  # noqa: F811  # the fixture
    """Each command succeeds, and prints the lines that are shown, or lines that begin like them."""
    printed = ""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with EmbeddedOllama() as server:
        variables = {"OLLAMA_HOST": server.base_url, **pip_settings(built.folder)}
        for language, text, file in steps():
            if language == "python":
                assert file is not None, f"the page does not say where to save {text!r}"
                (tmp_path / file).write_text(text)
            elif language == "sh":
                done = subprocess.run(
                    ["sh", "-e", "-c", text],
                    cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False,
                    env={**kept, **variables, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
                )  # fmt: skip
                assert done.returncode == 0, done.stdout + done.stderr
                printed = done.stdout
            else:
                for line in text.splitlines():
                    assert any(found.startswith(line) for found in printed.splitlines()), (line, printed)
