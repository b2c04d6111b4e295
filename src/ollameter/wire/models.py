"""What the server says of its models and itself, as records; what it must have said, or our error."""

from __future__ import annotations

from typing import Any

import msgspec

from ollameter.errors import InvalidResponse


class Availability(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a server (and a model on it) can be called: true or false, with the reason.

    `models` are the names the server has, None when it could not be asked; `near_names` are
    those that resemble a model it lacks.
    """

    available: bool
    reason: str
    model: str | None = None
    near_names: tuple[str, ...] = ()
    models: tuple[str, ...] | None = None

    def __bool__(self) -> bool:
        return self.available


def model_names(answer: dict[str, Any]) -> list[str]:
    """Return the names in an answer of `/api/tags`, as the server orders them: newest first."""
    models = answer.get("models")
    if models is None:
        return []
    if not isinstance(models, list):
        raise InvalidResponse("the server sent `models` that is no list")
    return [_name(model) for model in models]


def version_text(answer: dict[str, Any]) -> str:
    """Return the version in an answer of `/api/version`; a plain source build says 0.0.0."""
    version = answer.get("version")
    if not isinstance(version, str):
        raise InvalidResponse("the server sent no `version`")
    return version


def availability(names: list[str], model: str | None) -> Availability:
    """Say whether a model is among the names; a name without a tag means `:latest`."""
    if model is None:
        return Availability(available=True, reason="the server answers", models=tuple(names))
    wanted = model if ":" in model.rsplit("/", 1)[-1] else f"{model}:latest"
    if model in names or wanted in names:
        reason = "the server has the model"
        return Availability(available=True, reason=reason, model=model, models=tuple(names))
    reason = f"the server answers, but has no model {model!r}"
    return Availability(available=False, reason=reason, model=model, models=tuple(names))


def _name(model: Any) -> str:
    name = (model.get("name") or model.get("model")) if isinstance(model, dict) else None
    if not isinstance(name, str):
        raise InvalidResponse("the server sent a model without a `name`")
    return name
