"""What is refused, with Ollama's status and words."""

import json
from typing import Any

import pytest
import requests

from ollameter.embedded import EmbeddedOllama
from tests.embedded.calls import SKY, exchange

NAME = "smollm2:135m"
THINK = '"high", "medium", "low", "max", true, or false'
FIELD = "json: cannot unmarshal {} into Go struct field {} of type {}"
TOO_LONG = [{"role": "user", "content": "word " * 6000}]

TABLE: list[tuple[str, Any, int, str]] = [
    ("chat", b"", 400, "missing request body"),
    ("generate", b" \n", 400, "missing request body"),
    ("show", b"", 400, "missing request body"),
    ("chat", b'{"model":', 400, "unexpected EOF"),
    ("chat", b"{model}", 400, "invalid character 'm' looking for beginning of value"),
    ("chat", b'{"model":NaN}', 400, "invalid character 'N' looking for beginning of value"),
    ("chat", b"[" * 100_000, 400, "exceeded max depth"),
    ("chat", b'{"model":"\xff"}', 400, "invalid model name"),
    ("chat", b"[]", 400, "json: cannot unmarshal array into Go value"),
    ("chat", {"model": 1}, 400, FIELD.format("number", "ChatRequest.model", "string")),
    ("chat", {"stream": "no"}, 400, FIELD.format("string", "ChatRequest.stream", "bool")),
    ("chat", {"messages": "hi"}, 400, FIELD.format("string", "ChatRequest.messages", "[]api.Message")),
    ("chat", {"messages": ["hi"]}, 400, FIELD.format("string", "ChatRequest.messages", "api.Message")),
    (
        "chat",
        {"messages": [{"role": "user", "content": ["hi"]}]},
        400,
        FIELD.format("array", "ChatRequest.messages.content", "string"),
    ),
    ("generate", {"prompt": {}}, 400, FIELD.format("object", "GenerateRequest.prompt", "string")),
    ("chat", {"model": ""}, 400, "model is required"),
    ("generate", {"model": ""}, 404, "model '' not found"),
    ("show", {"model": ""}, 400, "model is required"),
    ("chat", {"model": "a b"}, 400, "invalid model name"),
    ("chat", {"model": "nobody"}, 404, "model 'nobody' not found"),
    ("generate", {"model": "smollm2"}, 404, "model 'smollm2' not found"),
    ("show", {"model": "nobody:1b"}, 404, "model 'nobody:1b' not found"),
    ("embed", {"model": "nobody"}, 404, 'model "nobody" not found, try pulling it first'),
    (
        "embed",
        {"input": "hi"},
        501,
        "This server does not support embeddings. Start it with `--embeddings`",
    ),
    ("chat", {"think": True}, 400, f'"{NAME}" does not support thinking'),
    ("chat", {"think": "low"}, 400, f'"{NAME}" does not support thinking'),
    ("chat", {"think": "much"}, 400, f'invalid think value: "much" (must be {THINK})'),
    ("chat", {"think": 1}, 400, f"think must be a boolean or string ({THINK})"),
    ("chat", {"tools": [{}]}, 400, f"registry.ollama.ai/library/{NAME} does not support tools"),
    ("generate", {"suffix": "x"}, 400, f"registry.ollama.ai/library/{NAME} does not support insert"),
    ("chat", {"keep_alive": "5"}, 400, 'time: missing unit in duration "5"'),
    ("chat", {"keep_alive": "-1"}, 400, 'time: missing unit in duration "-1"'),
    ("chat", {"keep_alive": "5y"}, 400, 'time: unknown unit "y" in duration "5y"'),
    ("chat", {"keep_alive": "soon"}, 400, 'time: invalid duration "soon"'),
    ("chat", {"keep_alive": []}, 400, "Unsupported type: 'array'"),
    ("chat", {"options": {"temperature": "hot"}}, 500, 'option "temperature" must be of type float32'),
    ("chat", {"options": {"top_k": True}}, 500, 'option "top_k" must be of type integer'),
    (
        "chat",
        b'{"model":"smollm2:135m","options":{"min_p":1e999}}',
        500,
        'option "min_p" must be of type float32',
    ),
    ("chat", {"options": {"num_ctx": "4k"}}, 500, 'option "num_ctx" must be of type integer'),
    ("chat", {"options": {"use_mmap": 1}}, 500, 'option "use_mmap" must be of type boolean'),
    ("chat", {"options": {"stop": "."}}, 500, 'option "stop" must be of type array'),
    ("chat", {"options": {"stop": [1]}}, 500, 'option "stop" must be of an array of strings'),
    (
        "chat",
        {"format": "xml"},
        500,
        'invalid format: "\\"xml\\""; expected "json" or a valid JSON Schema object',
    ),
    (
        "generate",
        {"raw": True, "system": "x"},
        400,
        "raw mode does not support template, system, or context",
    ),
    ("generate", {"context": [1]}, 400, 'the embedded server does not offer "context"'),
    (
        "generate",
        {"raw": True, "format": "json"},
        400,
        'the embedded server does not offer "format with raw"',
    ),
    ("chat", {"logprobs": True}, 400, 'the embedded server does not offer "logprobs"'),
    (
        "chat",
        {"messages": [{"role": "user", "content": "", "images": ["aGk="]}]},
        400,
        'the embedded server does not offer "images"',
    ),
    ("pull", {}, 501, "the embedded server does not offer /api/pull"),
]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("endpoint", "body", "status", "text"), TABLE)
def test_a_refusal_has_ollamas_status_and_words(
    embedded: EmbeddedOllama,
    http: requests.Session,
    endpoint: str,
    body: Any,
    status: int,
    text: str,
    stream: bool,
) -> None:
    """An error before the first line has a status of its own, streamed or not."""
    if isinstance(body, dict):
        base = {"model": NAME, "prompt": "hi", "stream": stream}
        body = json.dumps(base | ({"messages": SKY} if endpoint == "chat" else {}) | body)

    response = http.post(f"{embedded.base_url}/api/{endpoint}", data=body)

    assert (response.status_code, response.json()) == (status, {"error": text})
    assert response.headers["Content-Type"].startswith("application/json")


def test_a_number_of_thousands_of_digits_is_refused(
    embedded: EmbeddedOllama, http: requests.Session
) -> None:
    """Python would rather not convert it."""
    body = b'{"options":{"seed":' + b"1" * 5000 + b"}}"
    response = http.post(f"{embedded.base_url}/api/chat", data=body)

    assert response.status_code == 400


@pytest.mark.parametrize("schema", [{"type": "nonsense"}, {"$ref": "#/nowhere"}, {"enum": []}])
def test_a_schema_that_the_engine_cannot_enforce_is_refused(
    embedded: EmbeddedOllama, http: requests.Session, schema: Any
) -> None:
    """The engine's own words follow Ollama's."""
    body = {"model": NAME, "prompt": "hi", "format": schema}
    response = http.post(f"{embedded.base_url}/api/generate", json=body)

    assert response.status_code == 500
    assert response.json()["error"].startswith("invalid format: JSON schema error at #: ")


def test_a_prompt_longer_than_the_context_is_refused_with_json_in_the_text(
    embedded: EmbeddedOllama, http: requests.Session
) -> None:
    """As Ollama passes on what its engine says, when it may not truncate."""
    body = {"model": NAME, "messages": TOO_LONG, "truncate": False, "shift": False}
    response = http.post(f"{embedded.base_url}/api/chat", json=body)

    error = json.loads(response.json()["error"])["error"]
    assert response.status_code == 400
    assert (error["type"], error["n_ctx"]) == ("exceed_context_size_error", 4096)
    assert error["n_prompt_tokens"] > 4096


def test_a_value_that_the_engine_refuses_is_passed_on(
    embedded: EmbeddedOllama, http: requests.Session
) -> None:
    """What the engine says about a message or an option is the error's text."""
    body = {"model": NAME, "messages": SKY, "options": {"repeat_penalty": -3.0, "top_p": 9.0}}
    response = http.post(f"{embedded.base_url}/api/chat", json=body)

    assert response.status_code == 400
    assert response.json()["error"]


@pytest.mark.parametrize(
    "header", ["Content-Length: -1", "Content-Length: x", "Transfer-Encoding: chunked"]
)
def test_a_body_without_a_readable_length_closes_the_connection(
    embedded: EmbeddedOllama, header: str
) -> None:
    """Where the next request would begin is unknown."""
    answer = exchange(embedded, f"POST /api/chat HTTP/1.1\r\n{header}\r\n\r\nnonsense\r\n\r\n".encode())

    assert answer.startswith(b"HTTP/1.1 400 ")
