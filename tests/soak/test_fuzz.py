"""What is made up in bulk raises nothing but our errors: more of it with `python -m tests.soak.fuzz`."""

from __future__ import annotations

import logging
from random import Random, SystemRandom

import pytest

from tests.soak.fuzz import fuzz
from tests.soak.inputs import cuts, made_up

INPUTS = 20_000


def test_made_up_bytes_raise_nothing_but_our_errors(caplog: pytest.LogCaptureFixture) -> None:
    """Another seed each time; a failure names it and the input."""
    caplog.set_level(logging.ERROR, "ollameter.wire")
    came = fuzz(SystemRandom().randrange(2**32), INPUTS)

    assert came.total() == INPUTS
    # Every way out is reached, or the inputs are no good.
    assert came.keys() >= {
        "completed", "invalid_response", "stream_error", "stream_truncated", "error told", "object read",
        "object: invalid_response",
    }  # fmt: skip


def test_the_same_seed_makes_up_the_same_bytes() -> None:
    """So that what was found can be found again."""
    first, second = (
        [(data := made_up(random), cuts(random, data)) for random in (Random(f"7/{n}") for n in range(50))]
        for _ in range(2)
    )

    assert first == second
    assert all(b"".join(pieces) == data for data, pieces in first)
