"""What can go wrong with a call, in the field's words: plain exceptions that carry what was measured.

Every error has `.error_type` (the low-cardinality value that spans and metrics carry too),
`.metrics` (what was measured until it broke, None when nothing was) and `.partial_text`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from ollameter.metrics import PerformanceMetrics

TimeoutPhase = Literal["connect", "first_byte", "idle"]


class OllameterError(Exception):
    """Base of every error this library raises.

    `metrics` is None when the call never started; `partial_text` is what the model had answered
    ("" for nothing); `attempts` counts the requests that were tried. Of `run_tools`, `messages` is
    the conversation so far and `rounds` the replies in it; empty for every other call.
    """

    error_type: str = "_OTHER"
    metrics: PerformanceMetrics | None = None
    partial_text: str = ""
    attempts: int = 1
    messages: Sequence[Any] = ()
    rounds: Sequence[Any] = ()


class InvalidRequest(OllameterError, ValueError):
    """What the caller passed cannot be sent; the message names the field. Nothing was sent."""

    error_type = "ollameter.errors.InvalidRequest"


class ConnectionFailed(OllameterError, ConnectionError):
    """No usable connection: refused, reset, unknown host or failed TLS, as `error_type` says."""

    def __init__(self, message: str = "", error_type: str = "connection_reset") -> None:
        super().__init__(message)
        self.error_type = error_type


class Timeout(OllameterError, TimeoutError):
    """A deadline passed; `phase` says which: connect, first_byte or idle (between lines)."""

    def __init__(self, message: str = "", phase: TimeoutPhase = "first_byte") -> None:
        super().__init__(message)
        self.phase: TimeoutPhase = phase
        self.error_type: str = _TIMEOUT_TYPES[phase]


_TIMEOUT_TYPES = {
    "connect": "connect_timeout",
    "first_byte": "read_timeout",
    "idle": "idle_timeout",
}


class ResponseError(OllameterError):
    """The server answered with an error, in its own words.

    `status_code` is the HTTP status; 200 when the error came as a line within a stream.
    """

    def __init__(self, message: str = "", status_code: int = 0) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.error_type: str = "stream_error" if status_code == 200 else str(status_code)


class ModelNotFound(ResponseError):
    """The server does not have the model (404 whose text says so).

    `near_names` are those of its models that resemble it, `models` the names of all it has; None
    when it was not asked, or did not answer within a second.
    """

    near_names: tuple[str, ...] = ()
    models: tuple[str, ...] | None = None


class ServerBusy(ResponseError):
    """The server refused for now (503 or 429); `retry_after_s` is what it asked for, if it did."""

    retry_after_s: float | None = None


class IncompleteResponse(OllameterError):
    """The answer ended without `done: true`: it is cut off, whatever the status said."""

    error_type = "stream_truncated"


class InvalidResponse(OllameterError):
    """The server sent something that is not Ollama's protocol."""

    error_type = "invalid_response"


class TooManyRounds(OllameterError):
    """The model still wanted tools called when `run_tools` had asked it `max_rounds` times.

    `messages` ends with its last message, whose calls were not made; `rounds` has every reply.
    """

    error_type = "ollameter.errors.TooManyRounds"


def is_cancellation(error: BaseException | None) -> bool:
    """Whether someone stopped the call on purpose: Ctrl-C, or a cancelled task."""
    asyncio = sys.modules.get("asyncio")  # not imported for this: without it nothing is a task
    return isinstance(error, KeyboardInterrupt) or (
        asyncio is not None and isinstance(error, asyncio.CancelledError)
    )


def error_type_of(error: BaseException) -> str:
    """Return the `error.type` of any exception: ours as documented, else its qualified name."""
    if isinstance(error, OllameterError):
        return error.error_type
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
