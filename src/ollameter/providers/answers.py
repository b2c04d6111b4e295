"""What asks a model for an answer: whole or streamed, each method next to its async twin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

from ollameter.call import Call
from ollameter.messages import Embedding, Reply, Request
from ollameter.providers.base import Messages
from ollameter.providers.core import ServerCalls
from ollameter.providers.streams import AsyncStream, Stream
from ollameter.wire.fields import ChatFields, EmbedFields, GenerateFields
from ollameter.wire.request import chat_request, embed_request, generate_request, model_name


class Answers(ServerCalls):
    """Chats, generations and embeddings."""

    def chat(self, messages: Messages, model: str | None = None, **fields: Unpack[ChatFields]) -> Reply:
        """Answer a conversation with one whole reply, which unpacks as `text, metrics`.

        `messages` are dicts or `Message`; `fields` are Ollama's (see `ChatFields`). Raises
        `InvalidRequest` before anything is sent, else the errors of `ollameter.errors`.
        """
        return self._complete(self._chat_request(messages, model, False, fields)).reply()

    async def chat_async(
        self, messages: Messages, model: str | None = None, **fields: Unpack[ChatFields]
    ) -> Reply:
        """Do as `chat` without blocking the event loop."""
        request = self._chat_request(messages, model, False, fields)
        return (await self._complete_async(request)).reply()

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
        return self._complete(self._generate_request(prompt, model, False, fields)).reply()

    async def generate_async(
        self, prompt: str, model: str | None = None, **fields: Unpack[GenerateFields]
    ) -> Reply:
        """Do as `generate` without blocking the event loop."""
        request = self._generate_request(prompt, model, False, fields)
        return (await self._complete_async(request)).reply()

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

    def embed(
        self,
        input: str | Sequence[str],  # noqa: A002  # Ollama's own field name
        model: str | None = None,
        **fields: Unpack[EmbedFields],
    ) -> Embedding:
        """Turn a text, or each of several, into a vector of length one: unpacks as `vectors, metrics`.

        `fields` are Ollama's (see `EmbedFields`). No texts make no vectors, but load the model. An
        input that is too long is cut, unless `truncate=False` makes it an error. Raises
        `ResponseError` for a model that cannot embed.
        """
        request = embed_request(input, model_name(model, self._model), **fields)
        return _embedding(self._complete(request))

    async def embed_async(
        self,
        input: str | Sequence[str],  # noqa: A002  # Ollama's own field name
        model: str | None = None,
        **fields: Unpack[EmbedFields],
    ) -> Embedding:
        """Do as `embed` without blocking the event loop."""
        request = embed_request(input, model_name(model, self._model), **fields)
        return _embedding(await self._complete_async(request))

    def _chat_request(self, messages: Messages, model: str | None, stream: bool, fields: Any) -> Request:
        return chat_request(messages, model_name(model, self._model), stream, **fields)

    def _generate_request(self, prompt: str, model: str | None, stream: bool, fields: Any) -> Request:
        return generate_request(prompt, model_name(model, self._model), stream, **fields)


def _embedding(call: Call) -> Embedding:
    metrics, final = call.finished()
    return Embedding(final.raw["embeddings"], metrics, raw=final.raw)
