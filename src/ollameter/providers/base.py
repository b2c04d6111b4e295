"""What every provider of local models offers; an application can be written against this alone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Self

from ollameter.messages import Message, Reply
from ollameter.metrics import PerformanceMetrics

Messages = Sequence[Message | Mapping[str, Any]]


class LLMProvider(ABC):
    """A source of answers that says what each one cost."""

    @abstractmethod
    def chat(self, messages: Messages, model: str | None = None) -> Reply:
        """Answer a conversation; the reply unpacks as `text, metrics`."""

    @abstractmethod
    async def chat_async(self, messages: Messages, model: str | None = None) -> Reply:
        """Answer a conversation without blocking the event loop."""

    @abstractmethod
    def list_models(self) -> list[str]:
        """Return the names of the models that can be called."""

    @abstractmethod
    def get_performance_metrics(self) -> PerformanceMetrics | None:
        """Return what the call that ended last has cost; None before the first."""

    @abstractmethod
    def close(self) -> None:
        """Release every connection; calling it again does nothing."""

    @abstractmethod
    async def aclose(self) -> None:
        """Release every connection from within an event loop; calling it again does nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()
