"""Whether a model is among those a server has, by the rule that a name without a tag means latest."""

from __future__ import annotations

import msgspec


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


def availability(names: list[str], model: str | None) -> Availability:
    """Say whether a model is among the names; a name without a tag means `:latest`."""
    if model is None:
        return Availability(available=True, reason="the server answers", models=tuple(names))
    if resolved(model) in map(resolved, names):
        reason = "the server has the model"
        return Availability(available=True, reason=reason, model=model, models=tuple(names))
    reason = f"the server answers, but has no model {model!r}"
    return Availability(available=False, reason=reason, model=model, models=tuple(names))


def resolved(model: str) -> str:
    """Return a name as Ollama looks it up: without its defaults, with a tag, capitals made small."""
    name = model.casefold().removeprefix("registry.ollama.ai/").removeprefix("library/")
    return name if ":" in name.rsplit("/", 1)[-1] else f"{name}:latest"
