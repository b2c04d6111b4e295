"""What a caller holds of an answer in pieces: thin, so that dropping it ends the call at once."""

from __future__ import annotations

import weakref
from collections.abc import Awaitable, Iterator
from itertools import compress, repeat
from typing import Generic, Self, TypeVar

from ollameter.call import Call
from ollameter.errors import is_cancellation
from ollameter.messages import Chunk, Reply
from ollameter.metrics import PerformanceMetrics
from ollameter.providers.exchange import AsyncExchange, Exchange
from ollameter.wire.progress import PullProgress

Item = TypeVar("Item")


class _Streamed:
    """What can be asked of a stream at any time."""

    _call: Call

    @property
    def text(self) -> str:
        """The answer's text so far."""
        return self._call.text

    @property
    def metrics(self) -> PerformanceMetrics | None:
        """What the call cost: None until it has ended, then always there."""
        return self._call.metrics

    @property
    def reply(self) -> Reply:
        """The whole answer; raises `InvalidRequest` before the stream has completed."""
        return self._call.reply()


class _Pieces(Generic[Item]):
    """An answer in pieces: the request goes out at `with`, or at the first piece."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._call = exchange.call
        weakref.finalize(self, exchange.close).atexit = False

    def __enter__(self) -> Self:
        if self._exchange.chunks is None:
            self._exchange.open()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None and is_cancellation(error):
            self._call.fail(error)
        self.close()

    def __iter__(self) -> Iterator[Item]:
        chunks = self._exchange.chunks
        # Hands the chunks through and holds the stream meanwhile, without a step of ours for each.
        return self if chunks is None else compress(chunks, repeat(self))

    def __next__(self) -> Item:
        chunks = self._exchange.chunks
        if chunks is None:
            self._exchange.open()
            chunks = self._exchange.chunks
        item: Item = next(chunks)
        return item

    def close(self) -> None:
        """Stop the answer, from any thread; a reader that is waiting for a piece stops at once."""
        self._exchange.close()


class _AsyncPieces(Generic[Item]):
    """An answer in pieces: the request goes out at `async with`, or at the first piece."""

    def __init__(self, exchange: AsyncExchange) -> None:
        self._exchange = exchange
        self._call = exchange.call
        weakref.finalize(self, exchange.close_soon).atexit = False

    async def __aenter__(self) -> Self:
        if self._exchange.chunks is None:
            await self._exchange.open()
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None and is_cancellation(error):
            self._call.fail(error)
        await self.aclose()

    def __aiter__(self) -> Self:
        return self

    def __anext__(self) -> Awaitable[Item]:
        chunks = self._exchange.chunks
        following: Awaitable[Item] = self._first() if chunks is None else chunks.__anext__()
        return following

    async def _first(self) -> Item:
        await self._exchange.open()
        item: Item = await anext(self._exchange.chunks)
        return item

    async def aclose(self) -> None:
        """Stop the answer; a task that is waiting for a piece stops at once."""
        await self._exchange.close()

    def close(self) -> None:
        """Stop the answer, from any thread; its loop lets go of the connection."""
        self._exchange.close_soon()


class Stream(_Streamed, _Pieces[Chunk]):
    """A streamed answer: iterate over its chunks once, in a `with` or without.

    The request goes out at `with`, or at the first chunk. Leaving early, `close()` and dropping
    the stream abandon the call, which makes the server stop generating. Raises the errors of
    `ollameter.errors`; what had come stays in `text`.
    """


class AsyncStream(_Streamed, _AsyncPieces[Chunk]):
    """A streamed answer: iterate over its chunks once, in an `async with` or without.

    The request goes out at `async with`, or at the first chunk. Leaving early, `aclose()` and
    dropping the stream abandon the call, which makes the server stop generating. Raises the
    errors of `ollameter.errors`; what had come stays in `text`.
    """


class Pull(_Pieces[PullProgress]):
    """A model being fetched: iterate over the steps once; leaving early stops it."""


class AsyncPull(_AsyncPieces[PullProgress]):
    """A model being fetched: iterate over the steps once; leaving early stops it."""
