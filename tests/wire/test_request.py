"""What a caller passes becomes Ollama's own fields, or an error that names the field."""

from __future__ import annotations

import base64
import dataclasses
import enum
import numbers
from collections import deque
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypedDict

import msgspec
import pydantic
import pytest

from ollameter import InvalidRequest, Message, ToolCall
from ollameter.wire.request import chat_request, encode, generate_request, model_name

HI = [{"role": "user", "content": "hi"}]
PNG = b"\x89PNG"


def sent(**given: Any) -> dict[str, Any]:
    """Return the body of a chat with these fields, as it would be sent."""
    messages = given.pop("messages", HI)
    body: dict[str, Any] = msgspec.json.decode(encode(chat_request(messages, "m", False, **given).body))
    return body


def test_a_chat_is_sent_with_what_was_said_and_nothing_else() -> None:
    """`stream` is always told: its absence would mean true."""
    assert sent() == {"model": "m", "messages": HI, "stream": False}


def test_every_field_of_a_chat_is_sent_as_ollama_names_it() -> None:
    """Options by name, unknown fields and options through `extra`."""
    fields: dict[str, Any] = {
        "options": {"temperature": 0, "num_predict": 5, "stop": ["a"], "use_mmap": True, "top_p": None},
        "format": "json", "think": "high", "keep_alive": "1h30m", "truncate": False, "shift": False,
        "logprobs": True, "top_logprobs": 3, "tools": [{"type": "function"}],
    }  # fmt: skip
    body = sent(**fields, extra={"brand_new": 1, "options": {"brand_newer": 2}})

    kept = {"temperature": 0, "num_predict": 5, "stop": ["a"], "use_mmap": True, "brand_newer": 2}
    assert body == {
        "model": "m", "messages": HI, "stream": False, **fields, "options": kept, "brand_new": 1,
    }  # fmt: skip


def test_every_field_of_a_generation_is_sent() -> None:
    """Prompt, suffix, system, template, context, raw, images."""
    fields: dict[str, Any] = {
        "suffix": "s", "system": "y", "template": "t", "context": [1, 2], "raw": True,
        "images": [PNG], "keep_alive": -1,
    }  # fmt: skip
    body = generate_request("p", "m", True, **fields).body

    images = [base64.b64encode(PNG).decode()]
    assert body == {"model": "m", "prompt": "p", "stream": True, **fields, "images": images}


def test_messages_may_be_dicts_or_messages(tmp_path: Path) -> None:
    """Images are bytes, a path or base64; None is not sent; unknown keys pass."""
    picture = tmp_path / "a.png"
    picture.write_bytes(PNG)
    encoded = base64.b64encode(PNG).decode()
    messages = [
        Message(role="user", content="see", images=[PNG, bytearray(PNG), picture, encoded]),
        {"role": "assistant", "content": "", "tool_calls": [ToolCall("f", {"a": 1}, "c")], "x": None},
        Message(role="assistant", tool_calls=[ToolCall("g")]),
        {"role": "tool", "content": "1", "tool_name": "f", "tool_call_id": "c", "later": True},
    ]

    assert sent(messages=messages)["messages"] == [
        {"role": "user", "content": "see", "images": [encoded] * 4},
        {"role": "assistant", "content": "",
         "tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}, "id": "c"}]},
        {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "g", "arguments": {}}}]},
        {"role": "tool", "content": "1", "tool_name": "f", "tool_call_id": "c", "later": True},
    ]  # fmt: skip


class Struct(msgspec.Struct):
    """A type to answer in."""

    x: int


@dataclasses.dataclass
class Record:
    """Another one."""

    x: int


class Typed(TypedDict):
    """Another one."""

    x: int


class Model(pydantic.BaseModel):
    """Another one."""

    x: int


class Models(pydantic.BaseModel):
    """One that holds another."""

    all: list[Model]


class Chain(msgspec.Struct):
    """One that holds itself."""

    next: Chain | None


@pytest.mark.parametrize("wanted", [Struct, Record, Typed, Model])
def test_a_type_becomes_its_schema(wanted: type) -> None:
    """At the root itself, not behind a reference."""
    request = chat_request(HI, "m", False, format=wanted)

    properties = request.body["format"]["properties"]
    assert {**properties["x"], "title": None} == {"type": "integer", "title": None}
    assert request.format_type is wanted


def test_a_schema_is_in_one_piece() -> None:
    """Definitions stand where they are used; a type that holds itself must refer to itself."""
    listed = sent(format=list[Record])["format"]

    assert listed["items"]["properties"] == {"x": {"type": "integer"}}
    assert "$ref" not in str(sent(format=Models)["format"])
    chain = sent(format=Chain)["format"]
    assert chain["properties"]["next"]["anyOf"][0] == {"$ref": "#/$defs/Chain"}
    assert chain["$defs"]["Chain"]["title"] == "Chain"


def test_a_schema_or_json_is_sent_as_it_is() -> None:
    """Both are parsed as plain JSON; an empty format is none."""
    schema = {"type": "object"}

    assert chat_request(HI, "m", False, format=schema).body["format"] == schema
    assert chat_request(HI, "m", False, format=schema).format_type is Any
    assert chat_request(HI, "m", False, format="json").format_type is Any
    assert "format" not in sent(format="")
    assert chat_request(HI, "m", False, format="").format_type is None


class Whole:
    """Stands for a whole number of NumPy: no int, but registered as one."""

    def __int__(self) -> int:
        return 7


class Broken:
    """Stands for a number of NumPy with a fraction."""

    def __float__(self) -> float:
        return 0.5


numbers.Integral.register(Whole)
numbers.Real.register(Broken)


class Name(str):
    """A text of a kind of its own."""

    __slots__ = ()


class Role(enum.StrEnum):
    """Texts that are constants."""

    USER = "user"


def test_what_is_nearly_plain_is_sent_plainly() -> None:
    """NumPy's numbers, other mappings and sequences, texts and enumerations of the caller's own."""
    body = sent(
        messages=deque([MappingProxyType({"role": Role.USER, "content": Name("hi")})]),
        options=MappingProxyType({"seed": Whole(), "temperature": Broken(), "stop": (Name("a"),)}),
        keep_alive=Whole(),
        extra={"deep": [MappingProxyType({"n": Whole(), "f": Broken()}), range(2)]},
    )

    assert body["messages"] == HI
    assert body["options"] == {"seed": 7, "temperature": 0.5, "stop": ["a"]}
    assert (body["keep_alive"], body["deep"]) == (7, [{"n": 7, "f": 0.5}, [0, 1]])


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"messages": "hi"}, "messages: expected a list"),
    ({"messages": {"role": "user"}}, "messages: expected a list"),
    ({"messages": []}, "messages: empty"),
    ({"messages": [3]}, r"messages\[0\]: expected a dict or a Message, got int"),
    ({"messages": [{"content": "x"}]}, r"messages\[0\].role: "),
    ({"messages": [{"role": "user", "contnet": "x"}]}, r"messages\[0\].content: missing; did you mean"),
    ({"messages": [{"role": "user", "content": 3}]}, r"messages\[0\].content: expected a text, got int"),
    ({"messages": [{"role": "user", "content": "\ud800"}]}, "lone surrogate"),
    ({"messages": [{"role": "user", "images": "x.png"}]}, r"messages\[0\].images: expected a list"),
    ({"messages": [{"role": "user", "images": ["x.png"]}]}, r"images\[0\]: a text must be base64"),
    ({"messages": [{"role": "user", "images": [3]}]}, r"images\[0\]: expected bytes"),
    ({"messages": [{"role": "user", "images": [Path("/no/such")]}]}, r"images\[0\]: cannot be read"),
    ({"messages": [{"role": "assistant", "tool_calls": "x"}]}, "tool_calls: expected a list"),
    ({"messages": [{"role": "assistant", "tool_calls": [{}]}]}, r"tool_calls\[0\]: expected a ToolCall"),
    ({"options": 3}, "options: expected a mapping"),
    ({"options": {"temprature": 1}}, "'temprature' is unknown.*did you mean 'temperature'"),
    ({"options": {"num_ctx": 1.5}}, r"options\['num_ctx'\]: expected an integer"),
    ({"options": {"num_ctx": True}}, r"options\['num_ctx'\]: expected an integer"),
    ({"options": {"temperature": "0"}}, r"options\['temperature'\]: expected a number"),
    ({"options": {"temperature": float("nan")}}, r"options\['temperature'\]: expected a number"),
    ({"options": {"use_mmap": 1}}, r"options\['use_mmap'\]: expected True or False"),
    ({"options": {"stop": "x"}}, r"options\['stop'\]: expected a list of texts"),
    ({"options": {"stop": [1]}}, r"options\['stop'\]\[0\]: expected a text"),
    ({"format": "xml"}, "format: expected"),
    ({"format": 3}, "format: expected"),
    ({"format": object}, "format: expected .* is not supported"),
    ({"format": lambda: 1}, "format: expected"),
    ({"think": "lots"}, "think: expected"),
    ({"think": ["low"]}, "think: expected"),
    ({"keep_alive": "5"}, "keep_alive: '5' is no duration"),
    ({"keep_alive": True}, "keep_alive: expected a number"),
    ({"truncate": "no"}, "truncate: expected True or False"),
    ({"top_logprobs": 21}, "top_logprobs: expected 0 to 20"),
    ({"tools": {}}, "tools: expected a list"),
    ({"tools": [3]}, r"tools\[0\]: expected a dict or a function, got 3"),
    ({"extra": 3}, "extra: expected a mapping"),
    ({"extra": {"input": "x"}}, r"extra\['input'\]: pass it"),
    ({"extra": {"model": "x"}}, r"extra\['model'\]: pass it"),
    ({"extra": {"x": object()}}, "cannot be written as JSON"),
    ({"temperature": 1}, r"temperature: is an option: pass options=\{'temperature': …\}"),
    ({"stream": True}, r"stream: is told by the method: use stream\(\)"),
    ({"keepalive": 1}, "keepalive: unknown field; did you mean 'keep_alive'"),
]


@pytest.mark.parametrize(("given", "said"), REFUSED)
def test_what_cannot_be_sent_is_refused_by_name(given: dict[str, Any], said: str) -> None:
    """Before anything is sent."""
    with pytest.raises(InvalidRequest, match=said):
        sent(**given)


@pytest.mark.parametrize(
    ("prompt", "given", "said"),
    [
        ("", {}, "prompt: empty"),
        (3, {}, "prompt: expected a text"),
        ("x", {"context": "1"}, "context: expected a list of integers"),
        ("x", {"context": [1.5]}, r"context\[0\]: expected an integer"),
        ("x", {"raw": 1}, "raw: expected True or False"),
        ("x", {"tools": []}, "tools: unknown field"),
    ],
)
def test_a_generation_that_cannot_be_sent_is_refused_by_name(
    prompt: Any, given: dict[str, Any], said: str
) -> None:
    """The same for generate."""
    with pytest.raises(InvalidRequest, match=said):
        generate_request(prompt, "m", False, **given)


@pytest.mark.parametrize(
    ("model", "default", "said"),
    [(None, None, "none given"), ("", None, "empty"), (" ", "d", "empty"), (3, None, "expected a text")],
)
def test_a_call_needs_a_model(model: Any, default: str | None, said: str) -> None:
    """Its own or the provider's."""
    with pytest.raises(InvalidRequest, match=said):
        model_name(model, default)
    assert (model_name("a", "b"), model_name(None, "b")) == ("a", "b")
