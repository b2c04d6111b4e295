"""Data to attributes: pure functions, exact types, and nothing for what is unknown."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ollameter.messages import Request
from ollameter.metrics import PerformanceMetrics
from ollameter.telemetry import names

Attributes = dict[str, Any]

_DOUBLES = {
    "temperature": names.REQUEST_TEMPERATURE,
    "top_p": names.REQUEST_TOP_P,
    "top_k": names.REQUEST_TOP_K,
    "frequency_penalty": names.REQUEST_FREQUENCY_PENALTY,
    "presence_penalty": names.REQUEST_PRESENCE_PENALTY,
}
_INTEGERS = {"seed": names.REQUEST_SEED, "num_ctx": names.OLLAMA_REQUEST_NUM_CTX}


def server_attributes(address: str, port: int) -> Attributes:
    """Return where the server is."""
    return {names.SERVER_ADDRESS: address, names.SERVER_PORT: port}


def start_attributes(request: Request, address: str, port: int) -> Attributes:
    """Return what is known before a call is sent: what samplers may decide by."""
    body = request.body
    found: Attributes = {
        names.OPERATION_NAME: request.operation,
        names.PROVIDER_NAME: names.PROVIDER,
        names.REQUEST_MODEL: request.model,
        names.SERVER_ADDRESS: address,
        names.SERVER_PORT: port,
    }
    if request.stream:
        found[names.REQUEST_STREAM] = True
    if body.get("format"):
        found[names.OUTPUT_TYPE] = "json"
    if body.get("keep_alive") is not None:
        found[names.OLLAMA_REQUEST_KEEP_ALIVE] = _as_sent(body["keep_alive"])
    if body.get("think") is not None:
        found[names.OLLAMA_REQUEST_THINK] = _as_sent(body["think"])
    options = body.get("options")
    if isinstance(options, Mapping) and options:
        _add_options(found, options)
    return found


def _add_options(found: Attributes, options: Mapping[str, Any]) -> None:
    for option, name in _DOUBLES.items():
        if is_number(options.get(option)):
            found[name] = float(options[option])
    for option, name in _INTEGERS.items():
        if _is_integer(options.get(option)):
            found[name] = options[option]
    if _is_integer(options.get("num_predict")) and options["num_predict"] > 0:
        found[names.REQUEST_MAX_TOKENS] = options["num_predict"]
    if options.get("stop"):
        found[names.REQUEST_STOP_SEQUENCES] = tuple(options["stop"])


def end_attributes(metrics: PerformanceMetrics) -> Attributes:
    """Return what is known once a call has ended; what is unknown is left out."""
    found: Attributes = {
        names.RESPONSE_MODEL: metrics.response_model,
        names.USAGE_INPUT_TOKENS: metrics.input_tokens,
        names.USAGE_OUTPUT_TOKENS: metrics.output_tokens,
        names.USAGE_CACHE_READ_INPUT_TOKENS: metrics.prompt_eval_cached_count,
        names.RESPONSE_TIME_TO_FIRST_CHUNK: metrics.time_to_first_chunk_s,
        names.REQUEST_DURATION: metrics.total_s,
        names.LOAD_DURATION: metrics.load_s,
        names.PROMPT_EVAL_DURATION: metrics.prompt_eval_s,
        names.EVAL_DURATION: metrics.eval_s,
        names.UNATTRIBUTED_DURATION: metrics.unattributed_s,
        names.EVAL_THROUGHPUT: metrics.tokens_per_second,
        names.PROMPT_EVAL_THROUGHPUT: metrics.prompt_tokens_per_second,
        names.OLLAMA_COLD_START: metrics.cold_start,
        names.OLLAMA_STREAM_CHUNKS: metrics.chunks,
        names.OUTCOME: metrics.outcome,
        names.ERROR_TYPE: metrics.error_type,
    }
    if metrics.finish_reason:
        found[names.RESPONSE_FINISH_REASONS] = (metrics.finish_reason,)
    if metrics.host is not None:
        _add_host(found, metrics)
    if metrics.model_info is not None:
        _add_model(found, metrics)
    return {name: value for name, value in found.items() if value is not None}


def _add_host(found: Attributes, metrics: PerformanceMetrics) -> None:
    host = metrics.host
    assert host is not None  # noqa: S101  # narrowed for the type checker
    found[names.HOST_CPU] = host.cpu_utilization_mean
    found[names.HOST_CPU_PEAK] = host.cpu_utilization_peak
    found[names.HOST_MEMORY] = host.memory_used_bytes_mean
    found[names.HOST_MEMORY_PEAK] = host.memory_used_bytes_peak
    found[names.HOST_OLLAMA_CPU] = host.ollama_cpu_utilization_mean
    found[names.HOST_SAMPLES] = host.samples


def _add_model(found: Attributes, metrics: PerformanceMetrics) -> None:
    facts = metrics.model_info
    assert facts is not None  # noqa: S101  # narrowed for the type checker
    found[names.OLLAMA_MODEL_DIGEST] = facts.digest
    found[names.OLLAMA_MODEL_QUANTIZATION] = facts.quantization
    found[names.OLLAMA_MODEL_PARAMETER_SIZE] = facts.parameter_size
    found[names.OLLAMA_MODEL_FAMILY] = facts.family
    found[names.OLLAMA_MODEL_CONTEXT_LENGTH] = facts.context_length
    found[names.OLLAMA_MODEL_VRAM_SHARE] = facts.vram_share


def is_number(value: object) -> bool:
    """Whether a value is a finite number; True and False are none."""
    return not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value)


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _as_sent(value: Any) -> str:
    """Return a setting as JSON writes it, without quotes: `5m`, `-1`, `true`."""
    return str(value).lower() if isinstance(value, bool) else str(value)
