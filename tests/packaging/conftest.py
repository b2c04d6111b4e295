"""One wheel and one sdist, built from what is checked out, and an environment they are installed into."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Built:
    """What `python -m build` made."""

    folder: Path
    wheel: Path
    sdist: Path


@dataclass(frozen=True)
class Environment:
    """A virtual environment; whatever runs in it knows nothing of this checkout."""

    folder: Path
    dist: Path

    def run(self, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run one of its programs, in its own folder; raises when that fails."""
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        program, *arguments = command
        return subprocess.run(
            [str(self.folder / "bin" / program), *arguments],
            cwd=self.folder, capture_output=True, text=True, timeout=600, check=True,
            env={**kept, "PIP_DISABLE_PIP_VERSION_CHECK": "1", **variables},
        )  # fmt: skip

    def install(self, what: str) -> None:
        """Install the built package, `ollameter` with or without extras, and what it needs."""
        self.run("pip", "install", "--quiet", what, **pip_settings(self.dist))


def pip_settings(dist: Path) -> dict[str, str]:
    """Return what makes pip find the package that was built here, and the versions that are tested."""
    return {"PIP_FIND_LINKS": str(dist), "PIP_CONSTRAINT": str(ROOT / "constraints.txt")}


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The wheel and the sdist of this checkout; the wheel is built from the sdist."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return Built(folder, wheel, sdist)


@pytest.fixture(scope="session")
def bare(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with the wheel and nothing that it does not need."""
    folder = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], timeout=120, check=True)
    environment = Environment(folder, built.folder)
    environment.install("ollameter")
    return environment
