"""The endpoints that describe the server and its model."""

import hashlib
import importlib.metadata
import re
from datetime import UTC, datetime, timedelta

import pytest
import requests

from ollameter.embedded import EmbeddedOllama
from ollameter.embedded.model import find_model_file
from tests.embedded.calls import chat, whole

DETAILS = {
    "parent_model": "",
    "format": "gguf",
    "family": "llama",
    "families": ["llama"],
    "parameter_size": "134.52M",
    "quantization_level": "Q4_1",
}


def test_the_root_answers_as_ollama_does(embedded: EmbeddedOllama, http: requests.Session) -> None:
    """GET says that it runs; HEAD says so with headers alone."""
    got, headed = http.get(embedded.base_url), http.head(embedded.base_url)

    assert (got.status_code, got.text) == (200, "Ollama is running")
    assert (headed.status_code, headed.text, headed.headers["Content-Length"]) == (200, "", "17")


def test_the_version_is_plainly_not_ollamas(embedded: EmbeddedOllama, http: requests.Session) -> None:
    """It names this server and the engine's own version."""
    answer = http.get(embedded.base_url + "/api/version").json()

    engine = importlib.metadata.version("xllamacpp")
    assert answer == {"version": f"0.0.0-ollameter-embedded+xllamacpp-{engine}"}


def test_tags_lists_the_one_model_with_its_files_facts(
    embedded: EmbeddedOllama, http: requests.Session
) -> None:
    """Digest, size and date are the file's; the details are read from its header."""
    (model,) = http.get(embedded.base_url + "/api/tags").json()["models"]

    file = find_model_file()
    modified_at = datetime.fromisoformat(model.pop("modified_at"))
    assert abs(modified_at.timestamp() - file.stat().st_mtime) < 0.001
    assert model == {
        "name": "smollm2:135m",
        "model": "smollm2:135m",
        "size": file.stat().st_size,
        "digest": hashlib.sha256(file.read_bytes()).hexdigest(),
        "details": DETAILS | {"context_length": 8192, "embedding_length": 576},
        "capabilities": ["completion"],
    }


def test_show_gives_the_headers_keys_and_leaves_its_lists_out(
    embedded: EmbeddedOllama, http: requests.Session
) -> None:
    """Lists are null unless asked for; the template and the license are fields of their own."""
    url = embedded.base_url + "/api/show"
    short = http.post(url, json={"model": embedded.model}).json()
    full = http.post(url, json={"model": embedded.model, "verbose": True}).json()

    info = short["model_info"]
    assert {key: info[key] for key in ("general.architecture", "llama.context_length")} == {
        "general.architecture": "llama",
        "llama.context_length": 8192,
    }
    assert info["general.parameter_count"] == 134_515_008
    assert info["tokenizer.ggml.tokens"] is None
    assert len(full["model_info"]["tokenizer.ggml.tokens"]) == info["llama.vocab_size"]
    assert (short["details"], short["capabilities"]) == (DETAILS, ["completion"])
    assert short["license"] == "apache-2.0"
    assert "<|im_start|>" in short["template"]


def test_ps_lists_the_model_while_it_is_loaded(embedded: EmbeddedOllama, http: requests.Session) -> None:
    """It is in main memory, with the context it really has, until its time is over."""
    before = datetime.now(UTC)
    whole(
        http, embedded, "/api/chat", chat(embedded, num_predict=1, keep_alive="1h", options={"num_ctx": 64})
    )
    (model,) = http.get(embedded.base_url + "/api/ps").json()["models"]

    expires_at = datetime.fromisoformat(model.pop("expires_at"))
    assert timedelta(minutes=59) < expires_at - before < timedelta(minutes=62)
    assert re.fullmatch(r"[0-9a-f]{64}", model.pop("digest"))
    assert model == {
        "name": "smollm2:135m",
        "model": "smollm2:135m",
        "size": find_model_file().stat().st_size,
        "details": DETAILS,
        "size_vram": 0,
        "context_length": 4096,
    }


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("GET", "/api/nowhere", 404, "404 page not found"),
        ("GET", "/api/chat", 405, "405 method not allowed"),
        ("PUT", "/api/tags", 405, "405 method not allowed"),
    ],
)
def test_an_unknown_path_or_method_is_refused_in_plain_text(
    embedded: EmbeddedOllama, http: requests.Session, method: str, path: str, status: int, text: str
) -> None:
    """As Ollama's router does."""
    response = http.request(method, embedded.base_url + path)

    assert (response.status_code, response.text) == (status, text)
    assert response.headers["Content-Type"] == "text/plain"


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("localhost:1234", 200),
        ("[::1]:1234", 200),
        ("box.local", 200),
        ("8.8.8.8", 403),
        ("evil.example", 403),
    ],
)
def test_a_foreign_host_header_is_refused_with_an_empty_body(
    embedded: EmbeddedOllama, http: requests.Session, host: str, status: int
) -> None:
    """Otherwise a web page that rebinds its own name could call the server."""
    response = http.get(embedded.base_url + "/api/version", headers={"Host": host})

    assert response.status_code == status
    assert (response.text == "") == (status == 403)
