"""Where Ollama's time goes."""

from __future__ import annotations

from boards.exported import DECODE, DURATION, ERROR, LOAD, PROMPT, QUEUE, REQUEST, SPEED, TOKEN_TYPE, TOKENS
from boards.panel import SECONDS, TOKENS_PER_SECOND, Board, Panel, ask
from boards.promql import chosen, mean, quantile, rate, ratio

_PHASES = ((LOAD, "load"), (QUEUE, "queue"), (PROMPT, "prompt"), (DECODE, "decode"))
_ENDED_WELL = chosen(f'{ERROR}=""')
_OUTPUT = chosen(f'{TOKEN_TYPE}="output"')

PHASES = Board(
    key="phases",
    title="ollameter: Ollama's phases",
    description="What the server reports about each request: load, queue, prompt, decode.",
    panels=(
        Panel(
            title="Where time goes",
            description="The mean request, by phase: loading the model; waiting (in no phase: mostly for "
            "a free slot); reading the prompt; writing the answer. Together the server's own total.",
            unit=SECONDS,
            stacked=True,
            queries=tuple(
                ask(ratio(rate(f"{phase}_sum"), rate(f"{REQUEST}_count")), name) for phase, name in _PHASES
            ),
            width=24,
            height=10,
        ),
        Panel(
            title="p95 by phase",
            description="The slowest in twenty of each phase. They do not add up: it is not the same call.",
            unit=SECONDS,
            queries=tuple(ask(quantile(0.95, phase), name) for phase, name in _PHASES),
        ),
        Panel(
            title="The client's clock beside the server's",
            description="Mean duration of calls that ended well: what lies between is network, connection "
            "and whoever reads the stream.",
            unit=SECONDS,
            queries=(
                ask(
                    ratio(
                        rate(f"{DURATION}_sum", where=_ENDED_WELL),
                        rate(f"{DURATION}_count", where=_ENDED_WELL),
                    ),
                    "client",
                ),
                ask(mean(REQUEST), "server"),
            ),
        ),
        Panel(
            title="Decode speed of a request",
            description="Tokens per second of each request, without its first token; half of them are "
            "faster than p50, one in twenty is slower than p5.",
            unit=TOKENS_PER_SECOND,
            queries=(
                ask(mean(SPEED), "mean"),
                ask(quantile(0.5, SPEED), "p50"),
                ask(quantile(0.05, SPEED), "p5"),
            ),
            exemplars=True,
        ),
        Panel(
            title="Tokens per second of decoding",
            description="Tokens written per second that requests spent decoding: long answers weigh more.",
            unit=TOKENS_PER_SECOND,
            queries=(
                ask(ratio(rate(f"{TOKENS}_sum", where=_OUTPUT), rate(f"{DECODE}_sum")), "while decoding"),
            ),
        ),
    ),
)
