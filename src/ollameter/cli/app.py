"""The `ollameter` command: its parts, and how each ending becomes an exit code and one line."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from ollameter import (
    ConnectionFailed,
    InvalidRequest,
    ModelNotFound,
    OllameterError,
    ServerBusy,
    Timeout,
    __version__,
)
from ollameter.cli.bench.command import bench
from ollameter.cli.chat import chat
from ollameter.cli.demo import main as show_demo
from ollameter.cli.doctor import doctor
from ollameter.cli.models import models
from ollameter.cli.options import output_options
from ollameter.cli.output import Output
from ollameter.cli.top import top

FAILED, MISUSED, UNREACHABLE, INTERRUPTED = 1, 2, 3, 130

_EXIT_CODES = """\b
Exit codes:
  0    done
  1    a call, a check or a comparison failed
  2    the command was given something it cannot use
  3    no server answers
  130  interrupted
"""


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=_EXIT_CODES,
)
def cli() -> None:
    """Call local models on Ollama, and see what each call cost.

    The server is OLLAMA_HOST, or http://127.0.0.1:11434; --url names another. Every command takes
    --json, and prints no colours into a pipe, with --no-color, or where NO_COLOR is set.
    """


@cli.command()
def demo() -> None:
    """Show one instrumented call whole, on your Ollama or on the embedded engine."""
    sys.exit(show_demo())


@cli.command()
@output_options
def version(output: Output) -> None:
    """Print this library's version."""
    output.show({"ollameter": __version__}, lambda: output.print(f"ollameter {__version__}"))


for _command in (chat, bench, top, models, doctor):
    cli.add_command(_command)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code. An error is one line on standard error."""
    try:
        given = None if arguments is None else list(arguments)
        code = cli.main(given, prog_name="ollameter", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except click.exceptions.Exit as ended:
        return int(ended.exit_code)
    except click.ClickException as misuse:
        misuse.show()
        return misuse.exit_code
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except BrokenPipeError:  # whoever reads has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OllameterError as error:
        sys.stderr.write(f"ollameter: {_one_line(error)}\n")
        return _exit_code(error)


def _exit_code(error: OllameterError) -> int:
    if isinstance(error, InvalidRequest):
        return MISUSED
    unreachable = isinstance(error, ConnectionFailed) or (
        isinstance(error, Timeout) and error.phase == "connect"
    )
    return UNREACHABLE if unreachable else FAILED


def _one_line(error: OllameterError) -> str:
    """Return the error's words and what to do next."""
    words = " ".join(str(error).split())
    step = next((text for kind, text in _NEXT_STEPS if isinstance(error, kind)), None)
    end = "" if words.endswith((".", "?", "!")) else "."
    return f"{words}{end} {step}" if step else words


_NEXT_STEPS: tuple[tuple[type[OllameterError], str], ...] = (
    (
        ConnectionFailed,
        "Start it: `ollama serve`, or name another: --url URL; see `ollameter doctor`.",
    ),
    (ModelNotFound, "See `ollameter models`, or get it: `ollameter models pull NAME`."),
    (ServerBusy, "Try again when fewer calls are waiting."),
    (Timeout, "Give it longer with --timeout, or see what it does with `ollameter top`."),
)
