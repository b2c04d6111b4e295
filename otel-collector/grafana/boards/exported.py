"""What the library's metrics and labels are called in Prometheus; names come from `names.py`."""

from __future__ import annotations

import re
from typing import Final

from ollameter.telemetry import names

_SUFFIXES = {
    names.SECONDS: "_seconds",
    names.BYTES: "_bytes",
    names.WATTS: "_watts",
    names.CELSIUS: "_celsius",
    names.TOKENS_PER_SECOND: "_per_second",
}


def label(attribute: str) -> str:
    """Return what Prometheus makes of an attribute's name."""
    return re.sub(r"\W", "_", attribute)


def of_call(name: str) -> str:
    """Return what Prometheus makes of a metric of calls."""
    metric = names.METRICS[name]
    total = "_total" if metric.kind == "counter" else ""
    return label(name) + _SUFFIXES.get(metric.unit, "") + total


def of_machine(name: str, unit: str) -> str:
    """Return what Prometheus makes of a gauge of the machine."""
    return label(name) + ("_ratio" if unit == names.RATIO else _SUFFIXES[unit])


DURATION: Final = of_call(names.OPERATION_DURATION)
FIRST_CHUNK: Final = of_call(names.TIME_TO_FIRST_CHUNK)
PER_CHUNK: Final = of_call(names.TIME_PER_OUTPUT_CHUNK)
TOKENS: Final = of_call(names.TOKEN_USAGE)
REQUEST: Final = of_call(names.REQUEST_DURATION)
LOAD: Final = of_call(names.LOAD_DURATION)
QUEUE: Final = of_call(names.UNATTRIBUTED_DURATION)
PROMPT: Final = of_call(names.PROMPT_EVAL_DURATION)
DECODE: Final = of_call(names.EVAL_DURATION)
SPEED: Final = of_call(names.EVAL_THROUGHPUT)
CONTEXT: Final = of_call(names.CONTEXT_UTILIZATION)
ACTIVE: Final = of_call(names.ACTIVE_REQUESTS)
COLD_STARTS: Final = of_call(names.COLD_STARTS)
RETRIES: Final = of_call(names.RETRIES)

CPU: Final = of_machine(names.SYSTEM_CPU_UTILIZATION, names.RATIO)
MEMORY: Final = of_machine(names.SYSTEM_MEMORY_USAGE, names.BYTES)
MEMORY_SHARE: Final = of_machine(names.SYSTEM_MEMORY_UTILIZATION, names.RATIO)
PROCESS_CPU: Final = of_machine(names.PROCESS_CPU_UTILIZATION, names.RATIO)
PROCESS_MEMORY: Final = of_machine(names.PROCESS_MEMORY_USAGE, names.BYTES)
OLLAMA_CPU: Final = of_machine(names.OLLAMA_PROCESS_CPU, names.RATIO)
OLLAMA_MEMORY: Final = of_machine(names.OLLAMA_PROCESS_MEMORY, names.BYTES)
MODEL_MEMORY: Final = of_machine(names.MODEL_MEMORY_USAGE, names.BYTES)
GPU: Final = of_machine(names.GPU_UTILIZATION, names.RATIO)
GPU_MEMORY: Final = of_machine(names.GPU_MEMORY_USAGE, names.BYTES)
GPU_LIMIT: Final = of_machine(names.GPU_MEMORY_LIMIT, names.BYTES)
GPU_SHARE: Final = of_machine(names.GPU_MEMORY_UTILIZATION, names.RATIO)
POWER: Final = of_machine(names.HW_POWER, names.WATTS)
TEMPERATURE: Final = of_machine(names.HW_TEMPERATURE, names.CELSIUS)

SERVICE: Final = label(names.SERVICE_NAME)
MODEL: Final = label(names.REQUEST_MODEL)
OPERATION: Final = label(names.OPERATION_NAME)
ERROR: Final = label(names.ERROR_TYPE)
TOKEN_TYPE: Final = label(names.TOKEN_TYPE)
HOST: Final = label(names.RESOURCE_HOST_NAME)
SERVER: Final = label(names.SERVER_ADDRESS)
PORT: Final = label(names.SERVER_PORT)
CPU_MODE: Final = label(names.CPU_MODE)
STATE: Final = label(names.MEMORY_STATE)
PLACE: Final = label(names.MEMORY_LOCATION)
GPU_ID: Final = label(names.HW_ID)
GPU_NAME: Final = label(names.HW_NAME)

# What no panel shows, and why.
LEFT_OUT: Final = {
    of_call(names.SERVER_REQUEST_DURATION): f"opt-in; the same numbers as {REQUEST}",
    of_call(names.SERVER_TIME_TO_FIRST_TOKEN): f"opt-in; {REQUEST} without {DECODE}",
    of_call(names.SERVER_TIME_PER_OUTPUT_TOKEN): f"opt-in; the inverse of {SPEED}",
}
