"""Single steps of a call, in microseconds: what the whole is made of, and this machine's measure."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from typing import Any

from opentelemetry import metrics, propagate, trace

from benchmarks.scenarios import MODEL, QUESTION, WORD, chunk_line, done_line
from ollameter.host.machine import machine_probes
from ollameter.host.sampling import INTERVAL_S, Sampling
from ollameter.host.servers import WatchedServers
from ollameter.host.window import Window
from ollameter.messages import Request
from ollameter.wire.ollama import ChunkReader
from ollameter.wire.request import chat_request, encode

CALIBRATION = "json.loads of one chunk line"  # by which machines are compared
_ROUNDS, _BATCH_S = 9, 0.02
_HOST, _PORT = "127.0.0.1", 11434
_TICKS = 4 * 60 * 15


def steps() -> dict[str, Any]:
    """Return the median of each step; spans and records go to the global providers."""
    line = chunk_line()
    found = {
        CALIBRATION: lambda: json.loads(line),
        "ChunkReader: one chunk line": _decoding(line),
        "ChunkReader: a whole answer": _decoding_whole(),
        "validate and encode a chat": lambda: encode(_request(stream=False).body),
        **_telemetry(),
        **_windows(),
    }
    return {name: cost_us(work) for name, work in found.items()}


def cost_us(work: Callable[[], object]) -> float:
    """Return the CPU microseconds of one run: the median of batches."""
    many = 1
    while _batch_s(work, many) < _BATCH_S / 4:
        many *= 4
    return statistics.median(_batch_s(work, many) / many for _ in range(_ROUNDS)) * 1e6


def _batch_s(work: Callable[[], object], many: int) -> float:
    begun = time.process_time()
    for _ in range(many):
        work()
    return time.process_time() - begun


def _request(*, stream: bool) -> Request:
    return chat_request(QUESTION, MODEL, stream)


def _decoding(line: bytes) -> Callable[[], object]:
    reader = ChunkReader(_request(stream=True))
    return lambda: list(reader.feed(line))


def _decoding_whole() -> Callable[[], object]:
    request, body = _request(stream=False), done_line(word=WORD * 298)

    def work() -> object:
        reader = ChunkReader(request)
        reader.feed(body)
        return list(reader.finish())

    return work


def _telemetry() -> dict[str, Callable[[], object]]:
    tracer, meter = trace.get_tracer("benchmarks"), metrics.get_meter("benchmarks")
    histogram = meter.create_histogram("benchmarks.histogram")
    twenty = {f"attribute.{i}": i for i in range(20)}
    five = {f"attribute.{i}": "value" for i in range(5)}
    span = tracer.start_span("benchmarks")
    context = trace.set_span_in_context(span)
    return {
        "a span with 20 attributes": lambda: tracer.start_span("x", attributes=twenty).end(),
        "a record with 5 attributes": lambda: histogram.record(1.0, five),
        "inject": lambda: propagate.inject({}, context),
    }


def _windows() -> dict[str, Callable[[], object]]:
    """Fill the rings with a quarter of an hour of this machine, and look back into them."""
    now_s = 0.0
    servers = WatchedServers(lambda: now_s)
    servers.watch(_HOST, _PORT)
    sampling = Sampling(lambda: now_s, servers)
    probes = machine_probes(servers)
    sampling.begin(probes)
    sampling.tick()
    now_s += INTERVAL_S
    long = Window(sampling, servers, lambda: now_s, _HOST, _PORT)
    for _ in range(_TICKS):
        now_s += INTERVAL_S
        sampling.tick()
    probes.close()
    short = Window(sampling, servers, lambda: now_s, _HOST, _PORT)
    return {
        "host window: opened": lambda: Window(sampling, servers, lambda: now_s, _HOST, _PORT),
        "host window: summary of a short call": short.load,
        "host window: summary of a quarter of an hour": long.load,
    }
