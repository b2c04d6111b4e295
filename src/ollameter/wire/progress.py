"""How a pull gets on, line by line: bytes in, progress or our errors out."""

from __future__ import annotations

from typing import Any

import msgspec

from ollameter.errors import InvalidResponse
from ollameter.messages import Final, Request
from ollameter.wire.ndjson import MAX_LINE_BYTES
from ollameter.wire.reading import UNREADABLE, AnswerReader, final_object, foreign, whole_object


class PullProgress(msgspec.Struct, frozen=True):
    """One step of a pull, in the server's words; the last one is `success`.

    `digest` names the part being fetched, `completed_bytes` of `total_bytes` of it are there;
    None when the step is about no part, or the server did not say.
    """

    status: str
    digest: str | None = None
    completed_bytes: int | None = None
    total_bytes: int | None = None


class ProgressReader(AnswerReader[PullProgress]):
    """Turns the body of one pull into its steps; `success` is the last, whatever follows."""

    cut_off = "the pull ended without `success`: it is not complete"

    def __init__(self, request: Request, max_line_bytes: int = MAX_LINE_BYTES) -> None:
        super().__init__(ProgressReader._step, max_line_bytes, whole=False)

    def _step(self, line: bytes) -> PullProgress:
        try:
            raw = whole_object(line)
        except UNREADABLE as error:
            raise foreign(error) from error
        status = raw.get("status")
        if not isinstance(status, str):
            raise InvalidResponse("the server sent a step of a pull without `status`")
        if status == "success":
            self.final: Final | None = final_object(raw)
        digest = raw.get("digest")
        return PullProgress(
            status,
            digest if isinstance(digest, str) else None,
            _bytes(raw.get("completed")),
            _bytes(raw.get("total")),
        )


def _bytes(count: Any) -> int | None:
    usable = isinstance(count, int) and not isinstance(count, bool) and count >= 0
    return count if usable else None
