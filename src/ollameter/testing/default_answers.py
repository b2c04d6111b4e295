"""What a fake server answers by itself: Ollama's shapes and words, with a small canned text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from ollameter.testing.answers import (
    Answer,
    chat_lines,
    error_answer,
    generate_lines,
    whole_chat,
    whole_generate,
)

if TYPE_CHECKING:
    from ollameter.testing.fake_ollama import ReceivedRequest

TEXTS = ("Hel", "lo", "!")
_DETAILS = {
    "format": "gguf", "family": "llama", "families": ["llama"],
    "parameter_size": "3.2B", "quantization_level": "Q4_K_M",
}  # fmt: skip
_DIGEST = "a80c4f17acd55265feec403c7aef86be0c25983ab279d83f3bcd3abbcb5b8b72"


def default_answer(request: ReceivedRequest, models: Sequence[str], version: str) -> Answer:
    """Return what a small, well-behaved server would."""
    path = request.path.partition("?")[0]
    if path == "/":
        return _plain(200, "Ollama is running")
    questions = {
        "/api/tags": _tags(models),
        "/api/ps": {"models": []},
        "/api/version": {"version": version},
    }
    if path in questions:
        return _json(questions[path]) if request.method == "GET" else _plain(405, "405 method not allowed")
    if path not in {"/api/chat", "/api/generate", "/api/embed", "/api/show"}:
        return _plain(404, "404 page not found")
    if request.method != "POST":
        return _plain(405, "405 method not allowed")
    return _answer_model(path, request.body, models)


def _answer_model(path: str, body: bytes, models: Sequence[str]) -> Answer:
    if not body:
        return error_answer(400, "missing request body")
    try:
        asked = msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError as error:
        return error_answer(400, str(error))
    model = asked.get("model") or ""
    if model.removesuffix(":latest") not in [name.removesuffix(":latest") for name in models]:
        return error_answer(404, f"model '{model}' not found")
    streamed = asked.get("stream", True)
    if path == "/api/chat":
        return _chat(model, asked, streamed)
    if path == "/api/generate":
        return _generate(model, asked, streamed)
    return _json(_embedded(model, asked) if path == "/api/embed" else _shown())


def _chat(model: str, asked: dict[str, Any], streamed: bool) -> Answer:
    if not asked.get("messages"):
        return _loaded(model, asked, {"message": {"role": "assistant", "content": ""}})
    if streamed:
        return Answer(lines=chat_lines(*TEXTS, model=model))
    return whole_chat("".join(TEXTS), model=model)


def _generate(model: str, asked: dict[str, Any], streamed: bool) -> Answer:
    if not asked.get("prompt"):
        return _loaded(model, asked, {"response": ""})
    if streamed:
        return Answer(lines=generate_lines(*TEXTS, model=model))
    return whole_generate("".join(TEXTS), model=model)


def _loaded(model: str, asked: dict[str, Any], empty: dict[str, Any]) -> Answer:
    reason = "unload" if asked.get("keep_alive") == 0 else "load"
    head = {"model": model, "created_at": "2026-01-02T03:04:05.678901234Z"}
    return _json({**head, **empty, "done": True, "done_reason": reason})


def _embedded(model: str, asked: dict[str, Any]) -> dict[str, Any]:
    given = asked.get("input", [])
    inputs = [given] if isinstance(given, str) else given
    numbers = {"total_duration": 40_000, "load_duration": 10_000, "prompt_eval_count": 4}
    return {"model": model, "embeddings": [[0.6, 0.8] for _ in inputs], **numbers}


def _shown() -> dict[str, Any]:
    info = {"general.architecture": "llama", "llama.context_length": 131072}
    return {"details": _DETAILS, "model_info": info, "capabilities": ["completion", "tools"]}


def _tags(models: Sequence[str]) -> dict[str, Any]:
    return {
        "models": [
            {
                "name": name, "model": name, "modified_at": "2026-01-02T03:04:05.678901234+01:00",
                "size": 2019393189, "digest": _DIGEST, "details": _DETAILS,
            }
            for name in models
        ]
    }  # fmt: skip


def _json(content: dict[str, Any]) -> Answer:
    kind = {"Content-Type": "application/json; charset=utf-8"}
    return Answer(headers=kind, body=msgspec.json.encode(content), framing="length")


def _plain(status: int, text: str) -> Answer:
    kind = {"Content-Type": "text/plain; charset=utf-8"}
    return Answer(status=status, headers=kind, body=text.encode(), framing="length")
