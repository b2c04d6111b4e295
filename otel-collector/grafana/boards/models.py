"""Which models are loaded, where they live, how often they are loaded anew."""

from __future__ import annotations

from boards.exported import (
    COLD_STARTS,
    DURATION,
    LOAD,
    MODEL,
    MODEL_MEMORY,
    PLACE,
    SERVER,
    SPEED,
)
from boards.panel import (
    BYTES,
    CALLS_PER_SECOND,
    COUNT,
    SECONDS,
    SHARE,
    TOKENS_PER_SECOND,
    Board,
    Panel,
    ask,
)
from boards.promql import average, chosen, mean, quantile, rate, ratio, total

_OF_MODEL, _NO_MODEL = f"{{{{{MODEL}}}}}", "no model reported"
_MEMORY = average(MODEL_MEMORY, MODEL, where=chosen())
_ON_GPU = average(MODEL_MEMORY, MODEL, where=chosen(f'{PLACE}="gpu"'))
_ON_HOST = average(MODEL_MEMORY, MODEL, where=chosen(f'{PLACE}="host"'))

MODELS = Board(
    key="models",
    title="ollameter: models",
    description="Memory of loaded models, cold starts, and what each model does.",
    panels=(
        Panel(
            title="Memory of loaded models",
            description="As the server last reported it: on GPUs and in the host's memory.",
            unit=BYTES,
            stacked=True,
            no_value=_NO_MODEL,
            queries=(
                ask(
                    average(MODEL_MEMORY, MODEL, PLACE, SERVER, where=chosen()),
                    f"{_OF_MODEL} {{{{{PLACE}}}}} @{{{{{SERVER}}}}}",
                ),
            ),
        ),
        Panel(
            title="Share on the GPU",
            description="Of each loaded model: less than all of it, and some layers run on the processor.",
            unit=SHARE,
            most=1,
            no_value=_NO_MODEL,
            queries=(ask(f"{_ON_GPU} / ({_ON_GPU} + {_ON_HOST})", _OF_MODEL),),
        ),
        Panel(
            title="Cold starts",
            description="Calls of this range that had to load their model.",
            unit=COUNT,
            kind="stat",
            no_value="none",
            queries=(ask(total(COLD_STARTS), "cold starts"),),
            width=4,
        ),
        Panel(
            title="Cold starts by model",
            description="Share of calls that loaded their model: raise keep_alive, or use fewer models.",
            unit=SHARE,
            most=1,
            no_value="no cold starts",
            queries=(ask(ratio(rate(COLD_STARTS, MODEL), rate(f"{DURATION}_count", MODEL)), _OF_MODEL),),
            width=10,
        ),
        Panel(
            title="p95 load by model",
            description="Scheduling and loading: a few milliseconds when the model was there.",
            unit=SECONDS,
            queries=(ask(quantile(0.95, LOAD, MODEL), _OF_MODEL),),
            exemplars=True,
            width=10,
        ),
        Panel(
            title="Requests by model",
            description="Calls ended per second.",
            unit=CALLS_PER_SECOND,
            stacked=True,
            queries=(ask(rate(f"{DURATION}_count", MODEL), _OF_MODEL),),
        ),
        Panel(
            title="Decode speed by model",
            description="Mean tokens per second of a request.",
            unit=TOKENS_PER_SECOND,
            queries=(ask(mean(SPEED, MODEL), _OF_MODEL),),
        ),
    ),
)
