"""Where a command's words go: for people on a console, or as JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

from rich.console import Console, RenderableType


class Output:
    """Prints results on standard output, and what accompanies them on standard error."""

    def __init__(self, *, as_json: bool = False, color: bool | None = None) -> None:
        self.as_json = as_json
        no_color = None if color is None else not color
        self.console: Console = Console(no_color=no_color, highlight=False, soft_wrap=True)
        self.aside: Console = Console(no_color=no_color, highlight=False, stderr=True)

    @property
    def is_interactive(self) -> bool:
        """Whether a person reads and types."""
        return sys.stdin.isatty() and sys.stdout.isatty() and not self.as_json

    @property
    def shows_progress(self) -> bool:
        """Whether somebody watches who is not a program."""
        return self.aside.is_terminal and not self.as_json

    def show(self, data: Any, for_people: Callable[[], object]) -> None:
        """Print a result once: as one JSON document, or as people read it."""
        if self.as_json:
            sys.stdout.write(json.dumps(data, ensure_ascii=False, indent=2, allow_nan=False) + "\n")
            sys.stdout.flush()
        else:
            for_people()

    def print(self, *things: RenderableType, style: str | None = None) -> None:
        """Print text or a table; square brackets in a text are no markup."""
        for thing in things:
            self.console.print(thing, style=style, markup=False)

    def write(self, text: str) -> None:
        """Print a piece of an answer exactly as it came."""
        self.console.file.write(text)
        self.console.file.flush()

    def say(self, text: str) -> None:
        """Print what is no result: which model was chosen, what is being waited for."""
        self.aside.print(text, style="dim", markup=False, soft_wrap=True)
