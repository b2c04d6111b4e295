"""What asks a model for an answer: whole or streamed, each method next to its async twin."""

from __future__ import annotations

from typing import Any, Unpack

from ollameter.messages import Reply, Request
from ollameter.providers.base import Messages
from ollameter.providers.core import ServerCalls
from ollameter.providers.streams import AsyncStream, Stream
from ollameter.wire.fields import ChatFields, GenerateFields
from ollameter.wire.request import chat_request, generate_request, model_name


class Answers(ServerCalls):
    """Chats and generations."""

    def chat(self, messages: Messages, model: str | None = None, **fields: Unpack[ChatFields]) -> Reply:
        """Answer a conversation with one whole reply, which unpacks as `text, metrics`.

        `messages` are dicts or `Message`; `fields` are Ollama's (see `ChatFields`). Raises
        `InvalidRequest` before anything is sent, else the errors of `ollameter.errors`.
        """
        return self._answer(self._chat_request(messages, model, False, fields))

    async def chat_async(
        self, messages: Messages, model: str | None = None, **fields: Unpack[ChatFields]
    ) -> Reply:
        """Do as `chat` without blocking the event loop."""
        return await self._answer_async(self._chat_request(messages, model, False, fields))

    def stream(self, messages: Messages, model: str | None = None, **fields: Unpack[ChatFields]) -> Stream:
        """Answer a conversation chunk by chunk; the call begins now, the request at `with`."""
        return Stream(self._begin(self._chat_request(messages, model, True, fields)))

    def stream_async(
        self, messages: Messages, model: str | None = None, **fields: Unpack[ChatFields]
    ) -> AsyncStream:
        """Do as `stream` without blocking: not to be awaited, but used with `async with`."""
        return AsyncStream(self._begin_async(self._chat_request(messages, model, True, fields)))

    def generate(self, prompt: str, model: str | None = None, **fields: Unpack[GenerateFields]) -> Reply:
        """Continue a prompt with one whole reply; `fields` are Ollama's (see `GenerateFields`)."""
        return self._answer(self._generate_request(prompt, model, False, fields))

    async def generate_async(
        self, prompt: str, model: str | None = None, **fields: Unpack[GenerateFields]
    ) -> Reply:
        """Do as `generate` without blocking the event loop."""
        return await self._answer_async(self._generate_request(prompt, model, False, fields))

    def stream_generate(
        self, prompt: str, model: str | None = None, **fields: Unpack[GenerateFields]
    ) -> Stream:
        """Continue a prompt chunk by chunk, as `stream` does."""
        return Stream(self._begin(self._generate_request(prompt, model, True, fields)))

    def stream_generate_async(
        self, prompt: str, model: str | None = None, **fields: Unpack[GenerateFields]
    ) -> AsyncStream:
        """Do as `stream_generate` without blocking: used with `async with`."""
        return AsyncStream(self._begin_async(self._generate_request(prompt, model, True, fields)))

    def _chat_request(self, messages: Messages, model: str | None, stream: bool, fields: Any) -> Request:
        return chat_request(messages, model_name(model, self._model), stream, **fields)

    def _generate_request(self, prompt: str, model: str | None, stream: bool, fields: Any) -> Request:
        return generate_request(prompt, model_name(model, self._model), stream, **fields)

    def _answer(self, request: Request) -> Reply:
        exchange = self._begin(request)
        try:
            exchange.open()
            for _ in exchange.chunks:
                pass
        finally:
            exchange.close()
        return exchange.call.reply()

    async def _answer_async(self, request: Request) -> Reply:
        exchange = self._begin_async(request)
        try:
            await exchange.open()
            async for _ in exchange.chunks:
                pass
        finally:
            await exchange.close()
        return exchange.call.reply()
