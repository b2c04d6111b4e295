"""What a server lists of a model, as the facts of a call."""

from __future__ import annotations

import pytest

from ollameter.metrics import ModelFacts
from ollameter.wire.facts import facts_in_force, facts_of
from ollameter.wire.models import RunningModel, running_models

# As Ollama 0.33.3 lists smollm2:135m.
LISTED = {
    "name": "smollm2:135m", "model": "smollm2:135m", "size": 160222411,
    "digest": "fd5f44c0b5aff6453726119fc560d73a8a995a55b4a49804bc24b1969ecf1794",
    "details": {
        "parent_model": "", "format": "gguf", "family": "llama", "families": ["llama"],
        "parameter_size": "134.52M", "quantization_level": "Q4_1",
    },
    "expires_at": "2026-11-26T08:59:35.837189567Z", "size_vram": 40055602, "context_length": 2048,
}  # fmt: skip


def running(**changes: object) -> RunningModel:
    """Return the record of a listed model."""
    return running_models({"models": [{**LISTED, **changes}]})[0]


def test_a_running_model_has_every_fact() -> None:
    """With the context length in force and the share of its memory on GPUs."""
    digest = "fd5f44c0b5aff6453726119fc560d73a8a995a55b4a49804bc24b1969ecf1794"
    stays = ModelFacts(digest=digest, quantization="Q4_1", parameter_size="134.52M", family="llama")

    assert facts_of(running()) == stays
    assert facts_in_force(running()) == ModelFacts(
        digest=digest, quantization="Q4_1", parameter_size="134.52M", family="llama",
        context_length=2048, vram_share=40055602 / 160222411,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "share"),
    [
        ({"size_vram": 0}, 0.0),
        ({"size_vram": 160222411}, 1.0),
        ({"size_vram": None}, None),
        ({"size": 0, "size_vram": 0}, None),
        ({"size_vram": 160222412}, None),
        ({"size_vram": -1}, None),
    ],
)
def test_a_share_is_between_nothing_and_all(changes: dict[str, object], share: float | None) -> None:
    """Anything else is unknown."""
    assert facts_in_force(running(**changes)).vram_share == share


def test_what_the_server_leaves_empty_is_unknown() -> None:
    """Never an empty text, never a context of 0."""
    bare = running(digest="", details={"family": "", "parameter_size": 7}, context_length=0, size_vram=None)

    assert facts_in_force(bare) == ModelFacts()
