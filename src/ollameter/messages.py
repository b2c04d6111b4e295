"""What goes in and what comes out of a call: messages, requests, chunks and replies, as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, Self

import msgspec

from ollameter.errors import InvalidResponse
from ollameter.metrics import Operation, PerformanceMetrics, ServerTimings


class ToolCall(msgspec.Struct, frozen=True):
    """A function the model wants called, with its arguments by name; `id` when the server gave one."""

    name: str
    arguments: dict[str, Any] = msgspec.field(default_factory=dict)
    id: str | None = None


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message of a conversation, with Ollama's own fields; None is not sent.

    `images` holds bytes, base64 text or `pathlib.Path`. `tool_name` and `tool_call_id` belong to
    an answer with `role="tool"`.
    """

    role: str
    content: str = ""
    thinking: str | None = None
    images: Sequence[Any] | None = None
    tool_calls: Sequence[ToolCall] | None = None
    tool_name: str | None = None
    tool_call_id: str | None = None


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One validated call: `body` holds Ollama's own fields exactly as they will be sent."""

    operation: Operation
    path: str
    model: str
    stream: bool
    body: Mapping[str, Any]
    format_type: Any = None  # the type the caller wants `.parsed` to have; None: as JSON says


class Chunk(msgspec.Struct, frozen=True):
    """One piece of a streamed answer, as the server sent it; a chunk is not a token.

    `final` marks the last one (`done: true`), whose text is usually empty. `created_at` is the
    server's own time stamp, None when it sent none. Of a model that draws come `completed` of
    `total` steps, then `image` (base64); None otherwise.
    """

    text: str = ""
    thinking: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    final: bool = False
    logprobs: list[Any] | None = None
    created_at: str | None = None
    image: str | None = None
    completed: int | None = None
    total: int | None = None


class Final(msgspec.Struct, frozen=True):
    """What the `done: true` object says: the numbers, why it ended, and the object itself."""

    timings: ServerTimings
    response_model: str | None
    finish_reason: str | None
    raw: dict[str, Any]


class _ReadOnly:
    """Refuses assignment: a tuple subclass cannot have slots, so its extras sit in `__dict__`."""

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is read-only")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is read-only")


class Reply(_ReadOnly, tuple[str, PerformanceMetrics]):
    """An answer: unpacks as `text, metrics` and has more on it.

    `message` is the assistant's whole message, ready to be appended to the conversation;
    `thinking` is None when the model did not think; `logprobs` None when none were asked for;
    `finish_reason` is Ollama's `done_reason` (`stop`, `length`, `load`, `unload`), None when it
    sent none; `raw` is the server's own `done: true` object.
    """

    text: str
    metrics: PerformanceMetrics
    message: Message
    logprobs: list[Any] | None
    finish_reason: str | None
    raw: dict[str, Any]
    _format_type: Any

    def __new__(
        cls,
        text: str,
        metrics: PerformanceMetrics,
        *,
        message: Message | None = None,
        logprobs: list[Any] | None = None,
        finish_reason: str | None = None,
        raw: dict[str, Any] | None = None,
        format_type: Any = None,
    ) -> Self:
        """Build a reply; only `text` and `metrics` are part of the tuple."""
        self = super().__new__(cls, (text, metrics))
        self.__dict__.update(
            text=text,
            metrics=metrics,
            message=message or Message(role="assistant", content=text),
            logprobs=logprobs,
            finish_reason=finish_reason,
            raw={} if raw is None else raw,
            _format_type=format_type,
        )
        return self

    def __getnewargs__(self) -> tuple[Any, ...]:
        return tuple(self)

    @property
    def thinking(self) -> str | None:
        """What the model thought before it answered; None when it did not."""
        return self.message.thinking

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The functions the model wants called, in order; empty when none."""
        return tuple(self.message.tool_calls or ())

    @property
    def parsed(self) -> Any:
        """The answer as a value of the type given as `format` (or plain JSON); None without one.

        Raises `InvalidResponse` when the text does not fit (an answer cut off by `num_predict`,
        say); the text itself stays in `text`.
        """
        if self._format_type is None:
            return None
        try:
            return _parse(self.text, self._format_type)
        except (ValueError, RecursionError) as error:
            failure = InvalidResponse(f"the answer does not fit the requested format: {error}")
            failure.metrics, failure.partial_text = self.metrics, self.text
            raise failure from error


class ToolsReply(Reply):
    """The last answer of `run_tools`: unpacks as `text, metrics` of that answer.

    `messages` is the whole conversation, the answer included, ready to be continued; `rounds` has
    the reply of each round, the answer last, each with metrics of its own.
    """

    messages: tuple[Any, ...]
    rounds: tuple[Reply, ...]

    @classmethod
    def of(cls, rounds: Sequence[Reply], messages: Sequence[Any]) -> Self:
        """Build it from the replies and the conversation of all rounds."""
        self = cls(*rounds[-1])
        self.__dict__.update(vars(rounds[-1]), messages=tuple(messages), rounds=tuple(rounds))
        return self


def _parse(text: str, wanted: Any) -> Any:
    """Decode JSON text as a pydantic model, or as any type msgspec knows."""
    if hasattr(wanted, "model_validate_json"):
        return wanted.model_validate_json(text)
    return msgspec.json.decode(text, type=wanted)


class Embedding(_ReadOnly, tuple[list[list[float]], PerformanceMetrics]):
    """Vectors, one per input: unpacks as `vectors, metrics`; `raw` is the server's own object."""

    vectors: list[list[float]]
    metrics: PerformanceMetrics
    raw: dict[str, Any]

    def __new__(
        cls,
        vectors: list[list[float]],
        metrics: PerformanceMetrics,
        *,
        raw: dict[str, Any] | None = None,
    ) -> Self:
        """Build an embedding; only `vectors` and `metrics` are part of the tuple."""
        self = super().__new__(cls, (vectors, metrics))
        self.__dict__.update(vectors=vectors, metrics=metrics, raw={} if raw is None else raw)
        return self

    def __getnewargs__(self) -> tuple[Any, ...]:
        return tuple(self)
