"""`ollameter bench`: the command around a benchmark: what to run, where to put it, what to compare."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ollameter import InvalidRequest, OllamaProvider, configure
from ollameter.cli.bench.record import MeasuredCall, Run, load_run
from ollameter.cli.bench.run import BUILT_IN_PROMPTS, Bench, Plan, prompts_from
from ollameter.cli.bench.summary import Comparison, compare_models, compare_runs, summaries
from ollameter.cli.bench.tables import comparison_lines, summary_table
from ollameter.cli.options import chosen_model, output_options, server_options
from ollameter.cli.output import Output

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_NEW_FILE = click.Path(dir_okay=False, writable=True, path_type=Path)


def _levels(_: click.Context, __: click.Parameter, given: str) -> tuple[int, ...]:
    try:
        levels = tuple(int(part) for part in given.split(","))
    except ValueError as error:
        raise click.BadParameter("expected numbers with commas, such as 1,2,4") from error
    if min(levels) < 1:
        raise click.BadParameter("expected at least 1 call at once")
    return levels


@click.command()
@click.argument("models", nargs=-1, metavar="[MODEL]...")
@click.option("--prompts", type=_FILE, help="A file with one prompt a line; default: three of our own.")
@click.option("--concurrency", "-c", callback=_levels, default="1", show_default=True, metavar="N[,N...]",
              help="How many calls at once; several levels are run one after the other.")  # fmt: skip
@click.option("--repeats", "-n", type=click.IntRange(1), default=5, show_default=True,
              help="How often each prompt is asked at each level.")  # fmt: skip
@click.option("--for", "seconds", type=click.FloatRange(0, min_open=True), metavar="SECONDS",
              help="Ask for so long at each level, instead of counting.")  # fmt: skip
@click.option("--warm-up", type=click.IntRange(0), default=1, show_default=True, metavar="N",
              help="Calls a model that do not count.")  # fmt: skip
@click.option("--cold", type=click.IntRange(0), default=0, metavar="N",
              help="Measure N cold starts a model, unloading it before each.")  # fmt: skip
@click.option("--num-predict", type=click.IntRange(1), default=64, show_default=True, metavar="N",
              help="At most so many tokens an answer.")  # fmt: skip
@click.option("--save", type=_NEW_FILE, help="Write the run to a JSON file.")
@click.option("--load", "loaded", type=_FILE, help="Call nothing: look at a saved run.")
@click.option("--compare", type=_FILE, help="Compare with a run that was saved before.")
@click.option("--html", type=_NEW_FILE, help="Write a report: one page, no network needed.")
@click.option("--otlp", is_flag=True, help="Export the calls by OTLP, as the OTEL_* variables say.")
@output_options
@server_options
def bench(
    llm: OllamaProvider,
    output: Output,
    models: tuple[str, ...],
    prompts: Path | None,
    save: Path | None,
    loaded: Path | None,
    compare: Path | None,
    html: Path | None,
    otlp: bool,
    num_predict: int,
    **planned: Any,
) -> None:
    """Measure MODELs: speed, time to the first chunk, phases, queueing, the machine's load.

    Several models are compared with the first. Answers are made with temperature 0 and a fixed
    seed, so that runs ask for the same work. With --compare, what differs is told with its 99 %
    confidence interval; differences below 5 % are none.
    """
    before = None if compare is None else load_run(compare)
    if loaded is not None:
        run = load_run(loaded)
    else:
        asked = BUILT_IN_PROMPTS if prompts is None else prompts_from(prompts.read_text().splitlines())
        if not asked:
            raise InvalidRequest(f"--prompts: {prompts} has no prompt in it")
        options = {"num_predict": num_predict, "temperature": 0, "seed": 1}
        wanted = models or (chosen_model(llm, None, output),)
        plan = Plan(models=wanted, prompts=asked, options=options, **planned)
        with _exporting(otlp), _progress(output, plan) as on_call:
            run = Bench(llm, plan, on_call).run()
    compared = compare_models(run)
    if before is not None:
        compared += compare_runs(before, run, ("before", "now"))
    _finish(run, compared, output, save, html)


def _finish(
    run: Run, compared: list[Comparison], output: Output, save: Path | None, html: Path | None
) -> None:
    """Print the run, and write what was asked for."""
    found = summaries(run)

    def print_tables() -> None:
        output.print(summary_table(found))
        for line in comparison_lines(compared):
            output.print(line)

    as_data = {"summaries": found, "comparisons": compared, "run": run}
    output.show(msgspec.to_builtins(as_data, str_keys=True), print_tables)
    if save is not None:
        run.save(save)
        output.say(f"The run is in {save}.")
    if html is not None:
        from ollameter.cli.bench.report import write_report

        write_report(html, run, found, compared)
        output.say(f"The report is in {html}.")


@contextlib.contextmanager
def _exporting(wanted: bool) -> Iterator[None]:
    if not wanted:
        yield
        return
    with configure(service_name="ollameter-bench"):
        yield


@contextlib.contextmanager
def _progress(output: Output, plan: Plan) -> Iterator[Callable[[MeasuredCall], None]]:
    """Show a bar of the calls that have ended, where somebody watches."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=output.aside, disable=not output.shows_progress) as progress:
        task = progress.add_task("calls", total=None if plan.seconds is not None else plan.calls())

        def on_call(call: MeasuredCall) -> None:
            what = f"{call.metrics.model}, {call.concurrency} at once"
            progress.update(task, advance=1, description=what)

        yield on_call
