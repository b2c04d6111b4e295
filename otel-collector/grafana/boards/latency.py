"""How long do callers wait."""

from __future__ import annotations

from boards.exported import DURATION, FIRST_CHUNK, MODEL, OPERATION, PER_CHUNK
from boards.panel import SECONDS, Board, Panel, Query, ask
from boards.promql import chosen, mean, quantile

_BUCKETS = f"{DURATION}_bucket{chosen()}[$__rate_interval]"


def _spread(histogram: str) -> tuple[Query, ...]:
    quantiles = ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
    return (*(ask(quantile(q, histogram), name) for q, name in quantiles), ask(mean(histogram), "mean"))


LATENCY = Board(
    key="latency",
    title="ollameter: latency",
    description="Durations by the client's own clock; dots are single calls and open their trace.",
    panels=(
        Panel(
            title="Duration",
            description="From the call to its end, retries and reading of the stream included. The "
            "buckets double: between two bounds a quantile is interpolated, above 82 s it is cut off.",
            unit=SECONDS,
            queries=_spread(DURATION),
            exemplars=True,
        ),
        Panel(
            title="Time to first chunk",
            description="From the call to the first chunk of a stream: queue, load and prompt.",
            unit=SECONDS,
            no_value="no streams",
            queries=_spread(FIRST_CHUNK),
            exemplars=True,
        ),
        Panel(
            title="Durations",
            description="How many calls took how long, by the bounds of the buckets.",
            unit=SECONDS,
            kind="heatmap",
            queries=(ask(f"sum by (le) (increase({_BUCKETS}))", "{{le}}"),),
            width=24,
        ),
        Panel(
            title="p95 duration by operation",
            description="chat and text_completion write, embeddings do not.",
            unit=SECONDS,
            queries=(ask(quantile(0.95, DURATION, OPERATION), f"{{{{{OPERATION}}}}}"),),
            width=8,
        ),
        Panel(
            title="p95 duration by model",
            description="The slowest in twenty calls of each model.",
            unit=SECONDS,
            queries=(ask(quantile(0.95, DURATION, MODEL), f"{{{{{MODEL}}}}}"),),
            width=8,
        ),
        Panel(
            title="Time between chunks",
            description="How evenly streams flow. Recorded with OLLAMETER_CHUNK_METRICS=true only.",
            unit=SECONDS,
            no_value="OLLAMETER_CHUNK_METRICS is off",
            queries=(ask(quantile(0.5, PER_CHUNK), "p50"), ask(quantile(0.95, PER_CHUNK), "p95")),
            width=8,
        ),
    ),
)
