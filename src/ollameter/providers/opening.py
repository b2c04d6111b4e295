"""One request until its answer has status 200: tried again when that may help, refused in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ollameter.call import CallObserver
from ollameter.errors import (
    ConnectionFailed,
    IncompleteResponse,
    ResponseError,
    ServerBusy,
    Timeout,
)
from ollameter.providers.deadlines import Guard
from ollameter.providers.http import HttpSettings, Retries
from ollameter.providers.http_sync import RequestsShell, SyncResponse
from ollameter.wire.responses import MAX_ERROR_BODY_BYTES, error_from_response

if TYPE_CHECKING:  # aiohttp is imported by the first async call
    from ollameter.providers.http_async import AiohttpShell, AsyncResponse, LoopGuard

BROKEN = (ConnectionFailed, IncompleteResponse, Timeout)
_RETRIED = (ConnectionFailed, ServerBusy)


class Sent(msgspec.Struct):
    """What goes out, and how often it has been tried."""

    method: str
    path: str
    body: bytes | None
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    attempts: int = 1


def accepted(
    shell: RequestsShell, settings: HttpSettings, sent: Sent, guard: Guard, observer: CallObserver
) -> SyncResponse:
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
        observer.retried(refused, delay_s)


async def accepted_async(
    shell: AiohttpShell, settings: HttpSettings, sent: Sent, guard: LoopGuard, observer: CallObserver
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
        observer.retried(refused, delay_s)


def refusal(response: SyncResponse) -> ResponseError:
    """Read the words that came with a status other than 200, as far as they can be had."""
    body = bytearray()
    try:
        for data in response.pieces():
            response.guard.heard()
            body += data
            if len(body) > MAX_ERROR_BODY_BYTES:
                break
    except BROKEN:
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
    except BROKEN:
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
