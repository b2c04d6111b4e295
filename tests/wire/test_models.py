"""What a server says of its models becomes records; a strange detail costs nobody the rest."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from ollameter import InvalidResponse, ModelDetails, ModelInfo, RunningModel
from ollameter.wire.availability import availability, near_names
from ollameter.wire.models import (
    listed_models,
    model_details,
    model_names,
    running_models,
    version_text,
)

DETAILS = {"family": "llama", "families": None, "quantization_level": "Q4_K_M"}


def test_a_listed_model_has_ollamas_own_fields() -> None:
    """And the object itself; times with Go's nanoseconds are read to the microsecond."""
    sent = {
        "name": "a:1", "model": "a:1", "modified_at": "2026-01-02T03:04:05.678901234+01:00", "size": 7,
        "digest": "d", "details": DETAILS, "capabilities": ["completion"], "remote_model": "b",
        "remote_host": "https://ollama.com", "runner": "x",
    }  # fmt: skip

    assert listed_models({"models": [sent]}) == [
        ModelInfo(
            name="a:1", model="a:1", size=7, digest="d", details=DETAILS, capabilities=("completion",),
            modified_at=datetime(2026, 1, 2, 3, 4, 5, 678901, timezone(timedelta(hours=1))),
            remote_model="b", remote_host="https://ollama.com", raw=sent,
        )
    ]  # fmt: skip


def test_a_running_model_has_ollamas_own_fields() -> None:
    """One that is kept for ever expires in three hundred years."""
    sent = {
        "name": "a:1", "model": "a:1", "size": 7, "digest": "d", "details": DETAILS,
        "expires_at": "2318-01-02T03:04:05Z", "size_vram": 0, "context_length": 4096,
    }  # fmt: skip

    assert running_models({"models": [sent]}) == [
        RunningModel(
            name="a:1", model="a:1", size=7, size_vram=0, digest="d", details=DETAILS,
            expires_at=datetime(2318, 1, 2, 3, 4, 5, tzinfo=UTC), context_length=4096, raw=sent,
        )
    ]  # fmt: skip


def test_the_details_of_a_model_have_ollamas_own_fields() -> None:
    """What older servers send as null is empty; a zero time of Go's is a time."""
    sent = {
        "license": "l", "modelfile": "m", "parameters": "stop x", "template": "t", "system": "s",
        "renderer": "r", "parser": "p", "details": DETAILS, "messages": [{"role": "user"}],
        "remote_model": "b", "remote_host": "h", "model_info": {"llama.context_length": 8, "x": None},
        "projector_info": {"k": 1}, "tensors": None, "capabilities": ["tools"],
        "modified_at": "0001-01-01T00:00:00Z", "requires": "0.30.0", "thinking": {"default": True},
    }  # fmt: skip

    assert model_details(sent) == ModelDetails(
        license="l", modelfile="m", parameters="stop x", template="t", system="s", renderer="r",
        parser="p", details=DETAILS, messages=({"role": "user"},), remote_model="b", remote_host="h",
        model_info={"llama.context_length": 8, "x": None}, projector_info={"k": 1},
        capabilities=("tools",), modified_at=datetime(1, 1, 1, tzinfo=UTC), requires="0.30.0",
        thinking={"default": True}, raw=sent,
    )  # fmt: skip


def test_a_strange_field_is_left_out_and_stays_in_raw() -> None:
    """Whatever its type, and however large a number is."""
    sent = {"name": "a", "size": "big", "details": [1], "modified_at": "yesterday", "capabilities": 3}

    assert listed_models({"models": [sent]}) == [ModelInfo(name="a", raw=sent)]
    assert model_details({"details": "x", "thinking": 1}).details == {}


def test_model_names_are_read_or_refused() -> None:
    """Older servers name a model by `model` as well; no models is an empty list."""
    assert model_names({"models": [{"name": "a:1"}, {"model": "b"}]}) == ["a:1", "b"]
    assert model_names({}) == model_names({"models": None}) == []
    wrong: dict[str, Any]
    for wrong in ({"models": 3}, {"models": [{}]}, {"models": ["x"]}):
        with pytest.raises(InvalidResponse):
            model_names(wrong)
    with pytest.raises(InvalidResponse, match="version"):
        version_text({})


@pytest.mark.parametrize(
    ("model", "there"),
    [(None, True), ("a", True), ("a:latest", True), ("b:1", True), ("b", False), ("x/a", False)],
)
def test_a_name_without_a_tag_means_latest(model: str | None, there: bool) -> None:
    """As Ollama resolves names."""
    assert bool(availability(["a:latest", "b:1"], model)) is there


@pytest.mark.parametrize(
    "model",
    ["LLAMA3.2", "library/llama3.2", "registry.ollama.ai/library/llama3.2:latest", "llama3.2:latest"],
)
def test_names_are_compared_as_ollama_resolves_them(model: str) -> None:
    """Its own registry and library go without saying, and capitals do not count."""
    assert availability(["llama3.2:latest"], model)


HAS = ["llama3.2:latest", "qwen3:0.6b", "qwen3:4b", "smollm2:135m", "hf.co/x/Gemma-3-GGUF:Q4_K_M", "a"]


@pytest.mark.parametrize(
    ("wanted", "near"),
    [
        ("llama3", ("llama3.2:latest",)),
        ("lama3.2", ("llama3.2:latest",)),
        ("llama3.2:1b", ("llama3.2:latest",)),
        ("qwen3", ("qwen3:0.6b", "qwen3:4b")),
        ("qwen3:8b", ("qwen3:0.6b", "qwen3:4b")),
        ("smollm", ("smollm2:135m",)),
        ("smollm2:360m", ("smollm2:135m",)),
        ("llama3.2", ()),
        ("mistral", ()),
        ("x" * 1000, ()),
    ],
)
def test_near_names_are_those_one_may_have_meant(wanted: str, near: tuple[str, ...]) -> None:
    """By the whole name or without its tag; not the model itself."""
    assert near_names(wanted, HAS) == near


def test_at_most_three_names_are_near_and_a_strange_server_costs_little() -> None:
    """Of a million long names the first two hundred are looked at."""
    assert len(near_names("m", [f"m:{i}" for i in range(10)])) == 3
    names = ["m" * 5000] * 100_000
    begun = time.perf_counter()
    near_names("m" * 5000, names)

    assert time.perf_counter() - begun < 1
