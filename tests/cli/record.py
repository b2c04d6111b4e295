"""Makes docs/cli-examples.md: what the command prints in a terminal, on a real Ollama.

`python -m tests.cli.record`; needs Ollama built (`make stack`).
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from tests.cli.terminal import Terminal
from tests.stack.install import installed
from tests.stack.servers import RealOllama

PAGE = Path(__file__).parents[2] / "docs" / "cli-examples.md"
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
HEAD = """# What the command prints

Recorded in a terminal of 100 columns, on a real Ollama {version} with a very small model, by
`python -m tests.cli.record`. Figures are of the machine that made it: two processors, no GPU.
"""
MODEL = "smollm2:135m"
COMMANDS: tuple[tuple[str, ...], ...] = (
    ("version",),
    ("models",),
    ("chat", "-m", MODEL, "--temperature", "0", "--num-predict", "48", "--explain", "Why is the sky blue?"),
    ("top", "--once"),
    ("bench", MODEL, "-n", "2", "-c", "1,2", "--cold", "1", "--num-predict", "32"),
    ("doctor",),
    ("chat", "-m", "smollm", "Hello?"),
)
TYPED = ("Name a fruit.", "And one more?", "/explain", "/bye")


def recorded(host: str, *command: str) -> str:
    """Return what a terminal shows once a command has ended."""
    terminal = Terminal(*command, host=host)
    terminal.wait_for_end()
    return shown(terminal.screen)


def conversation(host: str) -> str:
    """Return what a terminal shows of a conversation."""
    chat = ("chat", "-m", MODEL, "--temperature", "0", "--num-predict", "24")
    terminal, seen = Terminal(*chat, host=host), ""
    for line in TYPED:
        seen += terminal.wait_for(">>> ", within_s=120.0)
        terminal.type(f"{line}\n")
    terminal.wait_for_end()
    return shown(seen + terminal.screen)


def shown(screen: str) -> str:
    """Return the text without what moves the cursor and colours it, lines without trailing blanks."""
    lines = ESCAPES.sub("", screen).replace("\r\n", "\n").strip().split("\n")
    return "\n".join(line.rpartition("\r")[2].rstrip() for line in lines)


def main() -> None:
    """Record every command anew."""
    prefix = installed("ollama")
    if prefix is None:
        sys.exit("Ollama is not built: run `python tests/stack/install.py ollama`")
    with RealOllama(prefix) as server:
        parts = [HEAD.format(version=server.version)]
        for command in COMMANDS:
            line = " ".join(f'"{word}"' if " " in word else word for word in command)
            parts.append(f"```text\n$ ollameter {line}\n{recorded(server.base_url, *command)}\n```\n")
        parts.append(
            f"## A conversation\n\n```text\n$ ollameter chat\n{conversation(server.base_url)}\n```\n"
        )
    PAGE.write_text("\n".join(parts))


if __name__ == "__main__":
    main()
