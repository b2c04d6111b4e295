"""Without a script the fake server is a small, well-behaved Ollama."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from ollameter.testing import FakeOllama

MODEL = {"model": "llama3.2"}
HI: dict[str, Any] = {**MODEL, "messages": [{"role": "user", "content": "Hi"}]}


@pytest.fixture
def session() -> Iterator[requests.Session]:
    """One connection, kept alive."""
    with requests.Session() as session:
        yield session


def test_it_tells_what_it_is_and_has(fake: FakeOllama, session: requests.Session) -> None:
    """Every endpoint that is asked with GET, over one connection."""
    listed = session.get(fake.base_url + "/api/tags").json()["models"]

    assert session.get(fake.base_url + "/").text == "Ollama is running"
    assert session.get(fake.base_url + "/api/version?x=1").json() == {"version": "0.33.3"}
    assert [model["name"] for model in listed] == ["llama3.2"]
    assert listed[0]["details"]["quantization_level"] == "Q4_K_M"
    assert session.get(fake.base_url + "/api/ps").json() == {"models": []}
    assert session.head(fake.base_url + "/api/version").status_code == 200
    assert fake.connections_opened == 1


def test_it_shows_a_model(fake: FakeOllama, session: requests.Session) -> None:
    """With what it is capable of and its context length."""
    shown = session.post(fake.base_url + "/api/show", json=MODEL).json()

    assert shown["capabilities"] == ["completion", "tools"]
    assert shown["model_info"]["llama.context_length"] == 131072


@pytest.mark.parametrize(
    ("path", "asked"), [("/api/chat", HI), ("/api/generate", {**MODEL, "prompt": "Hi"})]
)
def test_it_streams_unless_told_not_to(
    path: str, asked: dict[str, Any], fake: FakeOllama, session: requests.Session
) -> None:
    """The same text and numbers either way; the server's time is within the client's."""
    begun = time.perf_counter_ns()
    streamed = session.post(fake.base_url + path, json=asked)
    lasted_ns = time.perf_counter_ns() - begun
    lines = [json.loads(line) for line in streamed.content.splitlines()]
    whole = session.post(fake.base_url + path, json={**asked, "stream": False})

    assert "".join(map(text, lines)) == text(whole.json()) == "Hello!"
    assert {**lines[-1], "message": 0, "response": 0} == {**whole.json(), "message": 0, "response": 0}
    assert lines[-1]["total_duration"] <= lasted_ns
    assert [answer.headers["Content-Type"] for answer in (streamed, whole)] == [
        "application/x-ndjson",
        "application/json; charset=utf-8",
    ]


def text(line: dict[str, Any]) -> str:
    """Return the text of a chat or a generation."""
    return str(line["response"] if "response" in line else line["message"]["content"])


def test_it_embeds_one_vector_an_input(fake: FakeOllama, session: requests.Session) -> None:
    """Of length one; nothing is measured without an input."""
    url = fake.base_url + "/api/embed"
    one = session.post(url, json={**MODEL, "input": "x"}).json()

    assert (one["embeddings"], one["prompt_eval_count"]) == ([[0.6, 0.8]], 4)
    assert len(session.post(url, json={**MODEL, "input": ["x", "y"]}).json()["embeddings"]) == 2
    assert session.post(url, json=MODEL).json() == {"model": "llama3.2", "embeddings": []}


@pytest.mark.parametrize("path", ["/api/chat", "/api/generate"])
def test_it_loads_and_unloads_on_an_empty_prompt(
    path: str, fake: FakeOllama, session: requests.Session
) -> None:
    """Without numbers; what is loaded is listed as running."""
    url, ps = fake.base_url + path, fake.base_url + "/api/ps"
    loaded = session.post(url, json=MODEL).json()

    assert (loaded["done"], loaded["done_reason"], "total_duration" in loaded) == (True, "load", False)
    assert [model["name"] for model in session.get(ps).json()["models"]] == ["llama3.2"]
    assert session.post(url, json={**MODEL, "keep_alive": 0}).json()["done_reason"] == "unload"
    assert session.get(ps).json() == {"models": []}


def test_it_pulls_a_model_that_it_has_from_then_on(fake: FakeOllama, session: requests.Session) -> None:
    """In lines or as the last one alone."""
    url, new = fake.base_url + "/api/pull", {"model": "qwen3:0.6b"}
    progress = [json.loads(line) for line in session.post(url, json=new).content.splitlines()]

    assert [progress[0]["status"], progress[-1]["status"]] == ["pulling manifest", "success"]
    assert progress[3]["completed"] == progress[3]["total"]
    assert session.post(url, json={**new, "stream": False}).json() == {"status": "success"}
    assert fake.models == ["llama3.2", "qwen3:0.6b"]
    assert session.post(fake.base_url + "/api/show", json=new).status_code == 200


def test_a_name_without_a_tag_means_the_latest(session: requests.Session) -> None:
    """In what is asked and in what the server has."""
    with FakeOllama(models=["a:latest", "b"]) as fake:
        for name in ("a", "a:latest", "b", "b:latest"):
            assert session.post(fake.base_url + "/api/show", json={"model": name}).status_code == 200
        assert session.post(fake.base_url + "/api/show", json={"model": "a:1b"}).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "asked", "status", "error"),
    [
        ("POST", "/api/chat", b"", 400, "missing request body"),
        ("POST", "/api/chat", b"{", 400, "unexpected EOF"),
        ("POST", "/api/chat", b"{]", 400, "invalid character"),
        ("POST", "/api/chat", {**MODEL, "messages": "Hi"}, 400, "json: cannot unmarshal"),
        ("POST", "/api/chat", {"model": "x"}, 404, "model 'x' not found"),
        ("POST", "/api/generate", {"model": "x"}, 404, "model 'x' not found"),
        ("POST", "/api/embed", {"model": "x"}, 404, 'model "x" not found, try pulling it first'),
        ("POST", "/api/chat", {}, 400, "model is required"),
        ("POST", "/api/show", {}, 400, "model is required"),
        ("POST", "/api/generate", {}, 404, "model '' not found"),
        ("POST", "/api/chat", {**HI, "think": "much"}, 400, 'invalid think value: "much"'),
        ("POST", "/api/chat", {**HI, "format": "xml"}, 500, 'invalid format: "xml"; expected "json"'),
        ("POST", "/api/chat", {**HI, "options": {"temperature": "hot"}}, 500,
         'option "temperature" must be of type float32'),
        ("POST", "/api/chat", {**HI, "options": {"top_k": True}}, 500,
         'option "top_k" must be of type integer'),
        ("POST", "/api/chat", {**HI, "options": {"stop": "x"}}, 500,
         'option "stop" must be of type array'),
    ],
)  # fmt: skip
def test_it_refuses_in_ollamas_words(
    method: str, path: str, asked: Any, status: int, error: str, fake: FakeOllama
) -> None:
    """A JSON object with an error and nothing else."""
    sent = asked if isinstance(asked, bytes) else json.dumps(asked)
    answer = requests.request(method, fake.base_url + path, data=sent, timeout=5)

    assert answer.status_code == status
    assert list(answer.json()) == ["error"]
    assert error in answer.json()["error"]


@pytest.mark.parametrize(
    ("method", "path", "status", "said"),
    [
        ("GET", "/nowhere", 404, "404 page not found"),
        ("GET", "/api/chat", 405, "405 method not allowed"),
        ("POST", "/api/tags", 405, "405 method not allowed"),
    ],
)
def test_an_unknown_path_or_method_is_refused_in_plain_text(
    method: str, path: str, status: int, said: str, fake: FakeOllama
) -> None:
    """Which is no JSON."""
    answer = requests.request(method, fake.base_url + path, timeout=5)

    assert (answer.status_code, answer.text) == (status, said)
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    "more",
    [{"format": "json"}, {"format": {}}, {"think": True}, {"options": {"top_k": 4, "unheard": "of"}}],
)
def test_what_ollama_accepts_is_accepted(more: dict[str, Any], fake: FakeOllama) -> None:
    """Unknown options too."""
    assert requests.post(fake.base_url + "/api/chat", json={**HI, **more}, timeout=5).status_code == 200
