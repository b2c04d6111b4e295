"""Every derived number has its formula, and its None."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from ollameter import GpuLoad, HostLoad, ModelFacts, PerformanceMetrics

STARTED = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def metrics(**numbers: Any) -> PerformanceMetrics:
    """Return metrics of a completed call with these numbers."""
    known: dict[str, Any] = {
        "operation": "chat", "model": "m", "started_at": STARTED, "outcome": "completed",
        "duration_s": 6.0,
    }  # fmt: skip
    return PerformanceMetrics(**{**known, **numbers})


WHOLE: dict[str, Any] = {
    "model_info": ModelFacts(digest="abc", context_length=82, vram_share=0.5),
    "total_duration": 5_000_000_000, "load_duration": 1_000_000_000, "prompt_eval_count": 30,
    "prompt_eval_cached_count": 10, "prompt_eval_duration": 500_000_000, "eval_count": 11,
    "eval_duration": 2_000_000_000,
}  # fmt: skip

# A derived number, its value for WHOLE, and what makes it unknown when it is missing.
DERIVED: dict[str, tuple[float, list[str]]] = {
    "input_tokens": (30, ["prompt_eval_count"]),
    "output_tokens": (11, ["eval_count"]),
    "total_tokens": (41, ["prompt_eval_count", "eval_count"]),
    "context_utilization": (0.5, ["prompt_eval_count", "eval_count", "model_info"]),
    "tokens_per_second": (5.0, ["eval_count", "eval_duration"]),
    "prompt_tokens_per_second": (
        40.0, ["prompt_eval_count", "prompt_eval_cached_count", "prompt_eval_duration"]),
    "time_per_output_token_s": (0.2, ["eval_count", "eval_duration"]),
    "load_s": (1.0, ["load_duration"]),
    "prompt_eval_s": (0.5, ["prompt_eval_duration"]),
    "eval_s": (2.0, ["eval_duration"]),
    "total_s": (5.0, ["total_duration"]),
    "unattributed_s": (
        1.5, ["total_duration", "load_duration", "prompt_eval_duration", "eval_duration"]),
    "client_overhead_s": (1.0, ["total_duration"]),
}  # fmt: skip


@pytest.mark.parametrize("name", DERIVED)
def test_a_derived_number_follows_its_formula(name: str) -> None:
    """On numbers that make it easy to see."""
    assert getattr(metrics(**WHOLE), name) == DERIVED[name][0]


@pytest.mark.parametrize(
    ("name", "part"), [(n, part) for n, (_, parts) in DERIVED.items() for part in parts]
)
def test_a_derived_number_is_unknown_when_a_part_is(name: str, part: str) -> None:
    """None, never 0."""
    assert getattr(metrics(**{**WHOLE, part: None}), name) is None


@pytest.mark.parametrize(
    "numbers",
    [
        {"eval_count": 1, "eval_duration": 1000},
        {"eval_count": 0, "eval_duration": 5_000_000},
        {"eval_count": 5, "eval_duration": 0},
        {"eval_count": 2, "eval_duration": 1000},
    ],
)
def test_a_rate_below_two_tokens_or_without_time_is_unknown(numbers: dict[str, int]) -> None:
    """One token took no steps; 1000 ns is what newer servers say for no time at all."""
    assert metrics(**numbers).tokens_per_second is None
    assert metrics(**numbers).time_per_output_token_s is None


def test_a_prompt_rate_needs_time_and_a_sensible_cache() -> None:
    """No time, or more cached than there was: unknown."""
    assert metrics(**{**WHOLE, "prompt_eval_duration": 0}).prompt_tokens_per_second is None
    assert metrics(**{**WHOLE, "prompt_eval_cached_count": 31}).prompt_tokens_per_second is None


def test_the_unattributed_time_is_never_negative() -> None:
    """Several clocks can disagree by a little."""
    assert metrics(**{**WHOLE, "total_duration": 1}).unattributed_s == 0


def test_metrics_are_frozen_equal_by_value_and_no_key() -> None:
    """Two objects of the same numbers are equal; none can be changed or hashed."""
    assert metrics(**WHOLE) == metrics(**WHOLE) != metrics()
    with pytest.raises(AttributeError):
        metrics().duration_s = 1.0  # type: ignore[misc]  # that it fails is the point
    with pytest.raises(TypeError, match="unhashable"):
        hash(metrics())


def full() -> PerformanceMetrics:
    """Return metrics in which nothing is unknown."""
    return metrics(
        **WHOLE,
        extra={"peak_memory": 7},
        host=HostLoad(samples=3, interval_s=0.25, gpus=(GpuLoad(id="0", name="G"),)),
        cold_start=True,
        prompt_truncated=False,
    )


def test_metrics_survive_json() -> None:
    """There and back; derived and unknown keys are ignored on the way back."""
    data = json.loads(full().to_json())

    assert data["started_at"] == "2026-01-02T03:04:05.678901Z"
    assert data["tokens_per_second"] == 5.0
    assert data["host"]["gpus"][0]["name"] == "G"
    assert PerformanceMetrics.from_dict({**data, "brand_new": 1}) == full()
    assert full().to_dict() == data


def test_a_wrong_type_is_refused_by_name() -> None:
    """The error says which field."""
    with pytest.raises(msgspec.ValidationError, match="duration_s"):
        PerformanceMetrics.from_dict({**metrics().to_dict(), "duration_s": "long"})


def test_metrics_print_as_one_readable_line() -> None:
    """What is unknown is not shown."""
    assert str(metrics()) == "chat m: completed in 6.000 s"
    assert str(metrics(**WHOLE)) == (
        "chat m: completed in 6.000 s, load 1.000 s, prompt 30 tok, in 0.500 s, output 11 tok, "
        "in 2.000 s, 5.0 tok/s, unattributed 1.500 s"
    )
