"""Data becomes attributes of exact types; what is unknown becomes nothing."""

from __future__ import annotations

from typing import Any

import pytest

from ollameter import HostLoad, ModelFacts
from ollameter.messages import Request
from ollameter.telemetry import names
from ollameter.telemetry.attributes import end_attributes, is_number, start_attributes
from tests.test_metrics import metrics


def started(**body: Any) -> dict[str, Any]:
    """Return the start attributes of a chat with this body, but for those every call has."""
    request = Request(operation="chat", path="/api/chat", model="m", stream=False, body=body)
    always = {names.OPERATION_NAME, names.PROVIDER_NAME, names.REQUEST_MODEL}
    always |= {names.SERVER_ADDRESS, names.SERVER_PORT}
    return {k: v for k, v in start_attributes(request, "h", 1).items() if k not in always}


@pytest.mark.parametrize(
    ("body", "attributes"),
    [
        ({}, {}),
        ({"options": {"num_predict": -1, "seed": True, "top_p": "x", "stop": []}}, {}),
        ({"options": {"num_predict": 5}}, {"gen_ai.request.max_tokens": 5}),
        ({"keep_alive": "5m"}, {"ollama.request.keep_alive": "5m"}),
        ({"keep_alive": 0}, {"ollama.request.keep_alive": "0"}),
        ({"think": False}, {"ollama.request.think": "false"}),
        ({"think": "high"}, {"ollama.request.think": "high"}),
        ({"format": {"type": "object"}}, {"gen_ai.output.type": "json"}),
    ],
)  # fmt: skip
def test_settings_are_told_as_sent(body: dict[str, Any], attributes: dict[str, Any]) -> None:
    """And left out when they say nothing."""
    assert started(**body) == attributes


def test_the_machine_and_the_model_are_told_when_they_are_known() -> None:
    """Each under its own name; unknown parts are left out."""
    host = HostLoad(
        samples=4, interval_s=0.25, cpu_utilization_mean=0.5, cpu_utilization_peak=0.75,
        memory_used_bytes_mean=1, memory_used_bytes_peak=2, ollama_cpu_utilization_mean=0.25,
    )  # fmt: skip
    facts = ModelFacts(
        digest="d", quantization="Q4", parameter_size="1B", family="llama", context_length=8, vram_share=0.0
    )
    described = end_attributes(metrics(host=host, model_info=facts, cold_start=False))

    assert described == {
        "ollameter.outcome": "completed", "ollama.cold_start": False,
        "ollameter.host.cpu.utilization": 0.5, "ollameter.host.cpu.utilization.peak": 0.75,
        "ollameter.host.memory.usage": 1, "ollameter.host.memory.usage.peak": 2,
        "ollameter.host.ollama.cpu.utilization": 0.25, "ollameter.host.samples": 4,
        "ollama.model.digest": "d", "ollama.model.quantization": "Q4",
        "ollama.model.parameter_size": "1B", "ollama.model.family": "llama",
        "ollama.model.context_length": 8, "ollama.model.vram_share": 0.0,
    }  # fmt: skip
    assert end_attributes(metrics(host=HostLoad(samples=0, interval_s=1), model_info=ModelFacts())) == {
        "ollameter.outcome": "completed",
        "ollameter.host.samples": 0,
    }


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (1, True), (0.5, True), (True, False), ("1", False), (None, False), (float("nan"), False),
        (float("inf"), False),
    ],
)  # fmt: skip
def test_only_finite_numbers_are_recorded(value: object, number: bool) -> None:
    """True is no 1."""
    assert is_number(value) is number
