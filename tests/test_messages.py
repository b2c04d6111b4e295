"""Replies are real tuples with more on them: frozen, copied and pickled whole, parsed on demand."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from typing import Any

import msgspec
import pytest

from ollameter import Embedding, InvalidResponse, Message, Reply, ToolCall
from tests.test_metrics import metrics


class Point(msgspec.Struct):
    """A type an answer may have."""

    x: int


@dataclasses.dataclass
class Place:
    """Another one."""

    x: int


class Pydantic:
    """Stands for a pydantic model: decodes itself."""

    @staticmethod
    def model_validate_json(text: str) -> Any:
        """Decode, as pydantic does: errors are ValueErrors."""
        return ("validated", msgspec.json.decode(text))


def reply(text: str = '{"x": 1}', format_type: Any = None) -> Reply:
    """Return a reply with everything on it."""
    said = Message(role="assistant", content=text, thinking="hm", tool_calls=[ToolCall("f", {"a": 1})])
    return Reply(
        text, metrics(), message=said, logprobs=[{}], finish_reason="stop", raw={"done": True},
        format_type=format_type,
    )  # fmt: skip


def test_a_reply_unpacks_as_text_and_metrics() -> None:
    """A tuple of two, with attributes besides."""
    answer = reply()
    text, cost = answer

    assert isinstance(answer, tuple)
    assert (len(answer), text, cost) == (2, answer.text, answer.metrics)
    assert (answer.thinking, answer.tool_calls[0].name, answer.finish_reason) == ("hm", "f", "stop")
    assert Reply("x", metrics()).message == Message(role="assistant", content="x")
    assert Reply("x", metrics()).tool_calls == ()


@pytest.mark.parametrize("value", [reply(), Embedding([[0.5]], metrics(), raw={"a": 1})])
@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))]  # noqa: S301
)  # fmt: skip
def test_what_comes_out_copies_and_pickles_whole(value: Any, again: Any) -> None:
    """Its own type, its tuple, and everything on it."""
    twin = again(value)

    assert type(twin) is type(value)
    assert (twin, vars(twin)) == (value, vars(value))


@pytest.mark.parametrize("value", [reply(), Embedding([[0.5]], metrics())])
def test_what_comes_out_is_read_only(value: Any) -> None:
    """Neither changed, nor added to, nor taken from."""
    with pytest.raises(AttributeError, match="read-only"):
        value.text = "y"
    with pytest.raises(AttributeError, match="read-only"):
        del value.metrics


@pytest.mark.parametrize(
    ("wanted", "parsed"),
    [
        (None, None), (Any, {"x": 1}), (Point, Point(1)), (Place, Place(1)),
        (Pydantic, ("validated", {"x": 1})),
    ],
)  # fmt: skip
def test_a_reply_is_parsed_as_the_type_that_was_asked_for(wanted: Any, parsed: Any) -> None:
    """Plain JSON for a schema, None when no format was asked for."""
    assert reply(format_type=wanted).parsed == parsed


@pytest.mark.parametrize("wanted", [Any, Point, Pydantic])
def test_an_answer_that_does_not_fit_is_not_lost(wanted: Any) -> None:
    """Cut off by `num_predict`, say: the error carries text and metrics."""
    answer = reply('{"x": ', format_type=wanted)

    with pytest.raises(InvalidResponse, match="does not fit") as caught:
        _ = answer.parsed
    assert (caught.value.partial_text, caught.value.metrics) == ('{"x": ', answer.metrics)
    assert answer.text == '{"x": '


@pytest.mark.parametrize("wanted", [Any, list[Any]])
def test_an_answer_that_is_nested_without_end_does_not_fit(wanted: Any) -> None:
    """Small models do that; the error is ours."""
    with pytest.raises(InvalidResponse, match="does not fit"):
        _ = reply("[" * 100_000, format_type=wanted).parsed
