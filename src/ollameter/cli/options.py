"""The options that commands share, and the provider that they describe."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import click

from ollameter import InvalidRequest, OllamaProvider, Timeouts
from ollameter.cli.output import Output

F = TypeVar("F", bound=Callable[..., Any])


def output_options(command: F) -> F:
    """Add --json and --no-color; the command gets an `Output` as `output`."""

    @click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
    @click.option("--no-color", is_flag=True, help="Print no colours.")
    @wraps(command)
    def with_output(*args: Any, as_json: bool, no_color: bool, **kwargs: Any) -> Any:
        output = Output(as_json=as_json, color=False if no_color else None)
        return command(*args, output=output, **kwargs)

    return with_output  # type: ignore[return-value]  # click's decorators change the signature


def server_options(command: F) -> F:
    """Add --url and --timeout; the command gets an open `OllamaProvider` as `llm`."""

    @click.option("--url", metavar="URL", help="The server; default: OLLAMA_HOST, or this machine's.")
    @click.option(
        "--timeout",
        type=click.FloatRange(min=0, min_open=True),
        default=600.0,
        show_default=True,
        metavar="SECONDS",
        help="How long to wait for the first byte of an answer.",
    )
    @wraps(command)
    def with_server(*args: Any, url: str | None, timeout: float, **kwargs: Any) -> Any:
        limits = Timeouts(first_byte=timeout)
        with OllamaProvider(url, timeout=limits) as llm:
            return command(*args, llm=llm, **kwargs)

    return with_server  # type: ignore[return-value]  # likewise


def chosen_model(llm: OllamaProvider, asked: str | None, output: Output) -> str:
    """Return the model that was asked for, else the server's newest, which is said aloud."""
    if asked is not None:
        return asked
    names = llm.list_models()
    if not names:
        raise InvalidRequest("the server has no model yet; get one: `ollameter models pull NAME`")
    output.say(f"Using {names[0]}; --model names another.")
    return names[0]
