"""Whether a model is among those a server has, by the rule that a name without a tag means latest."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher

import msgspec

_NEAR = 0.6
_LOOKED_AT = 200  # names, of at most so many letters: a strange server must not keep us busy
_LONGEST = 100


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
    return Availability(
        available=False,
        reason=reason,
        model=model,
        near_names=near_names(model, names),
        models=tuple(names),
    )


def resolved(model: str) -> str:
    """Return a name as Ollama looks it up: without its defaults, with a tag, capitals made small."""
    name = model.casefold().removeprefix("registry.ollama.ai/").removeprefix("library/")
    return name if ":" in name.rsplit("/", 1)[-1] else f"{name}:latest"


def is_remote(model: str) -> bool:
    """Whether a name stands for a model at ollama.com, which no server lists before its first use."""
    return model.endswith((":cloud", "-cloud"))


def near_names(model: str, names: Sequence[str]) -> tuple[str, ...]:
    """Return up to three other names that resemble a model's, the nearest first."""
    wanted = _forms(model)
    others = [name for name in names[:_LOOKED_AT] if resolved(name) != resolved(model)]
    near = [(max(_likeness(a, b) for a in wanted for b in _forms(name)), name) for name in others]
    near = sorted((pair for pair in near if pair[0] >= _NEAR), key=lambda pair: -pair[0])
    return tuple(name for _, name in near[:3])


def _forms(name: str) -> set[str]:
    """Return a name as one may have meant it: as it is, and without its tag."""
    name = resolved(name)[-_LONGEST:].removesuffix(":latest")
    return {name, name.rpartition(":")[0] or name}


def _likeness(a: str, b: str) -> float:
    compared = SequenceMatcher(None, a, b)
    if min(compared.real_quick_ratio(), compared.quick_ratio()) < _NEAR:
        return 0.0
    return compared.ratio()
