"""A call's request on the wire, opened once, read once, ended once: the sync body and its async twin."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from math import inf
from typing import TYPE_CHECKING, Any

from ollameter.call import Call
from ollameter.errors import OllameterError
from ollameter.providers.deadlines import Guard
from ollameter.providers.http import HttpSettings
from ollameter.providers.http_sync import RequestsShell, SyncResponse
from ollameter.providers.opening import BROKEN, Sent, accepted, accepted_async
from ollameter.wire.readers import reader_of
from ollameter.wire.reading import AnswerReader

if TYPE_CHECKING:  # aiohttp is imported by the first async call
    from ollameter.providers.http_async import AiohttpShell, AsyncResponse, LoopGuard
    from ollameter.providers.presence import Presence


def receive(call: Call, response: SyncResponse, reader: AnswerReader[Any]) -> Iterator[Any]:
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
        except BROKEN as error:
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


async def receive_async(
    call: Call, response: AsyncResponse, reader: AnswerReader[Any]
) -> AsyncIterator[Any]:
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
        except BROKEN as error:
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

    def __init__(
        self,
        call: Call,
        body: bytes,
        shell: RequestsShell,
        settings: HttpSettings,
        presence: Presence,
        guard: Guard | None = None,
    ) -> None:
        self.call = call
        self._presence = presence
        self._body = body
        self.chunks: Any = None
        self._shell = shell
        self._settings = settings
        self._guard = guard or Guard(settings.timeouts)
        self._response: SyncResponse | None = None

    def open(self) -> None:
        """Send the request; raises everything up to and including what the status says."""
        call, observer = self.call, self.call.observer
        sent = Sent("POST", call.request.path, self._body)
        self.chunks = iter(())
        try:
            if call.ended or observer is None:
                return
            self._presence.require(self._shell, call.request, self._guard)
            observer.inject(sent.headers)
            with observer.attached():
                response = accepted(self._shell, self._settings, sent, self._guard, observer)
        except BaseException as error:
            self._guard.done()
            call.attempts = sent.attempts
            if call.fail(error) or not isinstance(error, OllameterError):
                self._presence.explain(self._shell, error, call.request.model)
                raise
            return
        call.attempts = sent.attempts
        self._response = response
        self.chunks = receive(call, response, reader_of(call.request, self._settings.max_line_bytes))
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

    def __init__(
        self,
        call: Call,
        body: bytes,
        shell: AiohttpShell,
        settings: HttpSettings,
        presence: Presence,
        guard: LoopGuard | None = None,
    ) -> None:
        self.call = call
        self._presence = presence
        self._body = body
        self.chunks: Any = None
        self._shell = shell
        self._settings = settings
        self._guard = guard
        self._response: AsyncResponse | None = None

    async def open(self) -> None:
        """Send the request; raises everything up to and including what the status says."""
        call, observer = self.call, self.call.observer
        sent = Sent("POST", call.request.path, self._body)
        self.chunks = _no_chunks()
        self._guard = guard = self._guard or self._shell.guard(self._settings.timeouts)
        try:
            if call.ended or observer is None:
                return
            await self._presence.require_async(self._shell, call.request, guard)
            observer.inject(sent.headers)
            with observer.attached():
                response = await accepted_async(self._shell, self._settings, sent, guard, observer)
        except BaseException as error:
            guard.done()
            call.attempts = sent.attempts
            if call.fail(error) or not isinstance(error, OllameterError):
                await self._presence.explain_async(self._shell, error, call.request.model)
                raise
            return
        call.attempts = sent.attempts
        self._response = response
        self.chunks = receive_async(call, response, reader_of(call.request, self._settings.max_line_bytes))
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


async def _no_chunks() -> AsyncIterator[Any]:
    return
    yield
