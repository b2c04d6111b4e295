"""Good and bad calls as programs make them: to the end, left early, dropped, stopped, cancelled."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from random import Random
from typing import Any

from ollameter import OllamaProvider, OllameterError
from tests.soak.tally import Tally
from tests.soak.wishes import WISHES

_WEIGHTS = [weight for weight, _ in WISHES.values()]
_NAMES = list(WISHES)
_FEW = {"num_predict": 4}


def _messages(wish: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": wish}]


class Caller:
    """Makes calls of every kind with one provider, each with a wish, and counts how they ended."""

    def __init__(self, provider: OllamaProvider, tally: Tally, *, only_good: bool = False) -> None:
        self._provider = provider
        self._tally = tally
        self._names = ["good"] if only_good else _NAMES
        self._weights = [1] if only_good else _WEIGHTS

    def call(self, random: Random) -> None:
        """Make one blocking call of some kind."""
        wish = random.choices(self._names, self._weights)[0]
        self._run(random.choice(_SYNC), wish)

    async def call_async(self, random: Random) -> None:
        """Make one call of some kind that is awaited."""
        wish = random.choices(self._names, self._weights)[0]
        await self._run_async(random.choice(_ASYNC), wish, random)

    def _run(self, kind: Callable[[OllamaProvider, str], Any], wish: str) -> None:
        try:
            metrics = kind(self._provider, wish)
        except OllameterError as error:
            metrics = error.metrics
        self._tally.add_call(metrics)

    async def _run_async(self, kind: Any, wish: str, random: Random) -> None:
        try:
            metrics = await kind(self._provider, wish, random)
        except OllameterError as error:
            metrics = error.metrics
        self._tally.add_call(metrics)


def _whole(provider: OllamaProvider, wish: str) -> Any:
    return provider.chat(_messages(wish), options=_FEW).metrics


def _generated(provider: OllamaProvider, wish: str) -> Any:
    return provider.generate(wish, options=_FEW).metrics


def _streamed(provider: OllamaProvider, wish: str) -> Any:
    with provider.stream(_messages(wish), options=_FEW) as stream:
        for _ in stream:
            pass
    return stream.metrics


def _left_early(provider: OllamaProvider, wish: str) -> Any:
    with provider.stream_generate(wish, options=_FEW) as stream:
        next(stream)
    return stream.metrics


def _never_sent(provider: OllamaProvider, wish: str) -> Any:
    stream = provider.stream(_messages(wish), options=_FEW)
    stream.close()
    return stream.metrics


def _dropped(provider: OllamaProvider, wish: str) -> Any:
    """Begin and let go: the finalizer ends the call, and only the exchange still knows how."""
    stream = provider.stream(_messages(wish), options=_FEW)
    call = stream._call
    try:
        next(stream)
    finally:
        del stream
    return call.metrics


def _stopped(provider: OllamaProvider, wish: str) -> Any:
    """Have another thread press the stop button while this one reads."""
    stream = provider.stream(_messages(wish), options=_FEW)
    with stream:
        button = threading.Thread(target=stream.close)
        button.start()
        try:
            for _ in stream:
                pass
        finally:
            button.join()
    return stream.metrics


async def _whole_async(provider: OllamaProvider, wish: str, _: Random) -> Any:
    return (await provider.chat_async(_messages(wish), options=_FEW)).metrics


async def _streamed_async(provider: OllamaProvider, wish: str, _: Random) -> Any:
    async with provider.stream_generate_async(wish, options=_FEW) as stream:
        async for _chunk in stream:
            pass
    return stream.metrics


async def _left_early_async(provider: OllamaProvider, wish: str, _: Random) -> Any:
    async with provider.stream_async(_messages(wish), options=_FEW) as stream:
        await anext(stream)
    return stream.metrics


async def _dropped_async(provider: OllamaProvider, wish: str, _: Random) -> Any:
    stream = provider.stream_async(_messages(wish), options=_FEW)
    call = stream._call
    try:
        await anext(stream)
    finally:
        del stream
    await asyncio.sleep(0)  # the loop's turn to let go of the connection
    return call.metrics


async def _cancelled(provider: OllamaProvider, wish: str, random: Random) -> Any:
    """Give a task little time; whether that was enough is the server's business."""
    streams: list[Any] = []

    async def read() -> None:
        streams.append(provider.stream_async(_messages(wish), options=_FEW))
        async with streams[0] as stream:
            async for _ in stream:
                pass

    task = asyncio.create_task(read())
    await asyncio.wait([task], timeout=random.uniform(0.0, 0.05))
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        if not streams:  # before it had begun: no call was made
            return (await provider.chat_async(_messages(wish), options=_FEW)).metrics
    return streams[0].metrics


_SYNC = (_whole, _generated, _streamed, _streamed, _left_early, _never_sent, _dropped, _stopped)
_ASYNC = (_whole_async, _streamed_async, _streamed_async, _left_early_async, _dropped_async, _cancelled)
