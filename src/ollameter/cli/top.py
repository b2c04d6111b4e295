"""`ollameter top`: what the server and its machine do now, shown again and again in place."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from typing import Any

import click
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ollameter import HostMonitor, OllamaProvider, OllameterError, RunningModel
from ollameter.cli.options import output_options, server_options
from ollameter.cli.output import Output
from ollameter.cli.sizes import share_text, size_text, time_text

_FIRST_FIGURES_S = 2.5
_BAR_WIDTH = 30
_GPU = (
    "name", "utilization", "memory_used_bytes", "memory_total_bytes", "power_w", "temperature_c",
)  # fmt: skip
_KEPT_FOR_GOOD_S = 100 * 365 * 86400


@click.command()
@click.option("--interval", type=click.FloatRange(0.2), default=1.0, show_default=True, metavar="SECONDS",
              help="How often it is shown anew.")  # fmt: skip
@click.option("--once", is_flag=True, help="Show it once, and end.")
@output_options
@server_options
def top(llm: OllamaProvider, output: Output, interval: float, once: bool) -> None:
    """Show the models in memory, when they leave it, and what the machine and Ollama are doing.

    The machine is this one: for a server elsewhere its models are shown, and figures of this side.
    Ctrl-C ends it.
    """
    _wait_for_figures()
    if once or output.as_json or not output.console.is_terminal:
        seen = look(llm)
        output.show(seen, lambda: output.print(picture(seen)))
        return
    with Live(picture(look(llm)), console=output.console, screen=True, auto_refresh=False) as live:
        pause = threading.Event()
        while not pause.wait(interval):
            live.update(picture(look(llm)), refresh=True)


def _wait_for_figures() -> None:
    """Wait until the monitor has seen a whole second, though not for ever."""
    ends_s, pause = time.monotonic() + _FIRST_FIGURES_S, threading.Event()
    while time.monotonic() < ends_s:
        seen = HostMonitor.shared().latest()
        if seen is not None and seen.cpu is not None and seen.cpu.modes is not None:
            return
        pause.wait(0.05)


def look(llm: OllamaProvider) -> dict[str, Any]:
    """Return what there is to see now, in JSON's types; None where it is not known."""
    try:
        models, error = [_model(model) for model in llm.running()], None
    except OllameterError as failure:
        models, error = [], str(failure)
    return {"models": models, "error": error, **_machine()}


def _model(model: RunningModel) -> dict[str, Any]:
    share = None if not model.size or model.size_vram is None else model.size_vram / model.size
    leaves_s = None if model.expires_at is None else (model.expires_at - datetime.now(UTC)).total_seconds()
    return {
        "name": model.name,
        "size_bytes": model.size,
        "vram_share": share,
        "context_length": model.context_length,
        "unloads_in_s": leaves_s,
    }


def _machine() -> dict[str, Any]:
    seen = HostMonitor.shared().latest()
    if seen is None:
        return {"cpu": None, "memory": None, "ollama": [], "gpus": []}
    busy = None if seen.cpu is None else seen.cpu.busy
    load = None if seen.cpu is None else seen.cpu.load_average_1m
    memory, swap = seen.memory, seen.swap
    return {
        "cpu": {"utilization": busy, "load_average_1m": load},
        "memory": None
        if memory is None
        else {
            "used_bytes": memory.used_bytes,
            "total_bytes": memory.total_bytes,
            "swap_used_bytes": None if swap is None else swap.used_bytes,
        },
        "ollama": [
            {"port": port, "cpu_utilization": u.busy, "rss_bytes": u.rss_bytes, "processes": len(u.pids)}
            for (_, port), u in seen.servers.items()
        ],
        "gpus": [{name: getattr(gpu, name) for name in _GPU} for gpu in seen.gpus],
    }


def picture(seen: dict[str, Any]) -> RenderableType:
    """Return what was seen as something to look at."""
    parts: list[RenderableType] = [_bars(seen), _models(seen["models"])]
    if seen["error"]:
        parts.append(Text(seen["error"], style="red"))
    return Group(*parts)


def _bars(seen: dict[str, Any]) -> Table:
    table = Table.grid(padding=(0, 2))
    cpu, memory = seen["cpu"], seen["memory"]
    if cpu is not None:
        load = cpu["load_average_1m"]
        beside = "" if load is None else f"load {load:.2f}"
        table.add_row("CPU", _bar(cpu["utilization"]), share_text(cpu["utilization"]), beside)
    if memory is not None:
        used, total = memory["used_bytes"], memory["total_bytes"]
        swap = memory["swap_used_bytes"]
        beside = f"{size_text(used)} of {size_text(total)}" + (f", swap {size_text(swap)}" if swap else "")
        table.add_row("memory", _bar(used / total), share_text(used / total), beside)
    for server in seen["ollama"]:
        busy = server["cpu_utilization"]
        beside = f"{server['processes']} processes, {size_text(server['rss_bytes'])}, port {server['port']}"
        table.add_row("Ollama", _bar(busy), share_text(busy), beside)
    for gpu in seen["gpus"]:
        used = f"{size_text(gpu['memory_used_bytes'])} of {size_text(gpu['memory_total_bytes'])}"
        table.add_row(gpu["name"], _bar(gpu["utilization"]), share_text(gpu["utilization"]), used)
    return table


def _bar(share: float | None) -> Text:
    filled = round((share or 0.0) * _BAR_WIDTH)
    style = "red" if (share or 0) > 0.9 else "yellow" if (share or 0) > 0.6 else "green"
    return Text.assemble(("█" * filled, style), ("░" * (_BAR_WIDTH - filled), "dim"))


def _models(models: list[dict[str, Any]]) -> RenderableType:
    if not models:
        return Text("No model is in memory.", style="dim")
    table = Table("model in memory", "size", "on GPU", "context", "unloads in")
    for model in models:
        leaves_s = model["unloads_in_s"]
        kept = leaves_s is None or leaves_s > _KEPT_FOR_GOOD_S
        table.add_row(
            model["name"],
            size_text(model["size_bytes"]),
            share_text(model["vram_share"]),
            str(model["context_length"] or "-"),
            "never" if kept else time_text(leaves_s),
        )
    return table
