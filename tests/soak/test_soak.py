"""A few seconds of what `make soak` does for minutes."""

from __future__ import annotations

import subprocess
import sys


def test_a_short_soak_leaves_nothing_over() -> None:
    """Counts agree; descriptors, threads and tasks are back; nothing was complained of."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.soak", "--calls", "1920", "--real-calls", "0",
         "--threads", "16", "--tasks", "64", "--rounds", "4", "--minutes", "2"],
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert "spans started 1920, ended 1920, points 1920, active 0" in done.stdout, done.stdout
