"""A pull as a call: its answer is progress, nothing of which is text, and its limits are its own."""

from __future__ import annotations

from typing import Any

import msgspec

from ollameter.call import Call
from ollameter.messages import Final
from ollameter.providers.deadlines import Timeouts


class PullCall(Call):
    """Counts steps instead of collecting an answer."""

    def add(self, chunk: Any, final: Final | None) -> None:
        """Take note of a step; the one that came with `final` completes the call."""
        self._chunks += 1
        if final is not None:
            self._final = final
            self._end("completed")


def for_pulling(timeouts: Timeouts) -> Timeouts:
    """Return limits under which a server may say nothing while it checks what it has fetched."""
    return msgspec.structs.replace(timeouts, idle=timeouts.first_byte)
