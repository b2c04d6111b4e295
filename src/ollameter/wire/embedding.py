"""The answer of embed as vectors: bytes in, one list of numbers an input or our errors out."""

from __future__ import annotations

import msgspec

from ollameter.errors import InvalidResponse
from ollameter.messages import Chunk, Final, Request
from ollameter.wire.ndjson import MAX_LINE_BYTES
from ollameter.wire.reading import UNREADABLE, AnswerReader, final_object, foreign, whole_object


class EmbeddingReader(AnswerReader[Chunk]):
    """Turns the body of one embed answer into a chunk without text; the vectors are in `final.raw`."""

    cut_off = "the vectors ended in the middle: the answer is cut off"

    def __init__(self, request: Request, max_line_bytes: int = MAX_LINE_BYTES) -> None:
        super().__init__(EmbeddingReader._vectors, max_line_bytes, whole=True)

    def _vectors(self, body: bytes) -> Chunk:
        try:
            raw = whole_object(body)
            if "embeddings" not in raw:
                raise InvalidResponse("the server sent an answer without `embeddings`")
            raw["embeddings"] = msgspec.convert(raw["embeddings"], list[list[float]])
        except UNREADABLE as error:
            raise foreign(error) from error
        self.final: Final | None = final_object(raw)
        return Chunk(final=True)
