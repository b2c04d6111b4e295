"""What a fault is, and what a caller is to see of it: plain data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ollameter import Timeouts
from tests.faults.server import Greet, RawServer, Serve, answer_well

KINDS = ("chat", "stream", "generate", "stream_generate")
SIDES = ("sync", "async")

PATIENT = Timeouts(connect=5, first_byte=5, idle=5)
SHORT = Timeouts(connect=0.3, first_byte=0.3, idle=0.3)


@dataclass(frozen=True)
class Ending:
    """How a call ends, as its caller and its telemetry see it.

    `within` is the deadline that ends it; None: nothing is waited for.
    """

    error: str | None
    error_type: str | None
    outcome: str
    text: str = ""
    attempts: int = 1
    connection: str = "closed"
    within: str | None = None

    def saying(self, text: str) -> Ending:
        """Return the same ending with that text before it."""
        return replace(self, text=text)

    def after(self, attempts: int) -> Ending:
        """Return the same ending at the end of so many attempts."""
        return replace(self, attempts=attempts)

    def reused(self) -> Ending:
        """Return the same ending over a connection that goes on being used."""
        return replace(self, connection="used again")

    def unconnected(self) -> Ending:
        """Return the same ending without any connection."""
        return replace(self, connection="none")


FINE = Ending(None, None, "completed", "Hello!")
CUT_OFF = Ending("IncompleteResponse", "stream_truncated", "truncated")
RESET = Ending("ConnectionFailed", "connection_reset", "error")
REFUSED = Ending("ConnectionFailed", "connection_refused", "error", attempts=3, within="first_byte")
GARBAGE = Ending("InvalidResponse", "invalid_response", "error")
NOT_CONNECTED = Ending("Timeout", "connect_timeout", "error", within="connect")
NO_FIRST_BYTE = Ending("Timeout", "read_timeout", "error", within="first_byte")
IDLE = Ending("Timeout", "idle_timeout", "error", within="idle")
ERROR_LINE = Ending("ResponseError", "stream_error", "error")


def status(code: int, error: str = "ResponseError") -> Ending:
    """Return what an answer with that status ends as: its connection goes on being used."""
    return Ending(error, str(code), "error", connection="used again")


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong.

    - `serve`: how every request is treated; `greet`: what happens before there is one
    - `whole`, `streamed`: how a whole answer and a stream end
    - `before`: what happens before the call; with `second` a call that goes well comes first
    - `in_async`: how a whole answer and a stream end where aiohttp sees something else
    - `limits`, `settings`: of the provider
    """

    serve: Serve
    whole: Ending
    streamed: Ending
    greet: Greet | None = None
    before: Callable[[RawServer], None] | None = None
    second: bool = False
    in_async: tuple[Ending, Ending] | None = None
    limits: Timeouts = PATIENT
    settings: Mapping[str, Any] = field(default_factory=dict)

    def ending(self, side: str, kind: str) -> Ending:
        """Return how a call of that kind ends."""
        whole, streamed = self.whole, self.streamed
        if side == "async" and self.in_async is not None:
            whole, streamed = self.in_async
        return streamed if kind.startswith("stream") else whole

    @property
    def waits(self) -> bool:
        """Whether a deadline has to pass."""
        return self.limits is not PATIENT

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of call it is tried with: fewer when each takes its time."""
        return KINDS[:2] if self.waits else KINDS


def both(serve: Serve, ending: Ending, **more: Any) -> Fault:
    """Return a fault that ends whole answers and streams alike."""
    return Fault(serve, ending, ending, **more)


def between(before: Callable[[RawServer], None], ending: Ending, **more: Any) -> Fault:
    """Return a fault that happens between a good call and the next."""
    return both(more.pop("serve", answer_well), ending, before=before, second=True, **more)
