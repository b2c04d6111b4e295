"""The real Ollama: that it is the one we asked for, answers, and leaves nothing behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psutil

from tests.stack.aftermath import left_running
from tests.stack.loopback import fetch_json
from tests.stack.servers import RealOllama
from tests.stack.versions import read_versions

MEASURED_BY_ALL = {
    "total_duration",
    "load_duration",
    "prompt_eval_count",
    "prompt_eval_duration",
    "eval_count",
    "eval_duration",
}
QUESTION = [{"role": "user", "content": "Name a colour."}]


def chat(server: RealOllama) -> dict[str, Any]:
    """Ask for a few tokens, always the same ones."""
    options = {"num_predict": 8, "temperature": 0, "seed": 1}
    body = {"model": server.model, "messages": QUESTION, "stream": False, "options": options}
    answer = fetch_json(f"{server.base_url}/api/chat", body)
    assert isinstance(answer, dict)
    return answer


def integers(answer: dict[str, Any]) -> dict[str, int]:
    """Pick what was measured; `done` is no number."""
    return {name: value for name, value in answer.items() if type(value) is int}


def test_the_server_has_the_version_that_was_asked_for(real_ollama: RealOllama) -> None:
    """A build without the version stamped in would say 0.0.0."""
    assert real_ollama.version == read_versions()["ollama"]["version"]


def test_a_chat_ends_with_every_number(real_ollama: RealOllama) -> None:
    """All that the current generation measures is there, as integers."""
    chat(real_ollama)  # the second call finds the model loaded and the prompt cached

    answer = chat(real_ollama)

    assert answer["done"] is True
    assert answer["done_reason"] == "length"
    assert answer["message"]["content"]
    numbers = integers(answer)
    assert numbers.keys() == {*MEASURED_BY_ALL, "prompt_eval_cached_count"}
    assert numbers["eval_count"] == 8
    assert 0 < numbers["prompt_eval_cached_count"] < numbers["prompt_eval_count"]
    assert numbers["total_duration"] > numbers["eval_duration"] > 0


def test_a_stopped_server_leaves_no_process_and_starts_again(ollama_prefix: Path) -> None:
    """The process that runs the model ends with the one that started it."""
    with RealOllama(ollama_prefix) as server:
        assert chat(server)["done"]
        main = psutil.Process(server.pid)
        tree = [main.pid, *(child.pid for child in main.children(recursive=True))]
        assert len(tree) >= 2
        address = server.base_url

        server.stop()

        assert left_running(tree) == []
        server.start()
        assert server.base_url == address
        assert chat(server)["done"]


def test_deleting_a_model_does_not_touch_the_installed_one(ollama_prefix: Path) -> None:
    """Each server has models of its own, though the weights are on disk once."""

    def blobs() -> dict[str, int]:
        folder = ollama_prefix / "models" / "blobs"
        return {path.name: path.stat().st_size for path in folder.iterdir()}

    before = blobs()
    with RealOllama(ollama_prefix) as server:
        tags = f"{server.base_url}/api/tags"
        assert [model["name"] for model in fetch_json(tags)["models"]] == [server.model]

        copied = {"source": server.model, "destination": "other"}
        fetch_json(f"{server.base_url}/api/copy", copied)
        for name in (server.model, "other"):
            fetch_json(f"{server.base_url}/api/delete", {"model": name}, method="DELETE")

        assert fetch_json(tags)["models"] == []
    assert blobs() == before


def test_an_absent_models_folder_means_no_models(ollama_prefix: Path, tmp_path: Path) -> None:
    """A test of an empty server needs no other build."""
    with RealOllama(ollama_prefix, models=tmp_path / "absent") as server:
        assert fetch_json(f"{server.base_url}/api/tags") == {"models": []}


def test_the_legacy_server_answers_without_the_cached_count(ollama_legacy_prefix: Path) -> None:
    """The older generation runs the same model and measures one thing less."""
    with RealOllama(ollama_legacy_prefix) as server:
        assert server.version == read_versions()["ollama-legacy"]["version"]

        answer = chat(server)

    assert answer["done"] is True
    assert integers(answer).keys() == MEASURED_BY_ALL
