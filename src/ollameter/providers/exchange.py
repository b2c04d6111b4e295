"""One request on the wire, opened once, read once, ended once: the sync body and its async twin."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from math import inf
from typing import TYPE_CHECKING, Any

import msgspec

from ollameter.call import Call
from ollameter.errors import (
    ConnectionFailed,
    IncompleteResponse,
    OllameterError,
    ResponseError,
    ServerBusy,
    Timeout,
)
from ollameter.messages import Chunk
from ollameter.providers.deadlines import Guard
from ollameter.providers.http import HttpSettings, Retries
from ollameter.providers.http_sync import RequestsShell, SyncResponse
from ollameter.wire.ollama import ChunkReader
from ollameter.wire.responses import MAX_ERROR_BODY_BYTES, error_from_response

if TYPE_CHECKING:  # aiohttp is imported by the first async call
    from ollameter.providers.http_async import AiohttpShell, AsyncResponse, LoopGuard

_BROKEN = (ConnectionFailed, IncompleteResponse, Timeout)
_RETRIED = (ConnectionFailed, ServerBusy)


class Sent(msgspec.Struct):
    """What goes out, and how often it has been tried."""

    method: str
    path: str
    body: bytes | None
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    attempts: int = 1


def accepted(shell: RequestsShell, settings: HttpSettings, sent: Sent, guard: Guard) -> SyncResponse:
    """Return an answer with status 200; raise what any other status stands for, after retries."""
    retries = Retries(settings, guard.now())
    while True:
        try:
            response = shell.open(sent.method, sent.path, sent.body, sent.headers, guard)
            if response.status == 200:
                return response
            raise refusal(response)
        except _RETRIED as error:
            delay_s = retries.delay_s(error, guard.now())
            if delay_s is None:
                raise
            refused = error
        guard.ends_at = retries.ends_at
        guard.pause(delay_s)
        if guard.was_cut:
            raise refused
        sent.attempts += 1


async def accepted_async(
    shell: AiohttpShell, settings: HttpSettings, sent: Sent, guard: LoopGuard
) -> AsyncResponse:
    """Return an answer with status 200; raise what any other status stands for, after retries."""
    retries = Retries(settings, guard.now())
    while True:
        try:
            response = await shell.open(sent.method, sent.path, sent.body, sent.headers, guard)
            if response.status == 200:
                return response
            raise await refusal_async(response)
        except _RETRIED as error:
            delay_s = retries.delay_s(error, guard.now())
            if delay_s is None:
                raise
            refused = error
        guard.ends_at = retries.ends_at
        await guard.pause_async(delay_s)
        if guard.was_cut:
            raise refused
        sent.attempts += 1


def refusal(response: SyncResponse) -> ResponseError:
    """Read the words that came with a status other than 200, as far as they can be had."""
    body = bytearray()
    try:
        for data in response.pieces():
            response.guard.heard()
            body += data
            if len(body) > MAX_ERROR_BODY_BYTES:
                break
    except _BROKEN:
        pass  # the status says enough
    response.leave(whole=len(body) <= MAX_ERROR_BODY_BYTES)
    return _refused(response, bytes(body))


async def refusal_async(response: AsyncResponse) -> ResponseError:
    """Read the words that came with a status other than 200, as far as they can be had."""
    body = bytearray()
    try:
        async for data in response.pieces():
            response.guard.heard()
            body += data
            if len(body) > MAX_ERROR_BODY_BYTES:
                break
    except _BROKEN:
        pass  # the status says enough
    await response.leave(whole=len(body) <= MAX_ERROR_BODY_BYTES)
    return _refused(response, bytes(body))


def _refused(response: SyncResponse | AsyncResponse, body: bytes) -> ResponseError:
    headers = response.headers
    return error_from_response(
        response.status,
        body,
        location=headers.get("Location"),
        retry_after=headers.get("Retry-After"),
    )


def receive(call: Call, response: SyncResponse, reader: ChunkReader) -> Iterator[Chunk]:
    """Yield an answer's chunks; whatever goes wrong ends the call before it is raised."""
    guard, feed, add = response.guard, reader.feed, call.add
    try:
        broken: OllameterError | None = None
        try:
            for data in response.pieces():
                for chunk in feed(data):
                    final, guard.at = reader.final, inf  # no deadline while the caller has the word
                    add(chunk, final)
                    yield chunk
                    if final is not None:
                        return
                if guard.at == inf or reader.whole:
                    guard.heard()
        except _BROKEN as error:
            broken = error
        for chunk in reader.finish(broken):
            call.add(chunk, reader.final)
            yield chunk
    except BaseException as error:
        # Ended before: from outside, and the connection was cut for it.
        if call.fail(error) or not isinstance(error, OllameterError):
            raise
    finally:
        response.leave(whole=reader.final is not None)


async def receive_async(call: Call, response: AsyncResponse, reader: ChunkReader) -> AsyncIterator[Chunk]:
    """Yield an answer's chunks; whatever goes wrong ends the call before it is raised."""
    guard, feed, add = response.guard, reader.feed, call.add
    try:
        broken: OllameterError | None = None
        try:
            async for data in response.pieces():
                for chunk in feed(data):
                    final, guard.at = reader.final, inf  # no deadline while the caller has the word
                    add(chunk, final)
                    yield chunk
                    if final is not None:
                        return
                if guard.at == inf or reader.whole:
                    guard.heard()
        except _BROKEN as error:
            broken = error
        for chunk in reader.finish(broken):
            call.add(chunk, reader.final)
            yield chunk
    except BaseException as error:
        # Ended before: from outside, and the connection was cut for it.
        if call.fail(error) or not isinstance(error, OllameterError):
            raise
    finally:
        await response.leave(whole=reader.final is not None)


class Exchange:
    """A call on the sync side: `open`, read `chunks`, `close` (from any thread, as often as liked)."""

    def __init__(self, call: Call, body: bytes, shell: RequestsShell, settings: HttpSettings) -> None:
        self.call = call
        self._body = body
        self.chunks: Any = None
        self._shell = shell
        self._settings = settings
        self._guard = Guard(settings.timeouts)
        self._response: SyncResponse | None = None

    def open(self) -> None:
        """Send the request; raises everything up to and including what the status says."""
        call, observer = self.call, self.call.observer
        sent = Sent("POST", call.request.path, self._body)
        self.chunks = iter(())
        try:
            if call.ended or observer is None:
                return
            observer.inject(sent.headers)
            with observer.attached():
                response = accepted(self._shell, self._settings, sent, self._guard)
        except BaseException as error:
            self._guard.done()
            call.attempts = sent.attempts
            if call.fail(error) or not isinstance(error, OllameterError):
                raise
            return
        call.attempts = sent.attempts
        self._response = response
        self.chunks = receive(call, response, ChunkReader(call.request, self._settings.max_line_bytes))
        if call.ended:  # closed by another thread in the very moment the answer came
            self.close()

    def close(self) -> None:
        """End the call if it has not ended, and let go of the connection."""
        self.call.abandon()
        if not self.call.completed:
            self._guard.cut()
        if self._response is None:
            return
        try:
            self.chunks.close()
        except ValueError:
            return  # being read by another thread: the cut has woken it, and it closes
        self._response.leave(whole=self.call.completed)

    def disown(self) -> None:
        """Leave the call and its connection to the parent of this process."""
        self.call.disown()
        self._guard.disown()


class AsyncExchange:
    """A call on the async side: `open`, read `chunks`, `close`; `close_soon` from any thread."""

    def __init__(self, call: Call, body: bytes, shell: AiohttpShell, settings: HttpSettings) -> None:
        self.call = call
        self._body = body
        self.chunks: Any = None
        self._shell = shell
        self._settings = settings
        self._guard: LoopGuard | None = None
        self._response: AsyncResponse | None = None

    async def open(self) -> None:
        """Send the request; raises everything up to and including what the status says."""
        call, observer = self.call, self.call.observer
        sent = Sent("POST", call.request.path, self._body)
        self.chunks = _no_chunks()
        self._guard = guard = self._shell.guard()
        try:
            if call.ended or observer is None:
                return
            observer.inject(sent.headers)
            with observer.attached():
                response = await accepted_async(self._shell, self._settings, sent, guard)
        except BaseException as error:
            guard.done()
            call.attempts = sent.attempts
            if call.fail(error) or not isinstance(error, OllameterError):
                raise
            return
        call.attempts = sent.attempts
        self._response = response
        self.chunks = receive_async(
            call, response, ChunkReader(call.request, self._settings.max_line_bytes)
        )
        if call.ended:  # closed by another thread in the very moment the answer came
            await self.close()

    async def close(self) -> None:
        """End the call if it has not ended, and let go of the connection."""
        self.call.abandon()
        if not self.call.completed and self._guard is not None:
            self._guard.cut()
        if self._response is None:
            return
        try:
            await self.chunks.aclose()
        except RuntimeError:
            return  # being read by another task: the cut has woken it, and it closes
        await self._response.leave(whole=self.call.completed)

    def close_soon(self) -> None:
        """End the call now and have its loop let go of the connection; a closed loop has."""
        self.call.abandon()
        if self._guard is not None:
            self._guard.cut_from_anywhere()

    def disown(self) -> None:
        """Leave the call and its connection to the parent of this process."""
        self.call.disown()
        if self._guard is not None:
            self._guard.disown()


async def _no_chunks() -> AsyncIterator[Chunk]:
    return
    yield
