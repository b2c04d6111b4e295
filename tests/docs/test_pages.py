"""The documentation: built without a warning, taken from the code where it can be, its examples run."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import ollameter
from ollameter.telemetry import names
from ollameter.testing import FakeOllama

ROOT = Path(__file__).parents[2]
PAGES = ["README.md", "docs/howto.md", "docs/explain.md", "docs/operations.md"]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
BLOCKS = [
    pytest.param(block, id=f"{page}:{number}")
    for page in PAGES
    for number, block in enumerate(BLOCK.findall((ROOT / page).read_text()))
]


def test_the_pages_build_without_a_warning(tmp_path: Path) -> None:
    """Sphinx treats each as an error."""
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html"]
    done = subprocess.run(
        [*command, "-d", str(tmp_path / "trees"), str(ROOT / "docs"), str(tmp_path / "site")],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")
    assert "OllamaProvider" in (tmp_path / "site" / "reference.html").read_text()


def test_pages_from_the_code_are_what_the_code_says() -> None:
    """Tables of metrics, the reference, the command's own words."""
    command = [sys.executable, str(ROOT / "docs" / "generate.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("block", BLOCKS)
def test_what_a_page_shows_runs(block: str, fake: FakeOllama, tmp_path: Path) -> None:
    """Against a fake server; a block with a test in it is run by pytest."""
    is_test = "\ndef test_" in block
    program = tmp_path / ("test_shown.py" if is_test else "shown.py")
    program.write_text(block)
    plugin = [
        "-p",
        "no:cacheprovider",
        "-p",
        "no:asyncio",
        "-p",
        "no:hypothesispytest",
        "-p",
        "no:ollameter",
    ]
    plugin += ["-p", "ollameter.testing.plugin"]
    command = ["-m", "pytest", "-q", *plugin, str(program)] if is_test else ["-W", "error", str(program)]
    done = subprocess.run(
        [sys.executable, *command],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "OLLAMA_HOST": fake.base_url},
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, ""), done.stdout


def test_every_exported_name_is_documented() -> None:
    """In docs/telemetry.md, in full or within braces."""
    text = expanded((ROOT / "docs" / "telemetry.md").read_text())
    exported = {
        value
        for name, value in vars(names).items()
        if name.isupper() and isinstance(value, str) and re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", value)
    }

    assert sorted(name for name in exported if name not in text) == []


def expanded(text: str) -> str:
    """Return the text with `a.{b,c}.d` written out as `a.b.d` and `a.c.d`, appended."""
    found = re.findall(r"([a-z_.]*)\{([a-z_.,]+)\}([a-z_.]*)", text)
    return text + " ".join(
        f"{head}{part}{tail}" for head, parts, tail in found for part in parts.split(",")
    )


def test_every_public_name_says_what_it_is() -> None:
    """And so does every public method and property of it."""
    silent = []
    for name in ollameter.__all__:
        value = getattr(ollameter, name)
        silent += [] if inspect.getdoc(value) else [name]
        if inspect.isclass(value) and value.__module__.startswith("ollameter."):
            for member, found in inspect.getmembers_static(value):
                ours = isinstance(found, property) or inspect.isfunction(found)
                if ours and not member.startswith("_") and not inspect.getdoc(found):
                    silent.append(f"{name}.{member}")

    assert silent == []


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_a_page_points_only_to_what_is_there(page: Path) -> None:
    """Links to files of the repository."""
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())
    absent = [target for target in targets if "://" not in target and not (page.parent / target).exists()]

    assert absent == []
