"""A server's loaded models and a clock, both as a test says, for what watches them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ollameter.messages import Final, Request
from ollameter.metrics import ServerTimings
from ollameter.wire.models import RunningModel

NS = 1_000_000_000


class Clock:
    """A time that a test sets."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        """Return it."""
        return self.now_s


class Glance:
    """What the server says when it is asked, or what goes wrong."""

    def __init__(self, *loaded: RunningModel) -> None:
        self.loaded: Sequence[RunningModel] = loaded
        self.error: Exception | None = None
        self.asked = 0
        self.is_closed = False

    def ask(self) -> Sequence[RunningModel]:
        """Answer, or raise."""
        self.asked += 1
        if self.error is not None:
            raise self.error
        return self.loaded

    def close(self) -> None:
        """Take note."""
        self.is_closed = True

    def disown(self) -> None:
        """Do nothing."""


def running(name: str = "llama3.2:latest", context_length: int = 4096) -> RunningModel:
    """Return a model in memory, half of it on a GPU."""
    details = {"quantization_level": "Q4_K_M", "parameter_size": "3.2B", "family": "llama"}
    return RunningModel(
        name=name, size=2000, size_vram=1000, digest="d1", details=details, context_length=context_length
    )


def request(model: str = "llama3.2", content: str = "Why?", **fields: Any) -> Request:
    """Return a chat."""
    body = {"model": model, "messages": [{"role": "user", "content": content}], **fields}
    return Request(operation="chat", path="/api/chat", model=model, stream=False, body=body)


def final(load_s: float = 0.001, total_s: float = 0.5, count: int | None = 26) -> Final:
    """Return the end of an answer."""
    timings = ServerTimings(
        load_duration=int(load_s * NS), total_duration=int(total_s * NS), prompt_eval_count=count
    )
    return Final(timings=timings, response_model="llama3.2", finish_reason="stop", raw={})
