"""What tells a server to load, unload or pull a model, each method next to its async twin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ollameter.metrics import PerformanceMetrics
from ollameter.providers.core import ServerCalls
from ollameter.providers.streams import AsyncPull, Pull
from ollameter.wire.commands import load_request, pull_request, unload_request
from ollameter.wire.request import model_name


class Commands(ServerCalls):
    """Orders with spans of their own; none of them is a GenAI operation, and none has metrics."""

    def load(
        self,
        model: str | None = None,
        keep_alive: float | str | None = None,
        *,
        options: Mapping[str, Any] | None = None,
    ) -> PerformanceMetrics:
        """Load a model into memory, and return what that cost: `duration_s`; Ollama sends no numbers.

        `keep_alive` says how long it stays without calls: seconds, or a duration such as "5m";
        negative is forever. Give the `options` that later calls will give (`num_ctx`, say), else
        the first of them loads the model again. A model that only embeds is loaded by `embed([])`.
        """
        request = load_request(model_name(model, self._model), keep_alive=keep_alive, options=options)
        return self._complete(request).finished()[0]

    async def load_async(
        self,
        model: str | None = None,
        keep_alive: float | str | None = None,
        *,
        options: Mapping[str, Any] | None = None,
    ) -> PerformanceMetrics:
        """Do as `load` without blocking the event loop."""
        request = load_request(model_name(model, self._model), keep_alive=keep_alive, options=options)
        return (await self._complete_async(request)).finished()[0]

    def unload(self, model: str | None = None) -> PerformanceMetrics:
        """Have a model leave memory as soon as no call uses it; return how long the order took."""
        request = unload_request(model_name(model, self._model))
        return self._complete(request).finished()[0]

    async def unload_async(self, model: str | None = None) -> PerformanceMetrics:
        """Do as `unload` without blocking the event loop."""
        request = unload_request(model_name(model, self._model))
        return (await self._complete_async(request)).finished()[0]

    def pull(self, model: str | None = None) -> Pull:
        """Have the server fetch a model; iterate over the steps, the last of which is `success`.

        The request goes out at the first step, or at `with`. Leaving early, `close()` and dropping
        the iterator stop the pull; the server keeps what it has fetched. Raises `ResponseError` in
        the server's words when it cannot fetch the model, `IncompleteResponse` when the steps end
        without `success`. Between two steps `Timeouts.first_byte` is the limit, not `idle`: while
        a server checks a large file it says nothing.
        """
        return Pull(self._begin(pull_request(model_name(model, self._model))))

    def pull_async(self, model: str | None = None) -> AsyncPull:
        """Do as `pull` without blocking: not to be awaited, but iterated with `async for`."""
        return AsyncPull(self._begin_async(pull_request(model_name(model, self._model))))
