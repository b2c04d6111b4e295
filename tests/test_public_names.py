"""What `__all__` lists can be imported, errors are what they say, and both survive pickling."""

from __future__ import annotations

import pickle

import pytest

import ollameter
from ollameter.errors import error_type_of

ERRORS = [
    ollameter.InvalidRequest("m"),
    ollameter.ConnectionFailed("m", "dns"),
    ollameter.Timeout("m", phase="idle"),
    ollameter.ResponseError("m", status_code=418),
    ollameter.ModelNotFound("m", status_code=404),
    ollameter.ServerBusy("m", status_code=503),
    ollameter.IncompleteResponse("m"),
    ollameter.InvalidResponse("m"),
    ollameter.TooManyRounds("m"),
]
TYPES = [
    "ollameter.errors.InvalidRequest", "dns", "idle_timeout", "418", "404", "503", "stream_truncated",
    "invalid_response", "ollameter.errors.TooManyRounds",
]  # fmt: skip


def test_every_public_name_can_be_imported_and_is_listed() -> None:
    """And nothing is listed twice."""
    assert len(set(ollameter.__all__)) == len(ollameter.__all__)
    assert [name for name in ollameter.__all__ if getattr(ollameter, name, None) is None] == []
    assert dir(ollameter) == sorted(ollameter.__all__)
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = ollameter.no_such_name


@pytest.mark.parametrize(("error", "error_type"), list(zip(ERRORS, TYPES, strict=True)))
def test_an_error_knows_its_type_and_survives_a_process_border(
    error: ollameter.OllameterError, error_type: str
) -> None:
    """With all that it carries."""
    error.partial_text, error.attempts = "so far", 3
    twin = pickle.loads(pickle.dumps(error))  # noqa: S301

    assert (error.error_type, error_type_of(error)) == (error_type, error_type)
    assert (type(twin), str(twin), vars(twin)) == (type(error), "m", vars(error))


@pytest.mark.parametrize(
    ("ours", "builtin"),
    [
        (ollameter.InvalidRequest, ValueError),
        (ollameter.ConnectionFailed, ConnectionError),
        (ollameter.Timeout, TimeoutError),
        (ollameter.ModelNotFound, ollameter.ResponseError),
        (ollameter.ServerBusy, ollameter.ResponseError),
    ],
)
def test_errors_are_caught_by_the_names_one_expects(ours: type, builtin: type) -> None:
    """Built-in ones included."""
    assert issubclass(ours, builtin)
    assert issubclass(ours, ollameter.OllameterError)


def test_a_foreign_error_is_named_in_full() -> None:
    """Built-in ones by their plain name."""
    assert error_type_of(KeyError()) == "KeyError"
    assert error_type_of(pickle.PicklingError()) == "_pickle.PicklingError"
