"""Nothing of an asynchronous answer is left in memory once it has ended, however it ended."""

from __future__ import annotations

import asyncio
import gc

from ollameter import OllamaProvider
from ollameter.providers.http_async import AsyncResponse
from ollameter.testing import Answer, FakeOllama, chat_lines
from tests.providers.calls import MESSAGES

TIMES = 5


def held() -> int:
    """Return how many answers there are, those included that other tests keep."""
    gc.collect()
    return sum(isinstance(found, AsyncResponse) for found in gc.get_objects())


async def leave_while_reading(fake: FakeOllama) -> int:
    """Close streams whose readers wait for a chunk; return how many answers more are held."""
    before = held()
    async with OllamaProvider(fake.base_url, model="llama3.2", host_monitor=False) as llm:
        for _ in range(TIMES):
            stream = llm.stream_async(MESSAGES)
            async with stream:
                await anext(stream)
                reader = asyncio.ensure_future(anext(stream, None))
                await asyncio.sleep(0)
                await stream.aclose()
                assert await reader is None
        del stream, reader
        return held() - before


def test_streams_that_are_closed_under_their_readers_are_let_go(fake: FakeOllama) -> None:
    """Aiohttp raises one and the same object for all of them, which would keep their frames."""
    fake.script("/api/chat", *[Answer(lines=chat_lines("Hel", "lo")[:1], cut="hang")] * TIMES)

    assert asyncio.run(leave_while_reading(fake)) <= 1  # the newest may be on its way out
