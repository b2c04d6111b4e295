"""Writes what the pages take from the code: tables of metrics, the command's reference.

`python docs/generate.py` writes them, `--check` ends with 1 when a page says something else.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click

import ollameter
from ollameter import testing
from ollameter.cli.app import cli
from ollameter.telemetry import names

FOLDER = Path(__file__).parent
WIDTH = 96
COLUMNS = {"terminal_width": WIDTH, "max_content_width": WIDTH}


def main(arguments: list[str]) -> int:
    """Write the pages, or check them; return the exit code."""
    pages = {
        FOLDER / "telemetry.md": telemetry_page((FOLDER / "telemetry.md").read_text(encoding="utf-8")),
        FOLDER / "cli.md": cli_page(),
        FOLDER / "reference.md": reference_page(),
    }
    stale = [page for page, text in pages.items() if not page.exists() or page.read_text() != text]
    if "--check" in arguments:
        for page in stale:
            sys.stderr.write(f"docs/{page.name} is not what the code says: run python docs/generate.py\n")
        return 1 if stale else 0
    for page in stale:
        page.write_text(pages[page], encoding="utf-8")
    return 0


def telemetry_page(text: str) -> str:
    """Return the page with its generated table renewed."""
    begin, end = "<!-- generated -->\n", "<!-- end -->"
    head, marked, rest = text.partition(begin)
    if not marked:
        raise SystemExit(f"docs/telemetry.md has no {begin}")
    return f"{head}{marked}{metrics_of_calls()}{end}{rest.partition(end)[2]}"


def metrics_of_calls() -> str:
    """Return the table of what each call records."""
    lines = ["| metric | instrument, unit | what | buckets |", "|---|---|---|---|"]
    for metric in names.METRICS.values():
        kind = f"{metric.kind}, {metric.unit}"
        lines.append(f"| `{metric.name}` | {kind} | {metric.description} | {buckets(metric.buckets)} |")
    return "\n".join(lines) + "\n"


def buckets(bounds: tuple[float, ...] | None) -> str:
    """Return bounds as a reader wants them: the first few and the last."""
    if bounds is None:
        return ""
    shown = [f"{bound:g}" if bound < 1e6 else str(int(bound)) for bound in bounds]
    return ", ".join(shown) if len(shown) < 8 else f"{', '.join(shown[:4])} … {shown[-1]}"


def reference_page() -> str:
    """Return a page on every public name; what each one is, its docstring says."""
    head = "# Reference\n\nWhat is not here may change at any time.\n"
    rest = set(ollameter.__all__)
    sections = [head]
    for title, wanted in SECTIONS.items():
        found = [name for name in ollameter.__all__ if name in rest and wanted(getattr(ollameter, name))]
        rest -= set(found)
        sections.append(_section(title, "ollameter", found))
    sections.append(_section("For tests", "ollameter.testing", testing.__all__))
    return "".join(sections)


def _is_error(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, BaseException)


def _is_metric(value: Any) -> bool:
    return getattr(value, "__module__", "") == "ollameter.metrics"


SECTIONS: dict[str, Callable[[Any], bool]] = {
    "Providers": lambda value: getattr(value, "__name__", "").endswith("Provider"),
    "What a call cost": _is_metric,
    "Errors": _is_error,
    "What goes in and what comes out": lambda value: isinstance(value, type),
    "Set-up": lambda value: True,
}


def _section(title: str, module: str, found: Sequence[str]) -> str:
    lines = [f"\n## {title}\n\n```{{eval-rst}}"]
    for name in found:
        value = getattr(sys.modules[module], name)
        kind = "exception" if _is_error(value) else "class" if isinstance(value, type) else "function"
        if kind == "function" and not callable(value):
            kind = "data"
        lines.append(f".. auto{kind}:: {module}.{name}")
        if isinstance(value, type):
            members = ":inherited-members: BaseException, tuple" if kind == "class" else ":members:"
            lines += ["   :members:", f"   {members}", ""] if kind == "class" else [f"   {members}", ""]
        else:
            lines.append("")
    return "\n".join(lines) + "```\n"


def cli_page() -> str:
    """Return the reference of the command, in its own words."""
    head = '# The command\n\n`pip install "ollameter[cli]"` brings it.\n'
    return head + "".join(_command_sections(cli, None, "ollameter"))


def _command_sections(command: click.Command, parent: click.Context | None, name: str) -> Iterator[str]:
    settings = {**command.context_settings, **COLUMNS}
    context = click.Context(command, parent=parent, info_name=name, **settings)
    usage = command.get_help(context)
    level = "#" * (2 + context.command_path.count(" "))
    yield f"\n{level} {context.command_path}\n\n```text\n{usage}\n```\n"
    if isinstance(command, click.Group):
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            if found is not None:
                yield from _command_sections(found, context, child)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
