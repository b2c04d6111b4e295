"""Each number is recorded once, under exact attributes; instruments are made once a meter provider."""

from __future__ import annotations

import gc
import logging
import os
import subprocess
import sys
import threading
import weakref
from typing import Any

import pytest
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, View

from ollameter import ModelFacts
from ollameter.telemetry import names
from ollameter.telemetry.instruments import instruments_of
from ollameter.telemetry.spans import Telemetry
from tests.telemetry.seen import (
    ALWAYS,
    HOST,
    OLLAMA_DIMENSIONS,
    PORT,
    START_NS,
    WHOLE,
    Seen,
    answer,
    begin,
    call,
    measured,
    request,
)


def test_every_number_of_a_call_is_recorded_once() -> None:
    """Values, and the attributes of each group of metrics, whole."""
    seen = Seen()
    call(
        seen.telemetry(), **WHOLE, streaming=True, time_to_first_chunk_s=0.25, cold_start=True, attempts=3,
        model_info=ModelFacts(context_length=74),
    )  # fmt: skip

    tokens = {name: value for name, value in ALWAYS.items() if name != "server.port"}
    gen_ai, ollama = ALWAYS, OLLAMA_DIMENSIONS
    found = [
        (name, dict(point.attributes), getattr(point, "sum", getattr(point, "value", None)))
        for name, metric in seen.metrics().items()
        for point in metric.data.data_points
    ]
    assert sorted(found, key=str) == sorted([
        ("gen_ai.client.operation.duration", gen_ai, 1.0),
        ("gen_ai.client.operation.time_to_first_chunk", gen_ai, 0.25),
        ("gen_ai.client.token.usage", {**tokens, "gen_ai.token.type": "input"}, 26),
        ("gen_ai.client.token.usage", {**tokens, "gen_ai.token.type": "output"}, 11),
        ("ollama.request.duration", ollama, 5.0), ("ollama.load.duration", ollama, 1.0),
        ("ollama.prompt_eval.duration", ollama, 0.5), ("ollama.eval.duration", ollama, 2.0),
        ("ollama.unattributed.duration", ollama, 1.5), ("ollama.eval.throughput", ollama, 5.0),
        ("ollama.context.utilization", ollama, 0.5), ("ollama.client.active_requests", ollama, 0),
        ("ollama.client.cold_starts", ollama, 1), ("ollama.client.retries", ollama, 2),
    ], key=str)  # fmt: skip


def test_a_phase_that_is_known_is_recorded_without_the_others() -> None:
    """A server may leave out its total: what it did say counts."""
    seen = Seen()
    call(seen.telemetry(), eval_count=3, eval_duration=1_000_000_000, cold_start=False)

    assert seen.numbers() == {
        ("gen_ai.client.operation.duration", None): 1.0,
        ("gen_ai.client.token.usage", "output"): 3,
        ("ollama.eval.duration", None): 1.0,
        ("ollama.eval.throughput", None): 2.0,
        ("ollama.client.active_requests", None): 0,
    }


@pytest.mark.parametrize(
    ("length", "utilization"), [(37, 1.0), (30, 1.0), (148, 0.25), (0, None), (None, None)]
)
def test_how_full_the_context_was_is_at_most_all_of_it(
    length: int | None, utilization: float | None
) -> None:
    """A conversation longer than the context has been shifted; an unknown length says nothing."""
    seen = Seen()
    call(seen.telemetry(), **WHOLE, model_info=ModelFacts(context_length=length))

    assert seen.attributes.get("ollama.context.utilization") == utilization
    assert seen.numbers().get(("ollama.context.utilization", None)) == utilization


def test_calls_under_way_are_counted() -> None:
    """Up at the start, down at the end, whatever the end."""
    seen = Seen()
    telemetry = seen.telemetry()
    calls = [begin(telemetry) for _ in range(3)]
    calls[0].end(measured(outcome="error", error_type="404"), None, answer)

    assert seen.numbers()["ollama.client.active_requests", None] == 2


def test_the_servers_own_metrics_are_opt_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reconstructed: total, total without decoding, decoding of each token after the first."""
    monkeypatch.setenv("OLLAMETER_SERVER_METRICS", " True ")
    seen = Seen()
    telemetry = seen.telemetry()
    call(telemetry, **WHOLE)
    call(telemetry)

    found = {name: n for (name, _), n in seen.numbers().items() if name.startswith("gen_ai.server")}
    assert found == {
        "gen_ai.server.request.duration": 5.0,
        "gen_ai.server.time_to_first_token": 3.0,
        "gen_ai.server.time_per_output_token": 0.2,
    }


def test_the_time_between_chunks_is_opt_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """One record a gap; a gap that is no number is none."""
    plain = Seen()
    begin(plain.telemetry()).end(measured(), None, answer, [0.1, 0.2])
    monkeypatch.setenv("OLLAMETER_CHUNK_METRICS", "true")
    seen = Seen()
    telemetry = seen.telemetry()
    begin(telemetry).end(measured(), None, answer, [1.0, 1.25, 1.75, float("nan"), 3.0, 2.0])
    (point,) = seen.metrics()["gen_ai.client.operation.time_per_output_chunk"].data.data_points

    assert (point.count, point.sum, dict(point.attributes)) == (2, 0.75, ALWAYS)
    assert telemetry.instruments.times_chunks
    assert "gen_ai.client.operation.time_per_output_chunk" not in plain.metrics()


def test_an_applications_views_win() -> None:
    """Buckets are advice."""
    view = View(
        instrument_name=names.OPERATION_DURATION, aggregation=ExplicitBucketHistogramAggregation([1, 2])
    )
    seen = Seen(views=[view])
    call(seen.telemetry())

    (point,) = seen.metrics()[names.OPERATION_DURATION].data.data_points
    assert point.explicit_bounds == (1, 2)


def test_one_set_of_instruments_serves_all_providers_of_a_process(caplog: pytest.LogCaptureFixture) -> None:
    """Made once for each meter provider, without a word from the SDK, and forgotten with it."""
    seen, other = Seen(), Seen()
    with caplog.at_level(logging.DEBUG, logger="opentelemetry"):
        first, second = seen.telemetry(), seen.telemetry()
        call(first)
        call(second)

    assert first.instruments is second.instruments
    assert first.instruments is not other.telemetry().instruments
    assert seen.numbers()["gen_ai.client.operation.duration", None] == 2.0
    assert caplog.text == ""


@pytest.mark.parametrize("make", [NoOpMeterProvider, lambda: MeterProvider([], shutdown_on_exit=False)])
def test_a_meter_provider_is_not_kept_alive(make: Any) -> None:
    """An application may make and drop many (tests do)."""
    provider = make()
    instruments_of(provider)
    gone = weakref.ref(provider)
    del provider
    gc.collect()

    assert gone() is None


def test_the_attributes_of_a_kind_of_call_are_made_once_and_bounded() -> None:
    """A program that calls ever new models does not grow for it."""
    seen = Seen()
    instruments = seen.telemetry().instruments
    first = instruments.dimensions("chat", "m", HOST, PORT)
    assert instruments.dimensions("chat", "m", HOST, PORT) is first

    for i in range(1000):
        instruments.dimensions("chat", f"m{i}", HOST, PORT)

    assert len(instruments._dimensions) <= 256
    assert instruments.dimensions("chat", "m", HOST, PORT).ollama == first.ollama


def test_telemetry_made_by_many_threads_shares_its_instruments() -> None:
    """Whoever comes first makes them."""
    provider = MeterProvider([])
    made: list[Any] = []
    threads = [
        threading.Thread(target=lambda: made.append(Telemetry(meter_provider=provider))) for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert len({id(telemetry.instruments) for telemetry in made}) == 1


def test_a_broken_histogram_costs_no_other(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Each record and count is guarded for itself."""
    seen = Seen()
    telemetry = seen.telemetry()

    def broken(*_: Any) -> None:
        raise RuntimeError("reservoir")

    monkeypatch.setattr(telemetry.instruments._duration, "record", broken)
    monkeypatch.setattr(telemetry.instruments._cold_starts, "add", broken)
    cold = measured(**WHOLE, cold_start=True)
    telemetry.start_call(request(), HOST, PORT, START_NS).end(cold, None, answer)

    assert seen.numbers()["ollama.eval.throughput", None] == 5.0
    assert [
        message for message in ("record", "count") if f"could not {message} a metric" in caplog.text
    ] == [
        "record",
        "count",
    ]


def test_open_calls_of_an_sdk_include_those_of_its_stand_in() -> None:
    """Whoever was made before the SDK reports to the same up-down counter: the sum is shown."""
    program = """
from opentelemetry import metrics
from tests.telemetry.seen import *

seen, early = Seen(), Telemetry(capture_content=None)
metrics.set_meter_provider(seen.meter_provider)
calls = [begin(early), begin(Telemetry()), begin(seen.telemetry())]
print(seen.numbers()["ollama.client.active_requests", None])
for each in calls:
    each.end(measured(**WHOLE), None, answer)
print(seen.numbers()["ollama.client.active_requests", None])
"""
    command = [sys.executable, "-W", "error", "-c", program]
    told = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (told.stdout.split(), told.stderr) == (["3", "0"], "")


def test_kinds_of_calls_beyond_those_remembered_are_counted_while_they_are_open() -> None:
    """A program with ever new model names: what is open is never forgotten, what has ended may be."""
    seen = Seen()
    telemetry = seen.telemetry()
    first = telemetry.start_call(request(model="first"), HOST, PORT, START_NS)
    for number in range(300):
        telemetry.start_call(request(model=f"m{number}"), HOST, PORT, START_NS).end(
            measured(**WHOLE), None, answer
        )

    points = seen.metrics()["ollama.client.active_requests"].data.data_points
    values = {point.attributes["gen_ai.request.model"]: point.value for point in points}
    assert len(values) < 300
    assert values["first"] == 1
    assert values["m299"] == 0
    first.end(measured(**WHOLE), None, answer)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_counts_none_of_its_parents_calls() -> None:
    """They end in the parent, where they are counted on."""
    seen = Seen()
    call = begin(seen.telemetry())
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, str(int(seen.numbers()["ollama.client.active_requests", None])).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as told:
        assert told.read() == "0"
    os.waitpid(child, 0)

    assert seen.numbers()["ollama.client.active_requests", None] == 1
    call.end(measured(**WHOLE), None, answer)
