"""What a fake server answers by itself: Ollama's shapes and words, with a small canned text."""

from __future__ import annotations

from functools import cache
from typing import Any

from ollameter.testing.answers import (
    CREATED_AT,
    Answer,
    chat_lines,
    error_answer,
    generate_lines,
    json_answer,
    whole_chat,
    whole_generate,
)
from ollameter.testing.questions import Asked, Refused, read_question
from ollameter.testing.received import ReceivedRequest

TEXTS = ("Hel", "lo", "!")
_TEXT = "".join(TEXTS)
_SILENT_CHAT = {"message": {"role": "assistant", "content": ""}}
_SIZE_BYTES = 2_019_393_189
_DIGEST = "a80c4f17acd55265feec403c7aef86be0c25983ab279d83f3bcd3abbcb5b8b72"
_MODIFIED_AT = "2026-01-02T03:04:05.678901234+01:00"
_EXPIRES_AT = "2318-01-02T03:04:05.678901234Z"
_CAPABILITIES = ["completion", "tools"]
_DETAILS = {
    "parent_model": "", "format": "gguf", "family": "llama", "families": ["llama"],
    "parameter_size": "3.2B", "quantization_level": "Q4_K_M",
}  # fmt: skip
_SHOWN = {
    "modelfile": "FROM llama3.2", "template": "{{ .Prompt }}", "details": _DETAILS,
    "model_info": {"general.architecture": "llama", "llama.context_length": 131072},
    "capabilities": _CAPABILITIES, "modified_at": _MODIFIED_AT,
}  # fmt: skip
_LAYER = {"status": f"pulling {_DIGEST[:12]}", "digest": f"sha256:{_DIGEST}", "total": _SIZE_BYTES}
_PULLED: list[dict[str, Any]] = [
    {"status": "pulling manifest"}, _LAYER, {**_LAYER, "completed": _SIZE_BYTES // 2},
    {**_LAYER, "completed": _SIZE_BYTES}, {"status": "verifying sha256 digest"},
    {"status": "writing manifest"}, {"status": "success"},
]  # fmt: skip
_QUESTIONS = ("/", "/api/version", "/api/tags", "/api/ps")
_COMMANDS = ("/api/chat", "/api/generate", "/api/embed", "/api/show", "/api/pull")


class DefaultAnswers:
    """Answers as a small, well-behaved server; `models` grows with every pull."""

    def __init__(self, models: list[str], version: str) -> None:
        self._models = models
        self._version = version
        self._running: dict[str, None] = {}

    def answer(self, request: ReceivedRequest) -> Answer:
        """Return what the server says to a request."""
        path = request.path.partition("?")[0]
        if path not in _QUESTIONS + _COMMANDS:
            return _plain(404, "404 page not found")
        if request.method not in (("GET", "HEAD") if path in _QUESTIONS else ("POST",)):
            return _plain(405, "405 method not allowed")
        if path in _QUESTIONS:
            return self._tell(path)
        try:
            return self._do(path, read_question(path, request.body))
        except Refused as refused:
            return error_answer(refused.status, refused.text)

    def _tell(self, path: str) -> Answer:
        if path == "/":
            return _plain(200, "Ollama is running")
        if path == "/api/version":
            return json_answer({"version": self._version})
        if path == "/api/tags":
            return json_answer({"models": [_listed(model) for model in list(self._models)]})
        return json_answer({"models": [_running(model) for model in list(self._running)]})

    def _do(self, path: str, asked: Asked) -> Answer:
        model = asked.model
        if path == "/api/pull":
            return self._pull(asked)
        if _tagged(model) not in map(_tagged, self._models):
            raise Refused(404, _missing(path, model))
        if path == "/api/show":
            return json_answer(_SHOWN)
        self._keep(asked)
        if path == "/api/embed":
            return json_answer(_embedded(model, len(asked.inputs)))
        if path == "/api/chat":
            return _chat(model, asked.streamed) if asked.messages else _loaded(asked, _SILENT_CHAT)
        return _generate(model, asked.streamed) if asked.prompt else _loaded(asked, {"response": ""})

    def _keep(self, asked: Asked) -> None:
        if asked.unloads:
            self._running.pop(asked.model, None)
        else:
            self._running[asked.model] = None

    def _pull(self, asked: Asked) -> Answer:
        if asked.model not in self._models:
            self._models.append(asked.model)
        return Answer(lines=_PULLED) if asked.streamed else json_answer(_PULLED[-1])


# The same few answers again and again: a long run does not encode them each time.
@cache
def _chat(model: str, streamed: bool) -> Answer:
    return Answer(lines=chat_lines(*TEXTS, model=model)) if streamed else whole_chat(_TEXT, model=model)


@cache
def _generate(model: str, streamed: bool) -> Answer:
    if streamed:
        return Answer(lines=generate_lines(*TEXTS, model=model))
    return whole_generate(_TEXT, model=model)


def _loaded(asked: Asked, silence: dict[str, Any]) -> Answer:
    head = {"model": asked.model, "created_at": CREATED_AT}
    return json_answer(
        {**head, **silence, "done": True, "done_reason": "unload" if asked.unloads else "load"}
    )


def _embedded(model: str, inputs: int) -> dict[str, Any]:
    """Return one vector an input; without any, nothing was measured."""
    counted = {"prompt_eval_count": 4 * inputs} if inputs else {}
    times = {"total_duration": 40_000, "load_duration": 10_000} if inputs else {}
    return {"model": model, "embeddings": [[0.6, 0.8]] * inputs, **times, **counted}


def _missing(path: str, model: str) -> str:
    if path == "/api/embed":
        return f'model "{model}" not found, try pulling it first'
    return f"model '{model}' not found"


def _tagged(model: str) -> str:
    return model if ":" in model else f"{model}:latest"


def _listed(model: str) -> dict[str, Any]:
    return {**_named(model), "modified_at": _MODIFIED_AT, "capabilities": _CAPABILITIES}


def _running(model: str) -> dict[str, Any]:
    memory = {"size_vram": 0, "context_length": 4096}
    return {**_named(model), "expires_at": _EXPIRES_AT, **memory}


def _named(model: str) -> dict[str, Any]:
    return {"name": model, "model": model, "size": _SIZE_BYTES, "digest": _DIGEST, "details": _DETAILS}


def _plain(status: int, text: str) -> Answer:
    kind = {"Content-Type": "text/plain; charset=utf-8"}
    return Answer(status=status, headers=kind, body=text.encode(), framing="length")
