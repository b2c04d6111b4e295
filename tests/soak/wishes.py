"""A FakeOllama in a process of its own that answers as each call wishes: `python -m tests.soak.wishes`.

It prints its URL, and stops when its standard input ends.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from ollameter.testing import Answer, FakeOllama, chat_lines, error_answer, error_line, generate_lines
from ollameter.testing.received import ReceivedRequest

_KEPT_REQUESTS = 1000


def _broken(lines: list[dict[str, Any]], **how: Any) -> Answer:
    return Answer(lines=lines, cut_after_lines=2, **how)


# How often each is wished for, and what the answer is then; None is a good one.
WISHES: dict[str, tuple[int, Callable[[list[dict[str, Any]]], Answer | None]]] = {
    "good": (60, lambda _: None),
    "slow": (6, lambda lines: Answer(lines=lines, gap_s=0.005)),
    "cut off": (5, lambda lines: _broken(lines, cut="missing_last_chunk")),
    "reset": (5, lambda lines: _broken(lines, cut="reset")),
    "without done": (4, lambda lines: Answer(lines=lines[:-1])),
    "error line": (4, lambda lines: Answer(lines=[lines[0], error_line("unexpected EOF")])),
    "garbage": (4, lambda lines: Answer(lines=[lines[0], b"<html>\xff\x00\n"])),
    "absent": (3, lambda _: error_answer(404, "model 'm' not found")),
    "failed": (3, lambda _: error_answer(500, "llama-server process has terminated")),
    "busy": (3, lambda _: error_answer(503, "server busy", Retry_After="0")),
    "redirect": (1, lambda _: Answer(status=307, headers={"Location": "/elsewhere"}, framing="length")),
    "closing": (1, lambda lines: Answer(lines=lines, framing="close")),
    "stalled": (1, lambda lines: _broken(lines, cut="hang")),
}


class _AsWished:
    """Stands in for the server's own answers: what to do is in the prompt."""

    def __init__(self, server: FakeOllama) -> None:
        self._server = server
        self._own = server._defaults

    def answer(self, request: ReceivedRequest) -> Answer:
        """Return the answer that the request wishes for."""
        if len(self._server.requests) > _KEPT_REQUESTS:
            self._server.requests.clear()
            self._server.closed_early.clear()
        asked = request.json or {}
        chat = "messages" in asked
        wish = asked["messages"][-1]["content"] if chat else str(asked.get("prompt"))
        make = WISHES.get(wish, WISHES["good"])[1]
        lines = (chat_lines if chat else generate_lines)("Hel", "lo", "!")
        return make(lines) or self._own.answer(request)


def main() -> None:
    """Serve until the standard input ends."""
    with FakeOllama() as server:
        standing_in: Any = _AsWished(server)
        server._defaults = standing_in
        print(server.base_url, flush=True)  # noqa: T201  # read by the soak
        sys.stdin.read()


if __name__ == "__main__":
    main()
