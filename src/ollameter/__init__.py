"""Call local models on Ollama and know what each call cost: inline and as OpenTelemetry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ollameter._version import __version__ as __version__
from ollameter.errors import (
    ConnectionFailed,
    IncompleteResponse,
    InvalidRequest,
    InvalidResponse,
    ModelNotFound,
    OllameterError,
    ResponseError,
    ServerBusy,
    Timeout,
    TooManyRounds,
)
from ollameter.messages import Chunk, Embedding, Message, Reply, ToolCall, ToolsReply
from ollameter.metrics import GpuLoad, HostLoad, ModelFacts, PerformanceMetrics, ServerTimings

if TYPE_CHECKING:
    from ollameter.host.monitor import HostMonitor
    from ollameter.providers.base import LLMProvider
    from ollameter.providers.deadlines import Timeouts
    from ollameter.providers.ollama import OllamaProvider
    from ollameter.providers.streams import AsyncStream, Stream
    from ollameter.telemetry.setup import configure
    from ollameter.wire.availability import Availability
    from ollameter.wire.models import ModelDetails, ModelInfo, RunningModel
    from ollameter.wire.progress import PullProgress

__all__ = [
    "AsyncStream",
    "Availability",
    "Chunk",
    "ConnectionFailed",
    "Embedding",
    "GpuLoad",
    "HostLoad",
    "HostMonitor",
    "IncompleteResponse",
    "InvalidRequest",
    "InvalidResponse",
    "LLMProvider",
    "Message",
    "ModelDetails",
    "ModelFacts",
    "ModelInfo",
    "ModelNotFound",
    "OllamaProvider",
    "OllameterError",
    "PerformanceMetrics",
    "PullProgress",
    "Reply",
    "ResponseError",
    "RunningModel",
    "ServerBusy",
    "ServerTimings",
    "Stream",
    "Timeout",
    "Timeouts",
    "TooManyRounds",
    "ToolCall",
    "ToolsReply",
    "configure",
]

# Imported at first use: `import ollameter` loads no HTTP library, no psutil and no OpenTelemetry.
_LAZY = {
    "AsyncStream": "ollameter.providers.streams",
    "Availability": "ollameter.wire.availability",
    "HostMonitor": "ollameter.host.monitor",
    "LLMProvider": "ollameter.providers.base",
    "ModelDetails": "ollameter.wire.models",
    "ModelInfo": "ollameter.wire.models",
    "OllamaProvider": "ollameter.providers.ollama",
    "PullProgress": "ollameter.wire.progress",
    "RunningModel": "ollameter.wire.models",
    "Stream": "ollameter.providers.streams",
    "Timeouts": "ollameter.providers.deadlines",
    "configure": "ollameter.telemetry.setup",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(_LAZY[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
