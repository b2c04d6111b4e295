"""A real browser without a window: what a page looks like once its scripts have run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.stack.fixtures import WANTED

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
    "--enable-logging=stderr", "--virtual-time-budget=10000",
)  # fmt: skip
_MISSING = "no Chromium is installed: apt-get install chromium"
_CONSOLE = re.compile(r":CONSOLE[^\]]*\] (.*)")


class Browser:
    """Opens files, each in a fresh profile."""

    def __init__(self, program: str, profile: Path) -> None:
        self._program = program
        self._profile = profile

    def open(self, page: Path, *flags: str) -> tuple[str, list[str]]:
        """Return the page's elements after its scripts, and what it said on the console."""
        done = self._run("--dump-dom", *flags, page.as_uri())
        return done.stdout, _CONSOLE.findall(done.stderr)

    def draw(self, page: Path, picture: Path, *flags: str) -> None:
        """Write a picture of the page."""
        self._run(f"--screenshot={picture}", "--window-size=1200,3200", *flags, page.as_uri())

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [self._program, *_FLAGS, f"--user-data-dir={self._profile}", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Browser:
    """Chromium; where it is not installed the test is skipped, or fails if servers are required."""
    program = next(filter(None, map(shutil.which, _NAMES)), None)
    if program is None and os.environ.get(WANTED) == "required":
        pytest.fail(
            f"{WANTED}=required, but no Chromium is installed: apt-get install chromium", pytrace=False
        )
    if program is None:
        pytest.skip("no Chromium is installed: apt-get install chromium")
    return Browser(program, tmp_path_factory.mktemp("profile"))
