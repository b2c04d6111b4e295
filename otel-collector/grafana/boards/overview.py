"""Is it well? What is asked, how long it takes, how much fails."""

from __future__ import annotations

from boards.exported import ACTIVE, DURATION, ERROR, FIRST_CHUNK, MODEL, SPEED, TOKEN_TYPE, TOKENS
from boards.panel import CALLS_PER_SECOND, COUNT, SECONDS, SHARE, TOKENS_PER_SECOND, Board, Panel, ask
from boards.promql import (
    chosen,
    mean_of_range,
    quantile,
    quantile_of_range,
    rate,
    share,
    total,
)

_FAILED = chosen(f'{ERROR}!=""')
_OUTPUT = chosen(f'{TOKEN_TYPE}="output"')
_CALLS, _TOKEN_SUM = f"{DURATION}_count", f"{TOKENS}_sum"

_NUMBERS = (
    Panel(
        title="Calls",
        description="Calls that have ended in this range, failed ones included; exact.",
        unit=COUNT,
        kind="stat",
        queries=(ask(total(_CALLS), "calls"),),
        width=4,
        height=4,
    ),
    Panel(
        title="Error ratio",
        description="Failed calls of all calls in this range.",
        unit=SHARE,
        kind="stat",
        queries=(ask(share(total(_CALLS, where=_FAILED), total(_CALLS)), "failed"),),
        steps=(0.01, 0.05),
        width=4,
        height=4,
    ),
    Panel(
        title="p95 duration",
        description="19 of 20 calls of this range ended sooner, streams read to their end included.",
        unit=SECONDS,
        kind="stat",
        queries=(ask(quantile_of_range(0.95, DURATION), "p95"),),
        width=4,
        height=4,
    ),
    Panel(
        title="p95 time to first chunk",
        description="How long 19 of 20 streams of this range let their reader wait at most.",
        unit=SECONDS,
        kind="stat",
        no_value="no streams",
        queries=(ask(quantile_of_range(0.95, FIRST_CHUNK), "p95"),),
        width=4,
        height=4,
    ),
    Panel(
        title="Output",
        description="Tokens written per second by all models together, just now.",
        unit=TOKENS_PER_SECOND,
        kind="stat",
        queries=(ask(rate(_TOKEN_SUM, where=_OUTPUT), "output"),),
        width=4,
        height=4,
    ),
    Panel(
        title="In flight",
        description="Calls that have begun and not ended.",
        unit=COUNT,
        kind="stat",
        queries=(ask(f"sum({ACTIVE}{chosen()})", "calls"),),
        width=4,
        height=4,
    ),
)
_COURSE = (
    Panel(
        title="Requests",
        description="Calls ended per second, and those of them that failed.",
        unit=CALLS_PER_SECOND,
        queries=(
            ask(rate(_CALLS), "all"),
            ask(f"{rate(_CALLS, where=_FAILED)} or {rate(_CALLS)} * 0", "failed"),
        ),
    ),
    Panel(
        title="Duration and time to first chunk",
        description="The slowest in twenty, whole calls and first chunks; dots are calls with a trace.",
        unit=SECONDS,
        queries=(
            ask(quantile(0.95, DURATION), "p95 duration"),
            ask(quantile(0.95, FIRST_CHUNK), "p95 first chunk"),
        ),
        exemplars=True,
    ),
    Panel(
        title="Tokens",
        description="Tokens read and written per second by all models together.",
        unit=TOKENS_PER_SECOND,
        queries=(ask(rate(_TOKEN_SUM, TOKEN_TYPE), f"{{{{{TOKEN_TYPE}}}}}"),),
    ),
    Panel(
        title="Calls at the same time",
        description="In flight at each export, and on average between exports: "
        "seconds of calls that ended, per second.",
        unit=COUNT,
        queries=(
            ask(f"sum({ACTIVE}{chosen()})", "in flight"),
            ask(rate(f"{DURATION}_sum"), "on average"),
        ),
    ),
)
_BY_MODEL = Panel(
    title="Models",
    description="What each model did in this range. Decode speed is per request, without its first token.",
    unit=COUNT,
    kind="table",
    rows=((MODEL, "Model"),),
    queries=(
        ask(total(_CALLS, MODEL), "Calls"),
        ask(share(total(_CALLS, MODEL, where=_FAILED), total(_CALLS, MODEL)), "Errors", SHARE),
        ask(quantile_of_range(0.95, DURATION, MODEL), "p95 duration", SECONDS),
        ask(quantile_of_range(0.95, FIRST_CHUNK, MODEL), "p95 first chunk", SECONDS),
        ask(total(_TOKEN_SUM, MODEL, where=_OUTPUT), "Output tokens"),
        ask(mean_of_range(SPEED, MODEL), "Decode speed", TOKENS_PER_SECOND),
    ),
    width=24,
    height=6,
)

OVERVIEW = Board(
    key="overview",
    title="ollameter: overview",
    description="Requests, errors, latency and tokens of everything that calls models through ollameter.",
    panels=(*_NUMBERS, *_COURSE, _BY_MODEL),
)
