"""Running the command as a person does: in a process of its own, with a pipe or in a terminal."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Ran:
    """What came of one run."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """What was printed, as JSON."""
        return json.loads(self.out)


def run(*arguments: str, host: str = "", stdin: str = "", **environment: str) -> Ran:
    """Run `python -m ollameter` with these arguments against a server."""
    done = subprocess.run(
        [sys.executable, "-m", "ollameter", *arguments],
        input=stdin, capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "OLLAMA_HOST": host, "COLUMNS": "200", **environment},
    )  # fmt: skip
    return Ran(done.returncode, done.stdout, done.stderr)


class Terminal:
    """The command in a terminal of 100 by 30 characters that a test types into."""

    def __init__(self, *arguments: str, host: str) -> None:
        self.screen = ""
        self._pid, self._file = pty.fork()
        if self._pid == 0:  # the child: becomes the command
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell's background jobs ignore it
            environment = {**os.environ, "OLLAMA_HOST": host, "TERM": "xterm", "NO_COLOR": "1"}
            command = [sys.executable, "-m", "ollameter", *arguments]
            os.execvpe(command[0], command, environment)  # noqa: S606  # what a terminal does
        fcntl.ioctl(self._file, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))

    def wait_for(self, text: str, within_s: float = 30.0) -> str:
        """Read until a text has been printed; return what came up to it, and forget that."""
        ends_s = time.monotonic() + within_s
        while text not in self.screen:
            left_s = ends_s - time.monotonic()
            assert left_s > 0, f"{text!r} was not printed, but {self.screen!r}"
            if select.select([self._file], [], [], left_s)[0]:
                self.screen += self._read()
        before, _, self.screen = self.screen.partition(text)
        return before + text

    def type(self, text: str) -> None:
        """Type as a person does."""
        os.write(self._file, text.encode())

    def wait_for_end(self, within_s: float = 120.0) -> int:
        """Read to the end; return the exit code. Kills what does not end by itself."""
        ends_s = time.monotonic() + within_s
        while select.select([self._file], [], [], max(0.0, ends_s - time.monotonic()))[0]:
            piece = self._read()
            if not piece:
                break
            self.screen += piece
        else:
            os.kill(self._pid, signal.SIGKILL)
        _, status = os.waitpid(self._pid, 0)
        os.close(self._file)
        return os.waitstatus_to_exitcode(status)

    def _read(self) -> str:
        try:
            return os.read(self._file, 65536).decode(errors="replace")
        except OSError:  # how a terminal tells that the other side has ended
            return ""
