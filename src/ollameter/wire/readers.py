"""Which reader an answer needs: the one place that knows them all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ollameter.messages import Request
from ollameter.wire.embedding import EmbeddingReader
from ollameter.wire.ndjson import MAX_LINE_BYTES
from ollameter.wire.ollama import ChunkReader
from ollameter.wire.progress import ProgressReader
from ollameter.wire.reading import AnswerReader

_READERS: dict[str, Callable[[Request, int], AnswerReader[Any]]] = {
    "/api/embed": EmbeddingReader,
    "/api/pull": ProgressReader,
}


def reader_of(request: Request, max_line_bytes: int = MAX_LINE_BYTES) -> AnswerReader[Any]:
    """Return what reads the answer to a request."""
    return _READERS.get(request.path, ChunkReader)(request, max_line_bytes)
