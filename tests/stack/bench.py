"""A workbench for one build: runs its commands, logs them, shows the end of a failing one."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

TAIL_LINES = 40


class BuildError(Exception):
    """A build could not be made; the text says which command failed and how."""


@dataclass(frozen=True, slots=True)
class Bench:
    """A scratch folder `work`, the folder `prefix` that is kept, and a log of all commands."""

    work: Path
    prefix: Path
    log: Path

    def run(
        self,
        *command: str | Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> str:
        """Run a command with `env` on top of ours and return its output; raise `BuildError`."""
        words = [str(word) for word in command]
        started = time.monotonic()
        with self.log.open("a", encoding="utf-8", errors="replace") as log:
            log.write(f"$ {shlex.join(words)}\n")
            log.flush()
            begin = log.tell()
            code = _run_group(words, log.fileno(), {**os.environ, **(env or {})}, cwd or self.work)
        output = self._logged_since(begin)
        if code:
            tail = "\n".join(output.splitlines()[-TAIL_LINES:])
            raise BuildError(f"{shlex.join(words)}: exit code {code}\n{tail}")
        with self.log.open("a", encoding="utf-8") as log:
            log.write(f"# {time.monotonic() - started:.1f} s\n")
        return output

    def _logged_since(self, begin: int) -> str:
        with self.log.open(encoding="utf-8", errors="replace") as log:
            log.seek(begin)
            return log.read()

    def go(
        self,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> str:
        """Run the Go tool with the toolchain at hand; what it installs lands in `prefix/bin`."""
        return self.run("go", *arguments, env={**self.go_env, **(env or {})}, cwd=cwd)

    @property
    def go_env(self) -> dict[str, str]:
        """Return the variables under which the Go tool never reaches for another toolchain."""
        return {
            "GOTOOLCHAIN": "local",
            "GOFLAGS": "-trimpath -buildvcs=false",
            "GOBIN": str(self.prefix / "bin"),
        }

    def venv(self, *requirements: str) -> Path:
        """Make a virtual environment in `work` with these packages; return its bin folder."""
        folder = self.work / "venv"
        if not folder.exists():
            self.run(sys.executable, "-m", "venv", folder)
        if requirements:
            self.run(folder / "bin" / "python", "-m", "pip", "install", *requirements)
        return folder / "bin"


def missing_tools(tools: Sequence[str]) -> list[str]:
    """Name the tools that are not installed; `a|b` is satisfied by either."""
    return [tool for tool in tools if not any(shutil.which(name) for name in tool.split("|"))]


def _run_group(words: list[str], output: int, env: Mapping[str, str], cwd: Path) -> int:
    """Run a command in its own process group, so that an interrupted build leaves none behind."""
    try:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(env),
            cwd=cwd,
            start_new_session=True,
        )
    except OSError as error:
        raise BuildError(f"{shlex.join(words)}: {error}") from error
    try:
        return process.wait()
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
