"""What the machine did while calls were slow."""

from __future__ import annotations

from boards.exported import (
    CPU,
    CPU_MODE,
    DURATION,
    GPU,
    GPU_ID,
    GPU_LIMIT,
    GPU_MEMORY,
    GPU_NAME,
    GPU_SHARE,
    HOST,
    MEMORY,
    MEMORY_SHARE,
    OLLAMA_CPU,
    OLLAMA_MEMORY,
    PORT,
    POWER,
    PROCESS_CPU,
    PROCESS_MEMORY,
    SERVICE,
    SPEED,
    STATE,
    TEMPERATURE,
)
from boards.panel import BYTES, CELSIUS, SECONDS, SHARE, TOKENS_PER_SECOND, WATTS, Board, Panel, ask
from boards.promql import average, mean, of_service, quantile

_NO_HOST, _NO_GPU = "no host metrics", "no GPU reported"
_AT, _ON = f"{{{{{HOST}}}}}", f"{{{{{GPU_NAME}}}}} {{{{{HOST}}}}}"
_BUSY = of_service(f'{CPU_MODE}!="idle"')
_EACH_GPU = (HOST, GPU_ID, GPU_NAME)

_CALLS = (
    Panel(
        title="p95 duration",
        description="The slowest in twenty calls, above what the machine did at the same time.",
        unit=SECONDS,
        queries=(ask(quantile(0.95, DURATION), "p95"),),
        exemplars=True,
    ),
    Panel(
        title="Decode speed",
        description="Mean tokens per second of a request: falls when the processor or GPU is shared.",
        unit=TOKENS_PER_SECOND,
        queries=(ask(mean(SPEED), "mean"),),
    ),
)
_PROCESSOR = (
    Panel(
        title="CPU by mode",
        description="Share of all processors of the machine; without idle, so that all of it is 100 %.",
        unit=SHARE,
        stacked=True,
        most=1,
        no_value=_NO_HOST,
        queries=(ask(average(CPU, HOST, CPU_MODE, where=_BUSY), f"{{{{{CPU_MODE}}}}} {_AT}"),),
    ),
    Panel(
        title="CPU by process",
        description="Ollama with its runners, and the programs that call it: shares of all processors. "
        "Ollama is seen when it runs on the caller's machine.",
        unit=SHARE,
        most=1,
        no_value=_NO_HOST,
        queries=(
            ask(average(OLLAMA_CPU, HOST, PORT), f"Ollama :{{{{{PORT}}}}} {_AT}"),
            ask(f"sum by ({HOST}, {SERVICE}) ({PROCESS_CPU}{of_service()})", f"{{{{{SERVICE}}}}} {_AT}"),
        ),
    ),
)
_MEMORY = (
    Panel(
        title="Memory of the machine",
        description="All of it, by state.",
        unit=BYTES,
        stacked=True,
        no_value=_NO_HOST,
        queries=(ask(average(MEMORY, HOST, STATE), f"{{{{{STATE}}}}} {_AT}"),),
        width=8,
    ),
    Panel(
        title="Memory in use",
        description="Share of the machine's memory; close to all of it, models are swapped or killed.",
        unit=SHARE,
        most=1,
        steps=(0.85, 0.95),
        no_value=_NO_HOST,
        queries=(ask(average(MEMORY_SHARE, HOST, where=of_service(f'{STATE}="used"')), _AT),),
        width=8,
    ),
    Panel(
        title="Memory by process",
        description="Resident memory of Ollama with its runners, and of the programs that call it.",
        unit=BYTES,
        no_value=_NO_HOST,
        queries=(
            ask(average(OLLAMA_MEMORY, HOST, PORT), f"Ollama :{{{{{PORT}}}}} {_AT}"),
            ask(f"sum by ({HOST}, {SERVICE}) ({PROCESS_MEMORY}{of_service()})", f"{{{{{SERVICE}}}}} {_AT}"),
        ),
        width=8,
    ),
)
_GRAPHICS = (
    Panel(
        title="GPU",
        description="Share of time in which the GPU was busy.",
        unit=SHARE,
        most=1,
        no_value=_NO_GPU,
        queries=(ask(average(GPU, *_EACH_GPU), _ON),),
        width=8,
        height=6,
    ),
    Panel(
        title="GPU memory",
        description="In use, and what there is.",
        unit=BYTES,
        no_value=_NO_GPU,
        queries=(
            ask(average(GPU_MEMORY, *_EACH_GPU), f"used {_ON}"),
            ask(average(GPU_LIMIT, *_EACH_GPU), f"size {_ON}"),
        ),
        width=8,
        height=6,
    ),
    Panel(
        title="GPU memory in use",
        description="Share of the GPU's memory: what does not fit runs on the processor.",
        unit=SHARE,
        most=1,
        steps=(0.9, 0.97),
        no_value=_NO_GPU,
        queries=(ask(average(GPU_SHARE, *_EACH_GPU), _ON),),
        width=8,
        height=6,
    ),
    Panel(
        title="GPU power",
        description="What the GPU draws.",
        unit=WATTS,
        no_value=_NO_GPU,
        queries=(ask(average(POWER, *_EACH_GPU), _ON),),
        height=6,
    ),
    Panel(
        title="GPU temperature",
        description="Above its limit a GPU slows itself down.",
        unit=CELSIUS,
        no_value=_NO_GPU,
        queries=(ask(average(TEMPERATURE, *_EACH_GPU), _ON),),
        height=6,
    ),
)

MACHINE = Board(
    key="machine",
    title="ollameter: machine beside latency",
    description="The machine of the callers at the same moments as their calls. "
    "With Ollama elsewhere, it is the callers' machine that is shown.",
    panels=(*_CALLS, *_PROCESSOR, *_MEMORY, *_GRAPHICS),
)
