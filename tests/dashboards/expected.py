"""What every expression returns of the known input, worked out by hand from `known.py`.

Of the chosen service and models, per step of 15 s: 3 chats of 2 s and one failing after 0.5 s with
llama3.2, two generations of 8 s with qwen3; in 20 steps 120 calls, 20 of them failed. Quantiles are
interpolated within their bucket, as Prometheus does. Keys are the values of the labels, sorted by
the labels' names.
"""

from __future__ import annotations

Values = dict[str, float]

_GPU = "box|GPU-1|NVIDIA L4"

# Durations up to 0.64 s: 20; 1.28 to 2.56 s: 60; 5.12 to 10.24 s: 40.
_P50, _P95, _P99 = 1.28 * (1 + 40 / 60), 5.12 * (1 + 34 / 40), 5.12 * (1 + 38.8 / 40)
# First chunks: 0.32 to 0.64 s: 60; 5.12 to 10.24 s: 40.
_FIRST_P50, _FIRST_P95, _FIRST_P99 = 0.32 * (1 + 50 / 60), 5.12 * (1 + 35 / 40), 5.12 * (1 + 39 / 40)
_LLAMA_P95 = 1.28 * (1 + 56 / 60)  # 76 of 80
_QWEN_P95 = 5.12 * 1.95  # all in one bucket
_BY_BOUND = {
    **dict.fromkeys(("0.01", "0.02", "0.04", "0.08", "0.16", "0.32"), 0.0),
    "0.64": 4, "1.28": 4, "2.56": 16, "5.12": 16, "10.24": 24, "20.48": 24, "40.96": 24, "81.92": 24,
    "+Inf": 24,
}  # fmt: skip

EXPECTED: dict[str, Values] = {
    "overview / Calls / A": {"": 120},
    "overview / Error ratio / A": {"": 20 / 120},
    "overview / p95 duration / A": {"": _P95},
    "overview / p95 time to first chunk / A": {"": _FIRST_P95},
    "overview / Output / A": {"": (3 * 51 + 2 * 21) / 15},
    "overview / In flight / A": {"": 1},
    "overview / Requests / A": {"": 6 / 15},
    "overview / Requests / B": {"": 1 / 15},
    "overview / Duration and time to first chunk / A": {"": _P95},
    "overview / Duration and time to first chunk / B": {"": _FIRST_P95},
    "overview / Tokens / A": {"input": (3 * 40 + 2 * 200) / 15, "output": 13},
    "overview / Calls at the same time / A": {"": 1},
    "overview / Calls at the same time / B": {"": (3 * 2 + 0.5 + 2 * 8) / 15},
    "overview / Models / A": {"llama3.2": 80, "qwen3": 40},
    "overview / Models / B": {"llama3.2": 0.25, "qwen3": 0},
    "overview / Models / C": {"llama3.2": _LLAMA_P95, "qwen3": _QWEN_P95},
    "overview / Models / D": {"llama3.2": 0.32 * 1.95, "qwen3": _QWEN_P95},
    "overview / Models / E": {"llama3.2": 60 * 51, "qwen3": 40 * 21},
    "overview / Models / F": {"llama3.2": 50, "qwen3": 20},
    "latency / Duration / A": {"": _P50},
    "latency / Duration / B": {"": _P95},
    "latency / Duration / C": {"": _P99},
    "latency / Duration / D": {"": (60 * 2 + 20 * 0.5 + 40 * 8) / 120},
    "latency / Time to first chunk / A": {"": _FIRST_P50},
    "latency / Time to first chunk / B": {"": _FIRST_P95},
    "latency / Time to first chunk / C": {"": _FIRST_P99},
    "latency / Time to first chunk / D": {"": (60 * 0.4 + 40 * 6) / 100},
    "latency / Durations / A": _BY_BOUND,
    "latency / p95 duration by operation / A": {"chat": _LLAMA_P95, "text_completion": _QWEN_P95},
    "latency / p95 duration by model / A": {"llama3.2": _LLAMA_P95, "qwen3": _QWEN_P95},
    "latency / Time between chunks / A": {"": 0.64 * 1.5},
    "latency / Time between chunks / B": {"": 0.64 * 1.95},
    "phases / Where time goes / A": {"": (60 * 0.1 + 40 * 4) / 100},
    "phases / Where time goes / B": {"": (60 * 0.5 + 40 * 1.5) / 100},
    "phases / Where time goes / C": {"": (60 * 0.2 + 40 * 0.1) / 100},
    "phases / Where time goes / D": {"": 1},
    "phases / p95 by phase / A": {"": 2.56 * (1 + 35 / 40)},
    "phases / p95 by phase / B": {"": 1.28 * (1 + 35 / 40)},
    "phases / p95 by phase / C": {"": 0.16 * (1 + 55 / 60)},
    "phases / p95 by phase / D": {"": 0.64 * 1.95},
    "phases / The client's clock beside the server's / A": {"": (60 * 2 + 40 * 8) / 100},
    "phases / The client's clock beside the server's / B": {"": (60 * 1.8 + 40 * 6.6) / 100},
    "phases / Decode speed of a request / A": {"": (60 * 50 + 40 * 20) / 100},
    "phases / Decode speed of a request / B": {"": 40 + 10 * 10 / 60},
    "phases / Decode speed of a request / C": {"": 15 + 5 * 5 / 40},
    "phases / Tokens per second of decoding / A": {"": (60 * 51 + 40 * 21) / 100},
    "tokens / Tokens / A": {"input": 520 / 15, "output": 195 / 15},
    "tokens / Output by model / A": {"llama3.2": 3 * 51 / 15, "qwen3": 2 * 21 / 15},
    "tokens / Tokens of a call / A": {"input": (60 * 40 + 40 * 200) / 100, "output": 39},
    "tokens / Long calls / A": {"input": 64 + 192 * 35 / 40, "output": 16 + 48 * 0.95},
    "tokens / Context in use / A": {"llama3.2": 0.1 + 0.1 * 30 / 40},
    "tokens / Context in use / B": {"llama3.2": 0.9 + 0.1 * 17 / 20},
    "tokens / Calls with a nearly full context / A": {"llama3.2": 1 / 3},
    "tokens / Totals / A": {"llama3.2": 60 * 40, "qwen3": 40 * 200},
    "tokens / Totals / B": {"llama3.2": 60 * 51, "qwen3": 40 * 21},
    "machine / p95 duration / A": {"": _P95},
    "machine / Decode speed / A": {"": 38},
    "machine / CPU by mode / A": {"system|box": 0.1, "user|box": 0.4},
    "machine / CPU by process / A": {"box|11434": 0.2},
    "machine / CPU by process / B": {"box|shop": 0.05 + 0.025},
    "machine / Memory of the machine / A": {
        "box|used": 2_000, "box|free": 7_000, "box|cached": 800, "box|buffers": 200,
    },
    "machine / Memory in use / A": {"box": 0.2},
    "machine / Memory by process / A": {"box|11434": 240},
    "machine / Memory by process / B": {"box|shop": 320},
    "machine / GPU / A": {_GPU: 0.6},
    "machine / GPU memory / A": {_GPU: 5},
    "machine / GPU memory / B": {_GPU: 24},
    "machine / GPU memory in use / A": {_GPU: 5 / 24},
    "machine / GPU power / A": {_GPU: 40},
    "machine / GPU temperature / A": {_GPU: 40},
    "models / Memory of loaded models / A": {
        "llama3.2|gpu|127.0.0.1": 0, "llama3.2|host|127.0.0.1": 2_000,
        "qwen3|gpu|127.0.0.1": 3_000, "qwen3|host|127.0.0.1": 1_000,
    },
    "models / Share on the GPU / A": {"llama3.2": 0, "qwen3": 0.75},
    "models / Cold starts / A": {"": 20},
    "models / Cold starts by model / A": {"qwen3": 0.5},
    "models / p95 load by model / A": {"llama3.2": 0.08 * 1.95, "qwen3": 2.56 * 1.95},
    "models / Requests by model / A": {"llama3.2": 4 / 15, "qwen3": 2 / 15},
    "models / Decode speed by model / A": {"llama3.2": 50, "qwen3": 20},
    "errors / Error ratio / A": {"": 1 / 6},
    "errors / Errors by type / A": {"500": 1 / 15},
    "errors / Error ratio by model / A": {"llama3.2": 0.25, "qwen3": 0},
    "errors / How long failing takes / A": {"500": 0.32 * 1.95},
    "errors / Retries / A": {"": 20},
    "errors / What failed / A": {"500|llama3.2|shop": 20},
    "pipeline / Queues / A": {"traces|otlp_grpc/jaeger": 0.9, "metrics|otlp_http/prometheus": 0.25},
    "pipeline / Received / A": {"otlp": 2},
    "pipeline / Received / B": {"otlp": 10},
    "pipeline / Sent / A": {"otlp_grpc/jaeger": 3},
    "pipeline / Sent / B": {"otlp_http/prometheus": 4},
    "pipeline / Refused / A": {"otlp": 0.2},
    "pipeline / Refused / B": {"otlp": 0.4},
    "pipeline / Lost: queue full / A": {"otlp_grpc/jaeger": 0.6},
    "pipeline / Lost: queue full / B": {"otlp_http/prometheus": 0.8},
    "pipeline / Lost: not deliverable / A": {"otlp_grpc/jaeger": 1},
    "pipeline / Lost: not deliverable / B": {"otlp_http/prometheus": 1.2},
}  # fmt: skip

# The collector counts spans when they arrive, whenever they say they were: all of a run, old ones
# included, and the chats that stayed open until the end; of all models. By service, span, status.
_CHAT, _GENERATE = "chat llama3.2", "text_completion qwen3"
_NOISY_CHAT, _NOISY = "chat unwanted", "text_completion unwanted"
ABOUT_SPANS: dict[str, Values] = {
    "pipeline / Spans / A": {
        f"shop|{_CHAT}|STATUS_CODE_UNSET": 61, f"shop|{_CHAT}|STATUS_CODE_ERROR": 20,
        f"shop|{_GENERATE}|STATUS_CODE_UNSET": 45, f"shop|{_NOISY}|STATUS_CODE_UNSET": 20,
        f"shop|{_NOISY_CHAT}|STATUS_CODE_UNSET": 21, f"shop|{_NOISY_CHAT}|STATUS_CODE_ERROR": 20,
    },
    "pipeline / p95 by span / A": {
        _CHAT: 1 + 56.95 / 60, _GENERATE: 5 + 5 * 37.75 / 40,
        _NOISY: 60 + 60 * 0.95, _NOISY_CHAT: 60 + 60 * 18.95 / 20,
    },
}  # fmt: skip
