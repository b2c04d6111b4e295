"""How a pull gets on, line by line: bytes in, progress or our errors out."""

from __future__ import annotations

import msgspec


class PullProgress(msgspec.Struct, frozen=True):
    """One step of a pull, in the server's words; the last one is `success`.

    `digest` names the part being fetched, `completed_bytes` of `total_bytes` of it are there;
    None when the step is about no part, or the server did not say.
    """

    status: str
    digest: str | None = None
    completed_bytes: int | None = None
    total_bytes: int | None = None
