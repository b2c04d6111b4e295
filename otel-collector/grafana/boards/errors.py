"""What fails, how often, and for whom."""

from __future__ import annotations

from boards.exported import DURATION, ERROR, MODEL, RETRIES, SERVICE
from boards.panel import COUNT, PER_SECOND, SECONDS, SHARE, Board, Panel, ask
from boards.promql import chosen, quantile, rate, share, total

_FAILED = chosen(f'{ERROR}!=""')
_CALLS, _NONE = f"{DURATION}_count", "no errors"

ERRORS = Board(
    key="errors",
    title="ollameter: errors",
    description="Failed calls by what went wrong; streams that a reader left early are no errors.",
    panels=(
        Panel(
            title="Error ratio",
            description="Failed calls of all calls.",
            unit=SHARE,
            steps=(0.01, 0.05),
            queries=(ask(share(rate(_CALLS, where=_FAILED), rate(_CALLS)), "failed"),),
        ),
        Panel(
            title="Errors by type",
            description="Failed calls per second: an HTTP status, or what broke.",
            unit=PER_SECOND,
            stacked=True,
            no_value=_NONE,
            queries=(ask(rate(_CALLS, ERROR, where=_FAILED), f"{{{{{ERROR}}}}}"),),
        ),
        Panel(
            title="Error ratio by model",
            description="Failed calls of each model's calls.",
            unit=SHARE,
            queries=(
                ask(share(rate(_CALLS, MODEL, where=_FAILED), rate(_CALLS, MODEL)), f"{{{{{MODEL}}}}}"),
            ),
        ),
        Panel(
            title="How long failing takes",
            description="The slowest in twenty failed calls, by type: timeouts are long, refusals short.",
            unit=SECONDS,
            no_value=_NONE,
            queries=(ask(quantile(0.95, DURATION, ERROR, where=_FAILED), f"p95 {{{{{ERROR}}}}}"),),
            exemplars=True,
        ),
        Panel(
            title="Retries",
            description="Requests beyond the first of a call, in this range.",
            unit=COUNT,
            kind="stat",
            no_value="none",
            queries=(ask(total(RETRIES), "retries"),),
            width=4,
        ),
        Panel(
            title="What failed",
            description="Failed calls of this range; the number leads to their traces in Jaeger.",
            unit=COUNT,
            kind="table",
            no_value=_NONE,
            rows=((SERVICE, "Service"), (MODEL, "Model"), (ERROR, "Error")),
            queries=(ask(total(_CALLS, SERVICE, MODEL, ERROR, where=_FAILED), "Calls"),),
            traces=True,
            width=20,
        ),
    ),
)
