"""Every rule of `explain()` on both sides of its threshold; what is unknown is never judged."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from ollameter import GpuLoad, HostLoad, ModelFacts, PerformanceMetrics
from ollameter.verdict import RULES

MS = 1_000_000
# Two seconds on an idle machine, of which no rule has anything to say.
CALM: dict[str, Any] = {
    "total_duration": 2000 * MS, "load_duration": 50 * MS, "prompt_eval_count": 100,
    "prompt_eval_cached_count": 0, "prompt_eval_duration": 150 * MS, "eval_count": 91,
    "eval_duration": 1800 * MS, "duration_s": 2.0, "finish_reason": "stop",
}  # fmt: skip
IDLE: dict[str, Any] = {
    "samples": 8, "interval_s": 0.25, "server_is_local": True, "cpu_utilization_mean": 0.4,
    "ollama_cpu_utilization_mean": 0.3, "process_cpu_s": 0.4, "cpu_count": 2,
    "memory_used_bytes_peak": 4 << 30, "memory_total_bytes": 16 << 30, "swap_used_bytes": 1 << 30,
    "memory_stalled_mean": 0.0, "io_stalled_mean": 0.0,
}  # fmt: skip
NVIDIA = {"id": "GPU-1", "name": "NVIDIA L4"}
THROUGHPUT = "; decoded at 50.0 tok/s meanwhile"
REST = "on the server were neither loading, prompt nor decoding"
LOADED = ", or waited for the server's scheduler to do so: a model that is ready takes a fraction of that"
CUT = ": its limit (num_predict) or the context was reached"
FULL = {"memory_used_bytes_peak": 20 << 29, "memory_total_bytes": 20 << 29}
TRUNCATED = "the prompt was probably truncated"
SMALL = ModelFacts(context_length=4096)
MOSTLY_ITS_OWN = "90 % of all processors taken, Ollama 66 %, this process 10 %, others 14 %"
UNSEEN = "; a runner that had just begun may not be counted in full"


def metrics(**numbers: Any) -> PerformanceMetrics:
    """Return the metrics of a calm call, but for these numbers."""
    known: dict[str, Any] = {
        "operation": "chat", "model": "m", "started_at": datetime(2026, 1, 2, tzinfo=UTC),
        "outcome": "completed",
    }  # fmt: skip
    return PerformanceMetrics(**{**known, **CALM, **numbers})


def on(machine: dict[str, Any] | None = None, **numbers: Any) -> dict[str, Any]:
    """Return the numbers of a call beside an idle machine, but for what is given of it."""
    return {"host": HostLoad(**{**IDLE, **(machine or {})}), **numbers}


def gpus(*loads: dict[str, Any], **machine: Any) -> dict[str, Any]:
    """Return a machine with GPUs."""
    return {"gpus": tuple(GpuLoad(**{**NVIDIA, **load}) for load in loads), **machine}


# What is said, of which numbers, and the nearest numbers of which nothing is said.
CASES: dict[str, tuple[str, dict[str, Any], list[dict[str, Any]]]] = {
    "an error": (
        "failed after 2.00 s and 3 chunks: connection_reset",
        {"outcome": "error", "error_type": "connection_reset", "chunks": 3},
        [{}],
    ),
    "an error without a type": (
        "failed after 2.00 s: the cause is unknown",
        {"outcome": "error"},
        [{}],
    ),
    "a truncated answer": (
        "the answer broke off after 2.00 s and 3 chunks, before its end: stream_truncated",
        {"outcome": "truncated", "error_type": "stream_truncated", "chunks": 3},
        [{}],
    ),
    "an abandoned stream": (
        "the reader left after 2.00 s: the server's own figures never came",
        {"outcome": "abandoned", "chunks": 0},
        [{}],
    ),
    "a cancelled call": (
        "was cancelled after 2.00 s: the server's own figures never came",
        {"outcome": "cancelled", "error_type": "cancelled"},
        [{}],
    ),
    "retries": (
        "took 2 attempts: the others were refused, or answered that the server is busy",
        {"attempts": 2},
        [{"attempts": 1}],
    ),
    "a cold load that is known": (
        "loaded the model for 0.15 s: it was not in memory before the call",
        {"cold_start": True, "load_duration": 150 * MS},
        [
            {"cold_start": True, "load_duration": 149 * MS},
            {"cold_start": False, "load_duration": 1000 * MS},
            {"cold_start": None, "load_duration": 150 * MS},
            {"cold_start": True, "load_duration": None},
        ],
    ),
    "a long load": (
        "loaded the model for 0.50 s" + LOADED,
        {"load_duration": 500 * MS},
        [
            {"load_duration": 499 * MS},
            {"load_duration": 500 * MS, "total_duration": 5001 * MS, "eval_duration": 4350 * MS},
            {"load_duration": 500 * MS, "cold_start": False},
            {"load_duration": None},
        ],
    ),
    "a wait for a slot": (
        f"waited for a slot, most likely: 0.30 s of 2.30 s {REST}",
        {"total_duration": 2300 * MS, "duration_s": 2.3},
        [
            {"total_duration": 2199 * MS, "duration_s": 2.2},
            {"total_duration": 3333 * MS, "eval_duration": 2801 * MS, "duration_s": 3.3},
            {"total_duration": 2300 * MS, "duration_s": 2.3, "time_to_first_chunk_s": 0.399},
            {"total_duration": 2300 * MS, "duration_s": 2.3, "eval_duration": None},
            {"total_duration": 2300 * MS, "duration_s": 2.3, "load_duration": None},
            {"total_duration": 2300 * MS, "duration_s": 2.3, "prompt_eval_duration": None},
            {"total_duration": None},
        ],
    ),
    "a wait before a stream's first chunk": (
        f"waited for a slot, most likely: 0.25 s of 2.30 s {REST}",
        {"total_duration": 2300 * MS, "time_to_first_chunk_s": 0.45, "prompt_eval_cached_count": None,
         "duration_s": 2.3},
        [{"total_duration": 2300 * MS, "time_to_first_chunk_s": 0.42, "duration_s": 2.3}],
    ),
    "a wait that may be something else": (
        f"may have waited for a slot, or the server is one before v0.30: 0.30 s of 2.30 s {REST}",
        {"total_duration": 2300 * MS, "duration_s": 2.3, "prompt_eval_cached_count": None},
        [{"total_duration": 2199 * MS, "duration_s": 2.2, "prompt_eval_cached_count": None}],
    ),
    "a slow prompt": (
        "spent 1.00 s of 2.00 s on the prompt: 40 tokens to evaluate at 40 tok/s",
        {"prompt_eval_duration": 1000 * MS, "prompt_eval_cached_count": 60, "prompt_eval_count": 100,
         "eval_duration": 950 * MS, "eval_count": 39},
        [
            {"prompt_eval_duration": 999 * MS, "eval_duration": 951 * MS, "total_duration": 1998 * MS},
            {"prompt_eval_duration": 1000 * MS, "total_duration": 2001 * MS, "eval_duration": 951 * MS},
            {"prompt_eval_duration": None},
            {"prompt_eval_duration": 1000 * MS, "total_duration": None},
        ],
    ),
    "a slow prompt, its cache unknown": (
        "spent 1.00 s of 2.00 s on the prompt: 100 tokens, cached ones included",
        {"prompt_eval_duration": 1000 * MS, "prompt_eval_cached_count": None, "eval_duration": 950 * MS},
        [{"prompt_eval_duration": 999 * MS, "prompt_eval_cached_count": None, "eval_duration": 951 * MS}],
    ),
    "a slow prompt of unknown length": (
        "spent 1.00 s of 2.00 s on the prompt",
        {"prompt_eval_duration": 1000 * MS, "prompt_eval_count": None, "eval_duration": 950 * MS},
        [{"prompt_eval_duration": 999 * MS, "prompt_eval_count": None, "eval_duration": 951 * MS}],
    ),
    "slow decoding": (
        "decoded slowly: 8 tokens at 4.4 tok/s, slower than people read",
        {"eval_count": 8, "eval_duration": 1600 * MS, "total_duration": 1800 * MS},
        [
            {"eval_count": 9, "eval_duration": 1600 * MS, "total_duration": 1800 * MS},
            {"eval_count": 7, "eval_duration": 1600 * MS, "total_duration": 1800 * MS},
            {"eval_count": None},
            {"eval_duration": None},
        ],
    ),
    "a busy box": (
        "busy box: 90 % of all processors taken, Ollama 65 %, this process 10 %, others 15 %" + THROUGHPUT,
        on({"cpu_utilization_mean": 0.9, "ollama_cpu_utilization_mean": 0.65}),
        [
            on({"cpu_utilization_mean": 0.899, "ollama_cpu_utilization_mean": 0.65}),
            on({"cpu_utilization_mean": 0.9, "ollama_cpu_utilization_mean": 0.65, "samples": 3}),
            on({"cpu_utilization_mean": 1.0, "server_is_local": None}),
            on({"cpu_utilization_mean": 1.0, "server_is_local": False}),
            on({"cpu_utilization_mean": None}),
            {"host": None},
        ],
    ),
    "a busy box during a call that loaded": (
        "busy box: 100 % of all processors taken, Ollama 60 %, this process 2 %, others 38 %",
        on({"cpu_utilization_mean": 1.0, "ollama_cpu_utilization_mean": 0.6, "samples": 40},
           duration_s=10.0, load_duration=None, eval_duration=None, total_duration=None),
        [],
    ),
    "a busy box that may be a new runner": (
        "the machine was busy: 100 % of all processors taken, Ollama 61 %, this process 2 %, others 37 %"
        + UNSEEN,
        on({"cpu_utilization_mean": 1.0, "ollama_cpu_utilization_mean": 0.61, "samples": 40},
           duration_s=10.0, load_duration=None, eval_duration=None, total_duration=None),
        [],
    ),
    "Ollama at its limit": (
        f"Ollama itself kept the machine busy: {MOSTLY_ITS_OWN}" + THROUGHPUT,
        on({"cpu_utilization_mean": 0.9, "ollama_cpu_utilization_mean": 0.66}),
        [on({"cpu_utilization_mean": 0.899, "ollama_cpu_utilization_mean": 0.66})],
    ),
    "a busy box whose processors are not counted": (
        "busy box: 95 % of all processors taken, Ollama 30 %, others 65 %" + THROUGHPUT,
        on({"cpu_utilization_mean": 0.95, "cpu_count": None}),
        [],
    ),
    "a busy box, its own share unknown": (
        "busy box: 95 % of all processors taken, Ollama 30 %, others 65 %" + THROUGHPUT,
        on({"cpu_utilization_mean": 0.95, "process_cpu_s": None}),
        [],
    ),
    "busy processors, Ollama not found": (
        "the processors were 95 % busy; Ollama's part of that is not known" + THROUGHPUT,
        on({"cpu_utilization_mean": 0.95, "ollama_cpu_utilization_mean": None}),
        [on({"cpu_utilization_mean": 0.899, "ollama_cpu_utilization_mean": None})],
    ),
    "full memory": (
        "memory was short: 9.5 GiB of 10.0 GiB in use, and 1.0 GiB of swap space",
        on({"memory_used_bytes_peak": 19 << 29, "memory_total_bytes": 20 << 29}),
        [
            on({"memory_used_bytes_peak": (19 << 29) - 1, "memory_total_bytes": 20 << 29}),
            on({"memory_used_bytes_peak": None}),
            on({"memory_used_bytes_peak": 20 << 29, "memory_total_bytes": None}),
            on({**FULL, "server_is_local": False}),
        ],
    ),
    "full memory without swap space": (
        "memory was short: 10.0 GiB of 10.0 GiB in use",
        on({"memory_used_bytes_peak": 10 << 30, "memory_total_bytes": 10 << 30, "swap_used_bytes": None}),
        [],
    ),
    "stalls for want of memory": (
        "memory was short: work stood still for want of it 10 % of the time",
        on({"memory_stalled_mean": 0.1}),
        [on({"memory_stalled_mean": 0.099}), on({"memory_stalled_mean": None})],
    ),
    "slow disks": (
        "the disks were slow: work stood still for them 25 % of the time",
        on({"io_stalled_mean": 0.25}),
        [
            on({"io_stalled_mean": 0.249}),
            on({"io_stalled_mean": None}),
            on({"io_stalled_mean": 1.0, "server_is_local": False}),
        ],
    ),
    "a GPU at its limit": (
        "the GPU was at its limit: NVIDIA L4 95 % busy",
        on(gpus({"utilization_mean": 0.95}, {"utilization_mean": 0.1})),
        [
            on(gpus({"utilization_mean": 0.949})),
            on(gpus({})),
            on(gpus({"utilization_mean": 1.0}, server_is_local=False)),
        ],
    ),
    "a hot GPU": (
        "the GPU was slowed down: NVIDIA L4 (hw_thermal) at up to 91 °C",
        on(gpus({"throttle_reasons": ("power_cap", "hw_thermal"), "temperature_c_peak": 91.0})),
        [
            on(gpus({"throttle_reasons": ("power_cap",), "temperature_c_peak": 91.0})),
            on(gpus({"throttle_reasons": (), "temperature_c_peak": 91.0})),
            on(gpus({"throttle_reasons": None})),
            on(gpus({"throttle_reasons": ("hw_thermal",)}, server_is_local=False)),
        ],
    ),
    "a braked GPU without a thermometer": (
        "the GPU was slowed down: NVIDIA L4 (power_brake)",
        on(gpus({"throttle_reasons": ("power_brake",)})),
        [],
    ),
    "a model that is partly off the GPU": (
        "only 98 % of the model is in the GPU's memory: the rest runs on the processors",
        {"model_info": ModelFacts(vram_share=0.98)},
        [
            {"model_info": ModelFacts(vram_share=0.99)},
            {"model_info": ModelFacts(vram_share=None)},
            {"model_info": None},
        ],
    ),
    "a model that is off the GPU": (
        "the model runs on the processors although there is a GPU: NVIDIA L4",
        on(gpus({}), model_info=ModelFacts(vram_share=0.0)),
        [
            on(model_info=ModelFacts(vram_share=0.0)),
            on(gpus({}, server_is_local=False), model_info=ModelFacts(vram_share=0.0)),
            {"model_info": ModelFacts(vram_share=0.0)},
        ],
    ),
    "a prompt that was cut": (
        f"{TRUNCATED}: the server evaluated 100 tokens of it, in a context of 4096 tokens",
        {"prompt_truncated": True, "model_info": ModelFacts(context_length=4096)},
        [{"prompt_truncated": False}, {"prompt_truncated": None}],
    ),
    "a prompt that was cut, the context unknown": (
        f"{TRUNCATED}: the server evaluated 100 tokens of it",
        {"prompt_truncated": True},
        [],
    ),
    "a prompt that was cut to an unknown length": (
        f"{TRUNCATED}: a context of 4096 tokens",
        {"prompt_truncated": True, "prompt_eval_count": None, "model_info": SMALL},
        [],
    ),
    "an answer that was cut": (
        "the answer was cut off after 91 tokens" + CUT,
        {"finish_reason": "length"},
        [{"finish_reason": "stop"}, {"finish_reason": None}],
    ),
    "an answer of unknown length that was cut": (
        "the answer was cut off" + CUT,
        {"finish_reason": "length", "eval_count": None},
        [],
    ),
    "an answer of one token that was cut": (
        "the answer was cut off after 1 token" + CUT,
        {"finish_reason": "length", "eval_count": 1},
        [],
    ),
    "a full context": (
        "the context is 90 % full: 180 of 200 tokens",
        {"model_info": ModelFacts(context_length=200), "eval_count": 80},
        [
            {"model_info": ModelFacts(context_length=200), "eval_count": 79},
            {"model_info": ModelFacts(context_length=None)},
            {"model_info": ModelFacts(context_length=200), "eval_count": None},
        ],
    ),
    "a cached prompt": (
        "64 of the prompt's 128 tokens came from the server's cache",
        {"prompt_eval_count": 128, "prompt_eval_cached_count": 64},
        [
            {"prompt_eval_count": 129, "prompt_eval_cached_count": 64},
            {"prompt_eval_count": 100, "prompt_eval_cached_count": 63},
            {"prompt_eval_count": 100, "prompt_eval_cached_count": 101},
            {"prompt_eval_count": 100, "prompt_eval_cached_count": None},
            {"prompt_eval_count": None, "prompt_eval_cached_count": 64},
        ],
    ),
    "time outside of the server": (
        "0.50 s of 2.50 s passed outside of the server: connecting, the network or this program",
        {"duration_s": 2.5},
        [
            {"duration_s": 2.499},
            {"duration_s": 5.1, "total_duration": 4600 * MS, "eval_duration": 4400 * MS},
            {"duration_s": 2.5, "total_duration": None},
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_rule_speaks_beyond_its_threshold_and_not_before(case: str) -> None:
    """The sentence is the only one, on one side; on the other, nothing stands out."""
    sentence, beyond, before = CASES[case]

    assert metrics(**beyond).explain() == [sentence]
    for numbers in before:
        assert metrics(**numbers).explain()[0].startswith("nothing stands out: "), numbers


def test_time_outside_of_the_server_names_what_may_be_the_cause() -> None:
    """Attempts that failed and a slow reader, where there were any."""
    said = metrics(duration_s=2.5, attempts=3, streaming=True).explain()

    assert said[-1] == (
        "0.50 s of 2.50 s passed outside of the server: connecting, the network, attempts that failed, "
        "a slow reader of the stream or this program"
    )


def test_sentences_come_in_the_order_in_which_things_happened() -> None:
    """Several may stand out."""
    said = metrics(
        cold_start=True, load_duration=3100 * MS, total_duration=5700 * MS, duration_s=5.7,
        finish_reason="length", **on({"cpu_utilization_mean": 0.98, "samples": 20}),
    ).explain()  # fmt: skip

    assert said == [
        "loaded the model for 3.10 s: it was not in memory before the call",
        f"waited for a slot, most likely: 0.65 s of 5.70 s {REST}",
        "busy box: 98 % of all processors taken, Ollama 30 %, this process 4 %, others 64 %" + THROUGHPUT,
        "the answer was cut off after 91 tokens" + CUT,
    ]


def test_when_nothing_stands_out_that_is_said_with_the_figures() -> None:
    """The call's own line, and how busy the machine was when it is the one that ran the model."""
    calm = metrics()

    assert calm.explain() == [f"nothing stands out: {calm}"]
    assert metrics(**on()).explain() == [f"nothing stands out: {calm}, processors 40 % busy"]
    assert metrics(**on({"server_is_local": False})).explain() == calm.explain()
    assert "50.0 tok/s" in calm.explain()[0]


def test_a_call_of_which_nothing_is_known_is_not_judged() -> None:
    """Nor does anything fail."""
    unknown = {name: None for name in CALM if name != "duration_s"}

    assert len(metrics(**unknown).explain()) == 1
    assert metrics(**unknown, host=HostLoad(samples=0, interval_s=0.25)).explain() == [
        "nothing stands out: chat m: completed in 2.000 s"
    ]


@pytest.mark.parametrize("name", ["duration_s", *CALM.keys() - {"finish_reason", "duration_s"}])
def test_zeros_are_survived(name: str) -> None:
    """A clock that stood still, a server that counts nothing: no division by them."""
    for outcome in ("completed", "error"):
        seen = metrics(**{**CALM, **on({"cpu_utilization_mean": 1.0}), name: 0, "outcome": outcome})

        assert all(isinstance(sentence, str) for sentence in seen.explain())


def test_what_was_kept_as_json_is_explained_alike() -> None:
    """On another machine, a year later."""
    before = metrics(**on({"cpu_utilization_mean": 1.0}), cold_start=True, load_duration=900 * MS)
    after = PerformanceMetrics.from_dict(msgspec.json.decode(before.to_json()))

    assert after.explain() == before.explain()
    assert len(after.explain()) == 2


def test_every_rule_has_its_case() -> None:
    """None is left that no number makes speak."""
    speaking = {rule for rule in RULES for _, beyond, _ in CASES.values() if rule(metrics(**beyond))}

    assert speaking == set(RULES)
