"""Functions become the schemas that Ollama wants, and a model's arguments become what they declare."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import functools
from collections.abc import Callable
from typing import Annotated, Any, Literal, NamedTuple, TypedDict

import msgspec
import pydantic
import pytest

from ollameter import InvalidRequest
from ollameter.wire.request import chat_request
from ollameter.wire.tools import ModelMistake, Tool, callable_tools, result_text


class Unit(enum.Enum):
    """Scales."""

    CELSIUS = "celsius"
    FAHRENHEIT = "fahrenheit"


@dataclasses.dataclass
class Place:
    """Where."""

    name: str
    height_m: float = 0.0


class Wind(TypedDict):
    """From where."""

    degrees: int


class Person(pydantic.BaseModel):
    """Who."""

    age: int


class Chain(msgspec.Struct):
    """A type that holds itself."""

    next: Chain | None = None


def weather(  # noqa: D417  # some of each
    city: str,
    unit: Unit = Unit.CELSIUS,
    days: int | None = None,
    place: Place | None = None,
    tags: list[str] = ["a"],  # noqa: B006  # the default is Python's own
    limits: dict[str, int] | None = None,
    wind: Wind | None = None,
    who: Person | None = None,
    kind: Literal["short", "long"] | None = None,
    level: Annotated[int, "From 1 to 9.", msgspec.Meta(ge=1, le=9)] = 1,
    either: int | str = 0,
    anything: Any = None,
) -> dict[str, Any]:
    """Tell the weather.

    Args:
        city: Where.
        level: Not this one.

    """
    return locals()


def tool(function: Callable[..., Any]) -> Tool:
    """Return a described function."""
    return Tool("tools[0]", function)


def test_a_function_is_described_by_its_signature_and_docstring() -> None:
    """Every kind of annotation, in one piece and without null."""
    text = {"type": "string"}
    assert tool(weather).definition == {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "Tell the weather.",
            "parameters": {
                "type": "object",
                "required": ["city"],
                "properties": {
                    "city": {"type": "string", "description": "Where."},
                    "unit": {**text, "enum": ["celsius", "fahrenheit"], "title": "Unit",
                             "description": "Scales."},
                    "days": {"type": "integer"},
                    "place": {
                        "type": "object", "title": "Place", "description": "Where.", "required": ["name"],
                        "properties": {"name": text, "height_m": {"type": "number", "default": 0.0}},
                    },
                    "tags": {"type": "array", "items": text},
                    "limits": {"type": "object", "additionalProperties": {"type": "integer"}},
                    "wind": {"type": "object", "title": "Wind", "description": "From where.",
                             "required": ["degrees"], "properties": {"degrees": {"type": "integer"}}},
                    "who": {"type": "object", "title": "Person", "description": "Who.",
                            "required": ["age"],
                            "properties": {"age": {"type": "integer", "title": "Age"}}},
                    "kind": {**text, "enum": ["long", "short"]},
                    "level": {"type": "integer", "minimum": 1, "maximum": 9, "description": "From 1 to 9."},
                    "either": {"anyOf": [{"type": "integer"}, text]},
                    "anything": {},
                },
            },
        },
    }  # fmt: skip


def test_arguments_become_what_the_annotations_say() -> None:
    """Nested ones too; what is left out has Python's own default."""
    given = {
        "city": "Rome", "unit": "fahrenheit", "days": 3, "place": {"name": "hill"}, "limits": {"a": 1},
        "wind": {"degrees": 9}, "who": {"age": 7}, "kind": "long", "either": "5", "anything": [1],
    }  # fmt: skip

    assert tool(weather).call(given) == {
        "city": "Rome", "unit": Unit.FAHRENHEIT, "days": 3, "place": Place("hill"), "tags": ["a"],
        "limits": {"a": 1}, "wind": {"degrees": 9}, "who": Person(age=7), "kind": "long", "level": 1,
        "either": "5", "anything": [1],
    }  # fmt: skip


def test_text_is_read_as_what_it_says_where_text_does_not_fit() -> None:
    """Models write numbers as text; what may be a text stays one."""
    called = tool(weather).call({"city": "1", "days": "3", "level": "2", "limits": {"a": "4"}})

    assert (called["city"], called["days"], called["level"], called["limits"]) == ("1", 3, 2, {"a": 4})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "missing required field `city`"),
        ({"city": 3}, "Expected `str`, got `int` - at `$.city`"),
        ({"city": "a", "days": "many"}, "Expected `int | null`, got `str` - at `$.days`"),
        ({"city": "a", "unit": "kelvin"}, "Invalid enum value 'kelvin' - at `$.unit`"),
        ({"city": "a", "level": 10}, "<= 9"),
        ({"city": "a", "colour": 1}, "unknown field `colour`"),
        ({"city": "a", "who": {"age": "old"}}, "at `$.who`"),
    ],
)
def test_arguments_that_do_not_fit_are_told_to_the_model(arguments: dict[str, Any], said: str) -> None:
    """In words that let it do better; the function is not called."""
    with pytest.raises(ModelMistake, match="the arguments do not fit: ") as caught:
        tool(weather).call(arguments)
    assert said in str(caught.value)


def by_position(a: int, b: int = 2, /, c: int = 3, *, d: int | None) -> tuple[int, int, int, int | None]:
    """Every kind of parameter that has a name."""
    return a, b, c, d


def test_parameters_of_every_kind_are_passed_as_they_must_be() -> None:
    """One that may be None need not be given, default or not."""
    assert tool(by_position).call({"a": 1, "c": 5}) == (1, 2, 5, None)
    assert tool(by_position).definition["function"]["parameters"]["required"] == ["a"]


class Adder:
    """Something with a method."""

    def add(self, a, b=1):  # type: ignore[no-untyped-def]  # that is what is tested
        """Add."""
        return a + b


def test_a_method_is_a_tool_and_annotations_may_lack() -> None:
    """`self` is no parameter; a parameter without annotation takes anything."""
    described = tool(Adder().add).definition["function"]

    assert described["parameters"] == {
        "type": "object", "required": ["a"], "properties": {"a": {}, "b": {}},
    }  # fmt: skip
    assert tool(Adder().add).call({"a": "x", "b": "y"}) == "xy"


def nothing() -> None:  # noqa: D103  # that is what is tested
    pass


def test_a_function_without_parameters_or_docstring_is_a_tool() -> None:
    """With an empty description."""
    assert tool(nothing).definition["function"] == {
        "name": "nothing",
        "description": "",
        "parameters": {"type": "object", "properties": {}, "required": []},
    }


def starred(*args: int) -> None:
    """Refused."""


def double_starred(**kwargs: int) -> None:
    """Refused."""


def unreadable(a: NoSuchType) -> None:  # type: ignore[name-defined]  # noqa: F821  # that is the test
    """Refused."""


def indescribable(a: Callable[[], int]) -> None:
    """Refused."""


def endless(a: Chain) -> None:
    """Refused."""


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (starred, r"tools\[1\] \(starred\): \*args cannot be described; name each parameter"),
        (double_starred, r"tools\[1\] \(double_starred\): \*\*kwargs cannot be described"),
        (unreadable, r"tools\[1\] \(unreadable\): its annotations cannot be read: .*NoSuchType"),
        (indescribable, r"tools\[1\] \(indescribable\): a parameter cannot be described: .*Callable"),
        (endless, r"tools\[1\] \(endless\): a parameter cannot be described: its type holds itself"),
        (lambda: 1, r"tools\[1\]: .*lambda.* has no name"),
        (functools.partial(nothing), r"tools\[1\]: .*partial.* has no name"),
        (Place, r"tools\[1\]: expected a dict or a function, got <class"),
        (None, r"tools\[1\]: expected a dict or a function, got None"),
    ],
)
def test_what_cannot_be_described_is_refused_by_name(given: Any, said: str) -> None:
    """Before anything is sent."""
    with pytest.raises(InvalidRequest, match=said):
        chat_request([{"role": "user", "content": "x"}], "m", False, tools=[nothing, given])


def test_dicts_and_functions_go_out_side_by_side() -> None:
    """A dict as it is."""
    own = {"type": "function", "function": {"name": "own", "parameters": {"type": "object"}}}
    body = chat_request(
        [{"role": "user", "content": "x"}], "m", False, tools=(own, nothing)
    ).body  # fmt: skip

    assert body["tools"] == [own, tool(nothing).definition]


async def later() -> None:
    """Async."""


@pytest.mark.parametrize(
    ("tools", "said"),
    [
        ("x", "tools: expected a list, got str"),
        ([{"type": "function"}], r"tools\[0\]: a dict cannot be called"),
        ([nothing, nothing], r"tools\[1\]: a second tool named 'nothing'"),
        ([later], r"tools\[0\] \(later\): is async; use run_tools_async\(\)"),
    ],
)
def test_what_cannot_be_called_is_refused_by_name(tools: Any, said: str) -> None:
    """Before anything is sent."""
    with pytest.raises(InvalidRequest, match=said):
        callable_tools(tools, may_await=False)
    assert [*callable_tools([later], may_await=True)] == ["later"]


class Point(NamedTuple):
    """A result."""

    x: int


@pytest.mark.parametrize(
    ("result", "text"),
    [
        ("as it is", "as it is"),
        ("a\ud800b", "a?b"),
        (None, "null"),
        (21.5, "21.5"),
        ({"a": [1, True]}, '{"a":[1,true]}'),
        (Place("hill"), '{"name":"hill","height_m":0.0}'),
        (Person(age=3), '{"age":3}'),
        (Point(1), "[1]"),
        (datetime.date(2026, 1, 2), '"2026-01-02"'),
        ({Unit.CELSIUS: 1}, '{"celsius":1}'),
        (range(2), '"range(0, 2)"'),
    ],
)
def test_a_result_is_told_as_text(result: Any, text: str) -> None:
    """A text as it is, data as JSON, anything else as it prints."""
    assert result_text(result) == text
