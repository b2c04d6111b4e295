"""What the server says of its models and itself, as records with Ollama's own field names."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeVar

import msgspec

from ollameter.errors import InvalidResponse

# A field that was not sent, or not with the documented type, has its default; `raw` has it as sent.


class ModelInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A model that the server has, as `/api/tags` lists it; `size` in bytes.

    `details` holds `family`, `parameter_size`, `quantization_level` and more as sent; `remote_*`
    are set for a model that runs elsewhere. None, or empty: the server did not say.
    """

    name: str
    model: str | None = None
    modified_at: datetime | None = None
    size: int | None = None
    digest: str | None = None
    details: dict[str, Any] = msgspec.field(default_factory=dict)
    capabilities: tuple[str, ...] = ()
    remote_model: str | None = None
    remote_host: str | None = None
    raw: dict[str, Any] = msgspec.field(default_factory=dict)


class RunningModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model in memory, as `/api/ps` lists it; `size` and `size_vram` in bytes.

    `size_vram / size` is the share on GPUs: 0 without one. `context_length` is the one in force,
    in tokens. None, or empty: the server did not say.
    """

    name: str
    model: str | None = None
    size: int | None = None
    size_vram: int | None = None
    digest: str | None = None
    details: dict[str, Any] = msgspec.field(default_factory=dict)
    expires_at: datetime | None = None
    context_length: int | None = None
    raw: dict[str, Any] = msgspec.field(default_factory=dict)


class ModelDetails(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about one model, as `/api/show` tells it.

    `parameters` is text, one a line; `model_info` has the GGUF's own keys, the context length of
    the training among them. None, or empty: the server did not say.
    """

    license: str | None = None
    modelfile: str | None = None
    parameters: str | None = None
    template: str | None = None
    system: str | None = None
    renderer: str | None = None
    parser: str | None = None
    details: dict[str, Any] = msgspec.field(default_factory=dict)
    messages: tuple[dict[str, Any], ...] = ()
    remote_model: str | None = None
    remote_host: str | None = None
    model_info: dict[str, Any] = msgspec.field(default_factory=dict)
    projector_info: dict[str, Any] = msgspec.field(default_factory=dict)
    tensors: tuple[dict[str, Any], ...] = ()
    capabilities: tuple[str, ...] = ()
    modified_at: datetime | None = None
    requires: str | None = None
    thinking: dict[str, Any] = msgspec.field(default_factory=dict)
    raw: dict[str, Any] = msgspec.field(default_factory=dict)


def listed_models(answer: dict[str, Any]) -> list[ModelInfo]:
    """Return the models in an answer of `/api/tags`, as the server orders them: newest first."""
    return [_record(ModelInfo, model, name=_name(model)) for model in _models(answer)]


def running_models(answer: dict[str, Any]) -> list[RunningModel]:
    """Return the models in an answer of `/api/ps`."""
    return [_record(RunningModel, model, name=_name(model)) for model in _models(answer)]


def model_details(answer: dict[str, Any]) -> ModelDetails:
    """Return an answer of `/api/show`."""
    return _record(ModelDetails, answer)


def model_names(answer: dict[str, Any]) -> list[str]:
    """Return the names in an answer of `/api/tags`, as the server orders them: newest first."""
    return [_name(model) for model in _models(answer)]


def version_text(answer: dict[str, Any]) -> str:
    """Return the version in an answer of `/api/version`; a plain source build says 0.0.0."""
    version = answer.get("version")
    if not isinstance(version, str):
        raise InvalidResponse("the server sent no `version`")
    return version


def _models(answer: dict[str, Any]) -> list[Any]:
    models = answer.get("models")
    if models is not None and not isinstance(models, list):
        raise InvalidResponse("the server sent `models` that is no list")
    return models or []


def _name(model: Any) -> str:
    """Return the name of a model, which older servers call `model`."""
    name = (model.get("name") or model.get("model")) if isinstance(model, dict) else None
    if not isinstance(name, str):
        raise InvalidResponse("the server sent a model without a `name`")
    return name


_Record = TypeVar("_Record", ModelInfo, RunningModel, ModelDetails)


def _record(kind: type[_Record], sent: dict[str, Any], **known: Any) -> _Record:
    found: dict[str, Any] = {}
    for field in msgspec.structs.fields(kind):
        try:
            if field.name in sent:
                found[field.name] = msgspec.convert(sent[field.name], field.type)
        except msgspec.ValidationError:
            pass  # a strange detail costs nobody the rest
    return kind(**{**found, **known, "raw": sent})
