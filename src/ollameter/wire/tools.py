"""Tools: Python functions described as JSON schemas, and the calls that a model makes of them."""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from types import NoneType
from typing import Annotated, Any, Union, get_args, get_type_hints

import msgspec

from ollameter.errors import InvalidRequest
from ollameter.wire.docstrings import read_docstring
from ollameter.wire.schemas import plainly_typed, refers, schema_of

_STARRED = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}


class ModelMistake(ValueError):
    """The model called what cannot be called so; its text is meant for the model."""


class Tool:
    """A Python function that a model may call: its name, what a model is told of it, how it is called.

    Its schema comes from the signature, the annotations and the docstring; a parameter that has a
    default, or that may be None, need not be given. Raises `InvalidRequest` naming `where`.
    """

    def __init__(self, where: str, function: Callable[..., Any]) -> None:
        self.function = function
        self.name: str = _name(where, function)
        self.is_async: bool = inspect.iscoroutinefunction(function)
        where = f"{where} ({self.name})"
        self._signature = inspect.signature(function)
        what, said = read_docstring(inspect.getdoc(function))
        self._arguments = _arguments_of(where, function, self._signature, said)
        self.definition: dict[str, Any] = _definition(where, self.name, what, self._arguments)

    def call(self, arguments: Mapping[str, Any]) -> Any:
        """Call the function with a model's arguments; raises `ModelMistake` when they do not fit.

        They become what the annotations say: taken strictly if they fit so, else a text such as "5"
        is read as what it says.
        """
        try:
            fitted = self._fitted(arguments)
        except ValueError as error:
            raise ModelMistake(f"the arguments do not fit: {error}") from error
        bound = inspect.BoundArguments(self._signature, OrderedDict())
        for name, parameter in self._signature.parameters.items():
            default = None if parameter.default is parameter.empty else parameter.default
            given = getattr(fitted, name)
            bound.arguments[name] = default if given is msgspec.UNSET else given
        return self.function(*bound.args, **bound.kwargs)

    def _fitted(self, arguments: Mapping[str, Any]) -> msgspec.Struct:
        try:
            return msgspec.convert(arguments, self._arguments, dec_hook=_validated)
        except msgspec.ValidationError:
            return msgspec.convert(arguments, self._arguments, strict=False, dec_hook=_validated)


def wired_tools(tools: Any) -> list[Any]:
    """Return tools as Ollama wants them: dicts as they are, functions described."""
    return [
        tool if isinstance(tool, Mapping) else Tool(f"tools[{i}]", tool).definition
        for i, tool in enumerate(_listed(tools))
    ]


def callable_tools(tools: Any, *, may_await: bool) -> dict[str, Tool]:
    """Return functions by their names; raises `InvalidRequest` for one that cannot be called."""
    found: dict[str, Tool] = {}
    for i, given in enumerate(_listed(tools)):
        if isinstance(given, Mapping):
            raise InvalidRequest(f"tools[{i}]: a dict cannot be called; pass a function, or use chat()")
        tool = Tool(f"tools[{i}]", given)
        if tool.name in found:
            raise InvalidRequest(f"tools[{i}]: a second tool named {tool.name!r}")
        if tool.is_async and not may_await:
            raise InvalidRequest(f"tools[{i}] ({tool.name}): is async; use run_tools_async()")
        found[tool.name] = tool
    return found


def _listed(tools: Any) -> Sequence[Any]:
    if isinstance(tools, str | Mapping) or not isinstance(tools, Sequence):
        raise InvalidRequest(f"tools: expected a list, got {type(tools).__name__}")
    return tools


def result_text(result: Any) -> str:
    """Return what a function returned as the text that a model is told: as it is, or as JSON."""
    if isinstance(result, str):
        return result.encode(errors="replace").decode()
    return msgspec.json.encode(result, enc_hook=_jsonable).decode()


def _jsonable(value: Any) -> Any:
    return value.model_dump(mode="json") if hasattr(value, "model_dump") else str(value)


def _name(where: str, function: Any) -> str:
    name = getattr(function, "__name__", "")
    if isinstance(function, type) or not callable(function):
        raise InvalidRequest(f"{where}: expected a dict or a function, got {function!r:.80}")
    if not name.isidentifier():
        raise InvalidRequest(f"{where}: {function!r:.80} has no name to be called by; write a function")
    return str(name)


def _arguments_of(
    where: str, function: Any, signature: inspect.Signature, said: Mapping[str, str]
) -> type[msgspec.Struct]:
    """Return the parameters as a type: what a model is told, and what its arguments must fit."""
    try:
        hints = get_type_hints(function, include_extras=True)
    except (NameError, TypeError) as error:
        raise InvalidRequest(f"{where}: its annotations cannot be read: {error}") from error
    members = [
        _member(where, parameter, hints.get(name, Any), said.get(name))
        for name, parameter in signature.parameters.items()
    ]
    return msgspec.defstruct(function.__name__, members, kw_only=True, forbid_unknown_fields=True)


def _member(where: str, parameter: inspect.Parameter, hint: Any, said: str | None) -> Any:
    if parameter.kind in _STARRED:
        starred = f"{_STARRED[parameter.kind]}{parameter.name}"
        raise InvalidRequest(f"{where}: {starred} cannot be described; name each parameter")
    described = _told(hint) or said
    needless = parameter.default is not parameter.empty or NoneType in get_args(_bare(hint))
    kind = Union[hint, msgspec.UnsetType] if needless else hint  # noqa: UP007  # `|` wants types
    if described:
        kind = Annotated[kind, msgspec.Meta(description=described)]
    return (parameter.name, kind, msgspec.UNSET) if needless else (parameter.name, kind)


def _told(hint: Any) -> str | None:
    """Return the text in `Annotated[…, "text"]` or in a `Meta(description=…)` there."""
    notes = getattr(hint, "__metadata__", ())
    texts = [note if isinstance(note, str) else getattr(note, "description", None) for note in notes]
    return next(filter(None, texts), None)


def _bare(hint: Any) -> Any:
    return hint.__origin__ if hasattr(hint, "__metadata__") else hint


def _definition(where: str, name: str, what: str, arguments: type[msgspec.Struct]) -> dict[str, Any]:
    try:
        schema = schema_of(arguments)
    except (TypeError, NameError) as error:
        reason = str(error).splitlines()[-1]
        raise InvalidRequest(f"{where}: a parameter cannot be described: {reason}") from error
    if refers(schema):
        raise InvalidRequest(f"{where}: a parameter cannot be described: its type holds itself")
    properties = schema.get("properties", {})
    parameters = {
        "type": "object",
        "properties": {name: plainly_typed(kind) for name, kind in properties.items()},
        "required": schema.get("required", []),
    }
    return {
        "type": "function",
        "function": {"name": name, "description": what, "parameters": parameters},
    }


def _validated(wanted: Any, value: Any) -> Any:
    """Let a pydantic model read itself."""
    return wanted.model_validate(value)
