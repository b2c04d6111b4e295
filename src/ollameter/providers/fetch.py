"""One question with one JSON object as its answer: models, versions; its span, sync and async."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ollameter.call import CallObserver
from ollameter.errors import OllameterError
from ollameter.messages import Message
from ollameter.providers.deadlines import Guard
from ollameter.providers.http import HttpSettings
from ollameter.providers.http_sync import RequestsShell
from ollameter.providers.opening import Sent, accepted, accepted_async
from ollameter.wire.ndjson import WholeBody
from ollameter.wire.responses import decode_object

if TYPE_CHECKING:  # aiohttp is imported by the first async call
    from ollameter.providers.http_async import AiohttpShell, LoopGuard


def fetch(
    shell: RequestsShell,
    settings: HttpSettings,
    observer: CallObserver,
    sent: Sent,
    guard: Guard | None = None,
) -> dict[str, Any]:
    """Return the object that the server answers with; the observer sees how it ended."""
    guard = guard or Guard(settings.timeouts)
    failure: BaseException | None = None
    observer.inject(sent.headers)
    try:
        with observer.attached():
            response = accepted(shell, settings, sent, guard, observer)
        body = WholeBody(settings.max_line_bytes)
        try:
            for data in response.pieces():
                response.guard.heard()
                body.feed(data)
        finally:
            response.close()
        return decode_object(body.rest())
    except BaseException as error:
        failure = error
        if isinstance(error, OllameterError):
            error.attempts = sent.attempts
        raise
    finally:
        guard.done()
        observer.end(None, failure, _no_message)


async def fetch_async(
    shell: AiohttpShell,
    settings: HttpSettings,
    observer: CallObserver,
    sent: Sent,
    guard: LoopGuard | None = None,
) -> dict[str, Any]:
    """Return the object that the server answers with; the observer sees how it ended."""
    guard = guard or shell.guard(settings.timeouts)
    failure: BaseException | None = None
    observer.inject(sent.headers)
    try:
        with observer.attached():
            response = await accepted_async(shell, settings, sent, guard, observer)
        body = WholeBody(settings.max_line_bytes)
        try:
            async for data in response.pieces():
                response.guard.heard()
                body.feed(data)
        finally:
            response.close()
        return decode_object(body.rest())
    except BaseException as error:
        failure = error
        if isinstance(error, OllameterError):
            error.attempts = sent.attempts
        raise
    finally:
        guard.done()
        observer.end(None, failure, _no_message)


def _no_message() -> Message:
    return Message(role="assistant")
