"""Data to attributes: pure functions, exact types, and nothing for what is unknown."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from typing import Any

import msgspec

from ollameter.messages import Request
from ollameter.metrics import HostLoad, ModelFacts, PerformanceMetrics
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
_MEASURED = (
    "total_duration", "load_duration", "prompt_eval_count", "prompt_eval_duration", "eval_count",
    "eval_duration", "prompt_eval_cached_count", "duration_s", "time_to_first_chunk_s", "chunks",
    "attempts",
)  # fmt: skip
_measured = operator.attrgetter(*_MEASURED)
_PLAIN = {int, float, type(None)}
_INT64 = 1 << 63


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
    if _is_integer(body.get("dimensions")):
        found[names.EMBEDDINGS_DIMENSION_COUNT] = body["dimensions"]
    options = body.get("options")
    if isinstance(options, Mapping) and options:
        _add_options(found, options)
    return found


def _add_options(found: Attributes, options: Mapping[str, Any]) -> None:
    for option, value in options.items():
        if option in _DOUBLES:
            if is_number(value):
                found[_DOUBLES[option]] = float(value)
        elif option in _INTEGERS:
            if _is_integer(value):
                found[_INTEGERS[option]] = value
        elif option == "num_predict":
            if _is_integer(value) and value > 0:
                found[names.REQUEST_MAX_TOKENS] = value
        elif option == "stop" and value:
            found[names.REQUEST_STOP_SEQUENCES] = (value,) if isinstance(value, str) else tuple(value)


def usable(metrics: PerformanceMetrics) -> PerformanceMetrics:
    """Return the metrics with None for every number that cannot be exported."""
    measured = _measured(metrics)
    # The quick look, nearly always enough: plain types, and a sum that is finite and fits 64 bits.
    if _PLAIN.issuperset(map(type, measured)) and -_INT64 < sum(filter(None, measured)) < _INT64:
        return metrics
    wrong = [name for name, value in zip(_MEASURED, measured, strict=True) if not is_number(value)]
    return msgspec.structs.replace(metrics, **dict.fromkeys(wrong))


def end_attributes(metrics: PerformanceMetrics) -> Attributes:
    """Return what is known once a call has ended; what is unknown is left out."""
    found: Attributes = {
        names.RESPONSE_MODEL: metrics.response_model,
        names.USAGE_INPUT_TOKENS: metrics.prompt_eval_count,
        names.USAGE_OUTPUT_TOKENS: metrics.eval_count,
        names.USAGE_CACHE_READ_INPUT_TOKENS: metrics.prompt_eval_cached_count,
        names.RESPONSE_TIME_TO_FIRST_CHUNK: _double(metrics.time_to_first_chunk_s),
        names.REQUEST_DURATION: metrics.total_s,
        names.LOAD_DURATION: metrics.load_s,
        names.PROMPT_EVAL_DURATION: metrics.prompt_eval_s,
        names.EVAL_DURATION: metrics.eval_s,
        names.UNATTRIBUTED_DURATION: metrics.unattributed_s,
        names.EVAL_THROUGHPUT: metrics.tokens_per_second,
        names.PROMPT_EVAL_THROUGHPUT: metrics.prompt_tokens_per_second,
        names.OLLAMA_COLD_START: metrics.cold_start,
        names.OLLAMA_PROMPT_TRUNCATED: metrics.prompt_truncated or None,  # told when suspected
        names.OLLAMA_STREAM_CHUNKS: metrics.chunks,
        names.OUTCOME: metrics.outcome,
        names.ERROR_TYPE: metrics.error_type,
    }
    if metrics.finish_reason:
        found[names.RESPONSE_FINISH_REASONS] = (metrics.finish_reason,)
    if metrics.host is not None:
        _add_host(found, metrics.host)
    if metrics.model_info is not None:
        _add_model(found, metrics.model_info)
        found[names.CONTEXT_UTILIZATION] = _double(metrics.context_utilization)
    return {name: value for name, value in found.items() if value is not None}


def _add_host(found: Attributes, host: HostLoad) -> None:
    found[names.HOST_CPU] = _double(host.cpu_utilization_mean)
    found[names.HOST_CPU_PEAK] = _double(host.cpu_utilization_peak)
    found[names.HOST_MEMORY] = _integer(host.memory_used_bytes_mean)
    found[names.HOST_MEMORY_PEAK] = _integer(host.memory_used_bytes_peak)
    found[names.HOST_OLLAMA_CPU] = _double(host.ollama_cpu_utilization_mean)
    found[names.HOST_SAMPLES] = _integer(host.samples)


def _add_model(found: Attributes, facts: ModelFacts) -> None:
    found[names.OLLAMA_MODEL_DIGEST] = facts.digest
    found[names.OLLAMA_MODEL_QUANTIZATION] = facts.quantization
    found[names.OLLAMA_MODEL_PARAMETER_SIZE] = facts.parameter_size
    found[names.OLLAMA_MODEL_FAMILY] = facts.family
    found[names.OLLAMA_MODEL_CONTEXT_LENGTH] = _integer(facts.context_length)
    found[names.OLLAMA_MODEL_VRAM_SHARE] = _double(facts.vram_share)


def is_number(value: object) -> bool:
    """Whether a value can be exported as a number: finite, at most 64 bits; True and False are none."""
    if isinstance(value, float):
        return math.isfinite(value)
    return _is_integer(value)


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -_INT64 <= value < _INT64


def _double(value: float | None) -> float | None:
    return float(value) if value is not None and is_number(value) else None


def _integer(value: int | None) -> int | None:
    return value if _is_integer(value) else None


def _as_sent(value: Any) -> str:
    """Return a setting as JSON writes it, without quotes: `5m`, `-1`, `true`."""
    return str(value).lower() if isinstance(value, bool) else str(value)
