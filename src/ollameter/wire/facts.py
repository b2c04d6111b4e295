"""What `/api/tags` and `/api/ps` say of a model, as the facts that metrics carry."""

from __future__ import annotations

from typing import Any

import msgspec

from ollameter.metrics import ModelFacts
from ollameter.wire.models import ModelInfo, RunningModel


def facts_of(model: ModelInfo | RunningModel) -> ModelFacts:
    """Return what stays true of a model as long as its digest: nothing about how it is loaded."""
    details = model.details
    return ModelFacts(
        digest=_text(model.digest),
        quantization=_text(details.get("quantization_level")),
        parameter_size=_text(details.get("parameter_size")),
        family=_text(details.get("family")),
    )


def facts_in_force(model: RunningModel) -> ModelFacts:
    """Return also how it is loaded: the context length in force, and its share on GPUs."""
    return msgspec.structs.replace(
        facts_of(model), context_length=model.context_length or None, vram_share=_vram_share(model)
    )


def _vram_share(model: RunningModel) -> float | None:
    size, on_gpus = model.size, model.size_vram
    if on_gpus is None or size is None or size <= 0 or not 0 <= on_gpus <= size:
        return None
    return on_gpus / size


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
