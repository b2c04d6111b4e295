"""One call of each kind, run to its end on either side, so that a test is written once for all."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from ollameter import OllamaProvider, PerformanceMetrics

MESSAGES = [{"role": "user", "content": "Why is the sky blue?"}]

SIDES = ("sync", "async")
KINDS = ("chat", "stream", "generate", "stream_generate")


@dataclass
class Ran:
    """What a caller saw of one call."""

    text: str = ""
    chunks: list[Any] = field(default_factory=list)
    metrics: PerformanceMetrics | None = None
    reply: Any = None
    error: Any = None


def run(provider: OllamaProvider, side: str, kind: str, **fields: Any) -> Ran:
    """Make one call and take everything that comes of it, its error included."""
    if side == "sync":
        return _run(provider, kind, fields)
    return asyncio.run(_run_and_close(provider, kind, fields))


def _run(provider: OllamaProvider, kind: str, fields: dict[str, Any]) -> Ran:
    ran = Ran()
    stream: Any = None
    try:
        if kind == "chat":
            ran.reply = provider.chat(MESSAGES, **fields)
        elif kind == "generate":
            ran.reply = provider.generate("Why?", **fields)
        else:
            ask: Any = provider.stream if kind == "stream" else provider.stream_generate
            with ask(MESSAGES if kind == "stream" else "Why?", **fields) as stream:
                for chunk in stream:
                    ran.chunks.append(chunk)
    except BaseException as error:  # looked at by the test
        ran.error = error
    return _seen(ran, stream)


async def _run_and_close(provider: OllamaProvider, kind: str, fields: dict[str, Any]) -> Ran:
    return await run_async(provider, kind, **fields)


async def run_async(provider: OllamaProvider, kind: str, **fields: Any) -> Ran:
    """Make one call on the async side, in the running loop."""
    ran = Ran()
    stream: Any = None
    try:
        if kind == "chat":
            ran.reply = await provider.chat_async(MESSAGES, **fields)
        elif kind == "generate":
            ran.reply = await provider.generate_async("Why?", **fields)
        else:
            ask: Any = provider.stream_async if kind == "stream" else provider.stream_generate_async
            async with ask(MESSAGES if kind == "stream" else "Why?", **fields) as stream:
                async for chunk in stream:
                    ran.chunks.append(chunk)
    except BaseException as error:  # looked at by the test
        ran.error = error
    return _seen(ran, stream)


def _seen(ran: Ran, stream: Any) -> Ran:
    if stream is not None:
        ran.text, ran.metrics = stream.text, stream.metrics
        if ran.error is None:
            ran.reply = stream.reply
    elif ran.reply is not None:
        ran.text, ran.metrics = ran.reply
    elif isinstance(ran.error, BaseException):
        ran.metrics = getattr(ran.error, "metrics", None)
        ran.text = getattr(ran.error, "partial_text", "")
    return ran


def ask(llm: OllamaProvider, side: str, method: str, *args: Any, **kwargs: Any) -> Any:
    """Call a method, or its twin in a loop of its own."""
    if side == "sync":
        return getattr(llm, method)(*args, **kwargs)

    async def twin() -> Any:
        return await getattr(llm, f"{method}_async")(*args, **kwargs)

    return asyncio.run(twin())


both_sides = pytest.mark.parametrize("side", SIDES)
every_kind = pytest.mark.parametrize("kind", KINDS)
streams = pytest.mark.parametrize("kind", ["stream", "stream_generate"])
