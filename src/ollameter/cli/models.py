"""`ollameter models`: what the server has, and what it has in memory; `pull` gets more."""

from __future__ import annotations

from typing import Any

import click
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.table import Table

from ollameter import ModelInfo, OllamaProvider, PullProgress, RunningModel
from ollameter.cli.options import output_options, server_options
from ollameter.cli.output import Output
from ollameter.cli.sizes import size_text


@click.group(invoke_without_command=True)
@click.pass_context
@output_options
@server_options
def models(context: click.Context, llm: OllamaProvider, output: Output) -> None:
    """List the server's models: size, quantization, context, capabilities, and which are in memory."""
    if context.invoked_subcommand is not None:
        return
    running = {model.name: model for model in llm.running()}
    rows = [_row(llm, model, running.get(model.name)) for model in llm.models()]
    output.show(rows, lambda: output.print(_table(rows)))


@models.command()
@click.argument("name")
@output_options
@server_options
def pull(llm: OllamaProvider, output: Output, name: str) -> None:
    """Have the server get the model NAME."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    last: PullProgress | None = None
    with Progress(*columns, console=output.aside, disable=not output.shows_progress) as progress:
        tasks: dict[str, Any] = {}
        for last in llm.pull(name):
            if last.digest is not None:
                task = tasks.get(last.digest)
                if task is None:
                    task = tasks[last.digest] = progress.add_task(last.status, total=last.total_bytes)
                progress.update(task, completed=last.completed_bytes or 0, total=last.total_bytes)
    status = "nothing was said" if last is None else last.status
    output.show({"model": name, "status": status}, lambda: output.print(f"{name}: {status}"))


def _row(llm: OllamaProvider, model: ModelInfo, loaded: RunningModel | None) -> dict[str, Any]:
    """Return one model as JSON has it; None where the server does not say."""
    shown = llm.show(model.name)
    trained = shown.model_info.get(f"{shown.model_info.get('general.architecture')}.context_length")
    return {
        "name": model.name,
        "size_bytes": model.size,
        "parameter_size": model.details.get("parameter_size"),
        "quantization": model.details.get("quantization_level"),
        "family": model.details.get("family"),
        "context_length": trained,
        "capabilities": list(shown.capabilities),
        "loaded": loaded is not None,
        "loaded_context_length": None if loaded is None else loaded.context_length,
    }


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table("model", "parameters", "quantization", "capabilities", "loaded")
    for column in ("size", "context"):
        table.add_column(column, justify="right")
    for row in rows:
        loaded = f"yes, context {row['loaded_context_length'] or '?'}" if row["loaded"] else ""
        table.add_row(
            row["name"],
            row["parameter_size"] or "-",
            row["quantization"] or "-",
            ", ".join(row["capabilities"]) or "-",
            loaded,
            size_text(row["size_bytes"]),
            str(row["context_length"] or "-"),
        )
    return table
