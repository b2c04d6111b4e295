"""Another provider behind the same interface: an application written against LLMProvider takes either."""

import sys
from datetime import UTC, datetime
from typing import Any

from ollameter import LLMProvider, OllamaProvider, PerformanceMetrics, Reply


class Parrot(LLMProvider):
    """Says what it was told, and what that cost."""

    _last: PerformanceMetrics | None = None

    def chat(self, messages: Any, model: str | None = None) -> Reply:
        known: dict[str, Any] = {"operation": "chat", "outcome": "completed", "duration_s": 0.0}
        self._last = PerformanceMetrics(model=model or "parrot", started_at=datetime.now(UTC), **known)
        return Reply(messages[-1]["content"], self._last)

    async def chat_async(self, messages: Any, model: str | None = None) -> Reply:
        return self.chat(messages, model)

    def list_models(self) -> list[str]:
        return ["parrot"]

    def get_performance_metrics(self) -> PerformanceMetrics | None:
        return self._last

    def close(self) -> None: ...

    async def aclose(self) -> None: ...


if __name__ == "__main__":
    for provider in (Parrot(), OllamaProvider(model=sys.argv[1])):
        with provider as llm:
            print(
                llm.chat([{"role": "user", "content": "Hello!"}]).text, "-", llm.get_performance_metrics()
            )
