"""The body of an answer, piece by piece, as items: in lines or whole; whatever is in them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, Generic, TypeVar

import msgspec

from ollameter.errors import IncompleteResponse, InvalidResponse, OllameterError, ResponseError
from ollameter.messages import Final
from ollameter.wire.ndjson import MAX_LINE_BYTES, LineSplitter, WholeBody
from ollameter.wire.numbers import read_timings
from ollameter.wire.responses import error_text

Item = TypeVar("Item")

_any_object = msgspec.json.Decoder(dict[str, Any]).decode
UNREADABLE = (
    ValueError,
    RecursionError,
)  # msgspec's errors and UnicodeDecodeError are ValueErrors


class AnswerReader(Generic[Item]):
    """Turns the body of one answer into items; `final` is set by the last.

    Lines are decoded as they are asked for, so a consumer that leaves early leaves the rest
    unread. A `whole` body is one item, known at its end.
    """

    cut_off = "the answer ended without `done: true`: it is cut off"

    def __init__(
        self, decode: Callable[[Any, bytes], Item], max_line_bytes: int = MAX_LINE_BYTES, *, whole: bool
    ) -> None:
        """Read with `decode`, a function of the class: a bound method would hold the reader in a cycle.

        It sets `final` for the last line, and raises ours for what is not Ollama's.
        """
        self.final: Final | None = None
        self.whole = whole
        self._decode = decode
        self._splitter = LineSplitter(max_line_bytes)
        self._tail = self._splitter.tail
        self._longest = max_line_bytes
        self._body = WholeBody(max_line_bytes)

    def feed(self, data: bytes) -> Iterable[Item]:
        """Take the next piece of the body; return the items it completed.

        Raises `ResponseError` for an error line, `InvalidResponse` for what is not Ollama's.
        """
        if self.whole:
            self._body.feed(data)
            return iter(())
        decode = self._decode
        # Nearly always exactly one line: servers write and flush them one by one. It is taken for
        # one without a look, for a second line would make it unreadable.
        if data[-1:] == b"\n" and not self._tail and len(data) <= self._longest:
            try:
                return (decode(self, data),)
            except InvalidResponse:
                pass  # not one line, or really unreadable: then it will be again
        return map(partial(decode, self), self._splitter.feed(data))

    def finish(self, broken: OllameterError | None = None) -> Iterator[Item]:
        """Take the end of the body: yield a last item that lacked its LF.

        Raises `broken`, or `IncompleteResponse`, when the end was not among all that came.
        """
        rest = self._body.rest() if self.whole else self._splitter.rest()
        if rest and (item := self._last_item(rest, broken)) is not None:
            yield item
        if self.final is None:
            raise broken or IncompleteResponse(self.cut_off)

    def _last_item(self, rest: bytes, broken: OllameterError | None) -> Item | None:
        """Decode what came after the last LF; None when it was cut in the middle."""
        try:
            return self._decode(self, rest)
        except InvalidResponse:
            if _is_cut(rest, broken):
                return None
            raise


def _is_cut(rest: bytes, broken: OllameterError | None) -> bool:
    """Whether what came after the last LF is the beginning of a line; garbage is not."""
    try:
        _any_object(rest)
    except msgspec.DecodeError as error:
        # A broken connection is reason enough; else JSON that only ends too early is cut off.
        return broken is not None or "truncated" in str(error)
    except UNREADABLE:
        return broken is not None
    return False


def foreign(error: Exception) -> InvalidResponse:
    """Return our error for one of `UNREADABLE`."""
    return InvalidResponse(f"the server sent something that is not Ollama's: {error}")


def final_object(raw: dict[str, Any]) -> Final:
    """Return what the last object of an answer says, besides its text."""
    return Final(
        timings=read_timings(raw),
        response_model=_text_or_none(raw.get("model")),
        finish_reason=_text_or_none(raw.get("done_reason")),
        raw=raw,
    )


def whole_object(line: bytes) -> dict[str, Any]:
    """Decode everything; a number too large for msgspec must not cost the answer it came with.

    Raises `ResponseError` for an error in the server's own words.
    """
    try:
        raw = _any_object(line)
    except msgspec.ValidationError:
        raw = json.loads(line)
        if not isinstance(raw, dict):
            raise
    if raw.get("error") is not None:
        raise ResponseError(error_text(raw["error"]), status_code=200)
    return raw


def _text_or_none(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
