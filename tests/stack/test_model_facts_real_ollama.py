"""What is said of models and prompts, beside real servers of both generations."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ollameter import OllamaProvider
from ollameter.host.monitor import HostMonitor
from ollameter.metrics import ModelFacts
from ollameter.testing import CapturedTelemetry
from ollameter.verdict.call import COLD_LOAD_S
from tests.stack.loopback import fetch_json
from tests.stack.servers import RealOllama

CONTEXT = 512
SENTENCE = "The quick brown fox jumps over the lazy dog near the river bank. "  # 14 tokens, 13 words
BRIEF = {"num_predict": 2, "temperature": 0, "seed": 1}


@pytest.fixture(scope="module", params=["ollama_prefix", "ollama_legacy_prefix"])
def ollama(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RealOllama]:
    """A server of each generation, whose models have a short context."""
    prefix = request.getfixturevalue(request.param)
    env = {"OLLAMA_CONTEXT_LENGTH": str(CONTEXT)}
    with RealOllama(prefix, folder=tmp_path_factory.mktemp("ollama"), env=env) as server:
        yield server


@pytest.fixture
def monitor() -> HostMonitor:
    """A monitor of the test's own."""
    return HostMonitor()


@pytest.fixture
def llm(ollama: RealOllama, captured: CapturedTelemetry, monitor: HostMonitor) -> Iterator[OllamaProvider]:
    """A provider of the server, observed; no model is in memory."""
    unload(ollama)
    with OllamaProvider(
        ollama.base_url, model=ollama.model, host_monitor=monitor, **captured.providers
    ) as provider:
        yield provider


def until(condition: Callable[[], object], within_s: float = 60.0) -> None:
    """Wait for a condition, not longer than a bound."""
    deadline_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline_s, "it did not come true in time"
        time.sleep(0.02)


def loaded(server: RealOllama) -> list[dict[str, Any]]:
    """Return what the server has in memory, asked beside the library."""
    models: list[dict[str, Any]] = fetch_json(f"{server.base_url}/api/ps")["models"]
    return models


def unload(server: RealOllama) -> None:
    """Have the model leave memory, asked beside the library."""
    fetch_json(f"{server.base_url}/api/generate", {"model": server.model, "keep_alive": 0})
    until(lambda: not loaded(server))


def sees(llm: OllamaProvider, *names: str) -> bool:
    """Return whether the background's last look saw just these models."""
    latest = llm._models.latest
    return latest is not None and latest.loaded.keys() == set(names)


def ask(llm: OllamaProvider, **fields: Any) -> Any:
    """Return the metrics of a short generation."""
    options = {**BRIEF, **fields.pop("options", {})}
    return llm.generate(fields.pop("prompt", "Hello"), options=options, **fields).metrics


def test_a_cold_call_is_told_from_a_warm_one(
    llm: OllamaProvider, ollama: RealOllama, captured: CapturedTelemetry
) -> None:
    """By looks in the background alone, also when somebody else unloads the model; counted."""
    until(lambda: sees(llm))
    first, second = ask(llm), ask(llm)
    until(lambda: sees(llm, ollama.model))
    unload(ollama)
    until(lambda: sees(llm))
    third = ask(llm)

    assert [metrics.cold_start for metrics in (first, second, third)] == [True, False, True]
    assert min(first.load_s, third.load_s) > 0.15 > second.load_s
    assert [point.value for point in captured.metric("ollama.client.cold_starts").points] == [2]


def test_a_first_call_whose_model_is_seen_loading_was_cold(llm: OllamaProvider, ollama: RealOllama) -> None:
    """Nobody looked before; a look while it was being loaded does."""
    seen_loading = []
    asking = threading.Thread(target=lambda: seen_loading.append(ask(llm)))
    asking.start()
    while asking.is_alive() and not seen_loading:
        llm.running()
    asking.join()
    (metrics,) = seen_loading

    assert metrics.load_s > 0.15
    assert metrics.cold_start is True
    assert metrics.model_info is not None
    assert metrics.model_info.context_length == CONTEXT


def test_the_facts_are_what_the_server_says(
    llm: OllamaProvider, ollama: RealOllama, captured: CapturedTelemetry
) -> None:
    """Of `/api/ps` and `/api/show`, on metrics and span."""
    ask(llm)
    until(lambda: sees(llm, ollama.model))
    metrics = ask(llm)
    (listed,) = loaded(ollama)
    shown = fetch_json(f"{ollama.base_url}/api/show", {"model": ollama.model})["details"]

    assert metrics.model_info == ModelFacts(
        digest=listed["digest"],
        quantization=shown["quantization_level"],
        parameter_size=shown["parameter_size"],
        family=shown["family"],
        context_length=listed["context_length"],
        vram_share=listed["size_vram"] / listed["size"],
    )
    assert metrics.model_info.context_length == CONTEXT
    attributes = captured.spans[-1].attributes
    assert attributes["ollama.model.digest"] == listed["digest"]
    assert attributes["ollama.model.quantization"] == shown["quantization_level"]
    assert attributes["ollama.model.parameter_size"] == shown["parameter_size"]
    assert attributes["ollama.model.family"] == shown["family"]
    assert attributes["ollama.model.context_length"] == CONTEXT
    assert attributes["ollama.model.vram_share"] == 0.0


def test_a_changed_num_ctx_is_in_force_at_once_or_unknown(
    llm: OllamaProvider, ollama: RealOllama, caplog: pytest.LogCaptureFixture
) -> None:
    """Never the old length for a call that was answered with the new one; the reload is said."""
    calls = []
    for num_ctx in (256, 256, 384, 384):
        calls.append(ask(llm, options={"num_ctx": num_ctx}))
        llm.running()
    (listed,) = loaded(ollama)

    in_force = [call.model_info and call.model_info.context_length for call in calls]
    for call, seen, sent in zip(calls, in_force, (256, 256, 384, 384), strict=True):
        # A warm call that took as long as a load is no proof of what was listed before it.
        as_long_as_a_load = call.load_s is None or call.load_s >= COLD_LOAD_S
        assert seen == sent or (seen is None and as_long_as_a_load)
    assert listed["context_length"] == 384
    said = [record.getMessage() for record in caplog.records if record.name == "ollameter"]
    assert said == [f"model {ollama.model}: it was loaded again for other options than before: num_ctx"]


@pytest.mark.parametrize("is_first", [True, False])
def test_a_prompt_of_four_contexts_is_suspected_and_one_that_fits_is_not(
    is_first: bool, llm: OllamaProvider, ollama: RealOllama, caplog: pytest.LogCaptureFixture
) -> None:
    """With the context length known by a look, and in the first call, which knows nothing."""
    if not is_first:
        ask(llm)
        until(lambda: sees(llm, ollama.model))
    long = ask(llm, prompt=SENTENCE * (4 * CONTEXT // 14))
    fits = ask(llm, prompt=SENTENCE * (CONTEXT // 2 // 14))

    assert (long.prompt_truncated, fits.prompt_truncated) == (True, False), (long, fits)
    assert long.prompt_eval_count <= CONTEXT
    assert fits.prompt_eval_count < CONTEXT
    said = [record.getMessage() for record in caplog.records if record.name == "ollameter"]
    assert len([text for text in said if "probably cut" in text]) == 1


def test_a_chat_of_four_contexts_is_suspected_and_one_that_fits_is_not(
    llm: OllamaProvider, captured: CapturedTelemetry
) -> None:
    """The server drops its oldest messages."""
    roles = ("user", "assistant")
    turns = [{"role": roles[i % 2], "content": SENTENCE * 5} for i in range(4 * CONTEXT // 70 + 1)]
    turns = turns[: len(turns) // 2 * 2 - 1]
    long = llm.chat(turns, options=BRIEF).metrics
    fits = llm.chat(turns[-3:], options=BRIEF).metrics

    assert (long.prompt_truncated, fits.prompt_truncated) == (True, False), (long, fits)
    assert captured.spans[0].attributes["ollama.prompt.truncation_suspected"] is True
    assert "ollama.prompt.truncation_suspected" not in captured.spans[1].attributes


def test_the_gauge_shows_what_the_model_takes(
    llm: OllamaProvider, ollama: RealOllama, captured: CapturedTelemetry, monitor: HostMonitor
) -> None:
    """On GPUs and in the host's memory, and nothing once the model has left."""
    ask(llm)
    until(lambda: sees(llm, ollama.model))
    until(lambda: (now := monitor.latest()) and any(now.models.values()))
    (listed,) = loaded(ollama)
    host, _, port = ollama.address("http").rpartition(":")
    points = {
        point.attributes["ollama.memory.location"]: (point.value, point.attributes)
        for point in captured.metric("ollama.model.memory.usage").points
    }

    where = {"server.address": host, "server.port": int(port), "gen_ai.request.model": ollama.model}
    on_gpus, in_all = listed["size_vram"], listed["size"]
    assert points == {
        "gpu": (on_gpus, {**where, "ollama.memory.location": "gpu"}),
        "host": (in_all - on_gpus, {**where, "ollama.memory.location": "host"}),
    }
    unload(ollama)
    until(lambda: sees(llm))
    until(lambda: (now := monitor.latest()) and not any(now.models.values()))
