"""What is published: complete, well described, typed, and without an SDK unless one is asked for."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from ollameter.testing import FakeOllama
from tests.packaging.conftest import Built, Environment

ROOT = Path(__file__).parents[2]
CALL = """
import sys
import ollameter
assert "site-packages" in ollameter.__file__, ollameter.__file__
with ollameter.OllamaProvider(sys.argv[1], model="llama3.2") as llm:
    text, metrics = llm.chat([{"role": "user", "content": "x"}])
print(text, metrics.outcome, "opentelemetry.sdk" in sys.modules)
"""


def test_the_wheel_holds_the_package_and_nothing_else(built: Built) -> None:
    """Every file under src, the type marker and the page of the report among them; no test."""
    with zipfile.ZipFile(built.wheel) as wheel:
        held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    ours = (
        path for path in (ROOT / "src").rglob("*") if path.is_file() and "__pycache__" not in path.parts
    )

    assert held == {str(path.relative_to(ROOT / "src")) for path in ours}
    assert {"ollameter/py.typed", "ollameter/cli/bench/page.html"} <= held


def test_the_sdist_holds_what_a_packager_needs(built: Built) -> None:
    """Sources, tests and the licence."""
    with tarfile.open(built.sdist) as sdist:
        held = {name.partition("/")[2] for name in sdist.getnames()}

    assert {
        "LICENSE",
        "README.md",
        "pyproject.toml",
        "src/ollameter/__init__.py",
        "tests/conftest.py",
    } <= held


def test_the_description_can_be_shown(built: Built) -> None:
    """As an index would check it."""
    command = [sys.executable, "-m", "twine", "check", "--strict", str(built.wheel), str(built.sdist)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_package_alone_calls_a_model_and_pulls_no_sdk(bare: Environment, fake: FakeOllama) -> None:
    """In an environment that knows nothing of this checkout, warnings as errors."""
    listed = json.loads(bare.run("pip", "list", "--format", "json").stdout)
    installed = {package["name"].lower() for package in listed}
    done = bare.run("python", "-W", "error", "-c", CALL, fake.base_url)

    assert (done.stdout, done.stderr) == ("Hello! completed False\n", "")
    assert {name for name in installed if name.startswith("opentelemetry")} == {"opentelemetry-api"}
    assert installed.isdisjoint({"click", "rich", "plotly", "pytest", "nvidia-ml-py"})


def test_the_command_without_its_extra_says_what_to_install(bare: Environment) -> None:
    """The script is there; it ends with 1 and one line."""
    with pytest.raises(subprocess.CalledProcessError) as failure:
        bare.run("ollameter", "version")

    assert failure.value.returncode == 1
    assert 'pip install "ollameter[cli]"' in failure.value.stderr


def test_what_is_public_is_typed(bare: Environment, tmp_path: Path) -> None:
    """At least 99 % of it, by pyright; nothing is ambiguous."""
    if shutil.which("node") is None:
        pytest.skip("pyright needs Node.js: install it (nodejs.org)")
    (installed,) = bare.folder.glob("lib/python3*/site-packages")
    done = subprocess.run(
        [sys.executable, "-m", "pyright", "--outputjson", "--ignoreexternal", "--verifytypes", "ollameter"],
        cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, "PYTHONPATH": str(installed)},
    )  # fmt: skip

    found = json.loads(done.stdout)["typeCompleteness"]
    assert found["completenessScore"] >= 0.99
    assert found["exportedSymbolCounts"]["withAmbiguousType"] == 0
