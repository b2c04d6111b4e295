"""An answer that breaks off after each of its bytes: never a hang, a raw error or a second ending."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import pytest

from ollameter import OllamaProvider
from ollameter.testing import CapturedTelemetry
from tests.faults.fault import PATIENT
from tests.faults.server import Asked, Connection, RawServer, chunk
from tests.providers.calls import Ran, both_sides, run, run_async

HEAD = b"HTTP/1.1 200 OK\r\n"
LINES = [b'{"message":{"content":"Hel"}}\n', b'{"message":{"content":"lo"},"done":true}\n']
WHOLE = HEAD + b'Content-Length: 43\r\n\r\n{"message":{"content":"Hello"},"done":true}'
STREAM = HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(map(chunk, LINES)) + b"0\r\n\r\n"
LINE_ENDS = [STREAM.index(line) + len(line) for line in LINES]

# What breaks off within the headers is told differently by the two HTTP libraries.
TYPES = {"connection_reset", "stream_truncated", "invalid_response"}


class _Cut:
    """Sends one byte more of an answer each time, and breaks off."""

    def __init__(self, answer: bytes, how: Callable[[Connection], None]) -> None:
        self._answer = answer
        self._how = how
        self.asked = 0

    def __call__(self, connection: Connection, asked: Asked) -> None:
        """Treat one request."""
        sent, self.asked = self.asked, self.asked + 1
        connection.send(self._answer[:sent])
        self._how(connection)


@both_sides
@pytest.mark.parametrize("how", [Connection.end, Connection.reset])
@pytest.mark.parametrize("kind", ["chat", "stream"])
def test_an_answer_cut_off_after_any_byte_ends_its_call_once(
    kind: str, how: Callable[[Connection], None], side: str, captured: CapturedTelemetry
) -> None:
    """The more was sent, the more is known; whole is what has its done line."""
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # it tells of each header that is cut off
    answer = STREAM if kind == "stream" else WHOLE
    count = len(answer) + 1
    with RawServer() as server:
        server.serve = cut = _Cut(answer, how)
        llm = OllamaProvider(
            server.base_url, model="m", timeout=PATIENT, host_monitor=False, watch_models=False,
            trust_env=False,
            **captured.providers,
        )  # fmt: skip
        rans = _sync(llm, kind, count) if side == "sync" else asyncio.run(_async(llm, kind, count))

    assert cut.asked == count
    assert {ran.error.error_type for ran in rans if ran.error is not None} <= TYPES
    for sent, ran in enumerate(rans):
        if (kind, side) == ("stream", "sync") and sent in _unseen_by_urllib3(how):
            continue
        assert (ran.text, ran.error is None) == _known(kind, sent), (sent, ran.error)
    assert len(captured.spans) == count
    assert sum(point.count or 0 for point in captured.points("gen_ai.client.operation.duration")) == count
    assert [point.value for point in captured.points("ollama.client.active_requests")] == [0]


def _known(kind: str, sent: int) -> tuple[str, bool]:
    """Return the text that so many bytes say, and whether it is all; a line may lack its LF."""
    if kind == "chat":
        return ("Hello", True) if sent == len(WHOLE) else ("", False)
    lines = sum(sent >= end - 1 for end in LINE_ENDS)
    return ("", "Hel", "Hello")[lines], lines == 2


def _unseen_by_urllib3(how: Callable[[Connection], None]) -> set[int]:
    """Return where a line is there, but not the end of its HTTP chunk, and urllib3 drops both."""
    return {end + i for end in LINE_ENDS for i in ((0, 1) if how is Connection.end else (-1, 0, 1))}


def _sync(llm: OllamaProvider, kind: str, count: int) -> list[Ran]:
    with llm:
        return [run(llm, "sync", kind) for _ in range(count)]


async def _async(llm: OllamaProvider, kind: str, count: int) -> list[Ran]:
    async with llm:
        return [await run_async(llm, kind) for _ in range(count)]
