"""However much a server sends, this process holds no more than it said it would."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable

import pytest

from tests.faults.bodies import bomb
from tests.faults.server import Asked, Connection, RawServer, Serve, answer_well, chunk, head
from tests.providers.calls import both_sides

MIB = 1 << 20
CHUNKED = head(b"Transfer-Encoding: chunked")
PACKED = head(b"Transfer-Encoding: chunked", b"Content-Encoding: gzip")

SCRIPT = textwrap.dedent("""
    import asyncio, resource, sys
    from ollameter import OllamaProvider, Timeouts
    from tests.providers.calls import run

    def held_mib():
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most / (1 << 20 if sys.platform == "darwin" else 1024)

    url, side, kind, max_line_bytes = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
    with OllamaProvider(
        url, model="m", timeout=Timeouts(first_byte=8, idle=8), max_line_bytes=max_line_bytes,
        trust_env=False, host_monitor=False, watch_models=False,
    ) as llm:
        assert run(llm, side, kind).text == "Hello!"
        before = held_mib()
        error = run(llm, side, kind).error
        print(getattr(error, "error_type", repr(error)), round(held_mib() - before, 1))
""")


def _very_long(start: bytes, filler: bytes, mib: int) -> Serve:
    def serve(connection: Connection, _: Asked) -> None:
        connection.send(start)
        for _n in range(mib):
            if connection.ended:
                return
            connection.send(filler)

    return serve


def _bomb(status: bytes) -> Serve:
    def serve(connection: Connection, _: Asked) -> None:
        packed = bomb(256 * MIB)
        connection.send(PACKED.replace(b"200 OK", status) + chunk(packed))
        connection.wait_until_left()

    return serve


LINE = _very_long(CHUNKED, chunk(b"x" * MIB), 100)
SIZE = _very_long(CHUNKED, b"0" * MIB, 100)
HEADER = _very_long(b"HTTP/1.1 200 OK\r\nX: ", b"x" * MIB, 100)

# What is sent, how long a line may be, how it ends on each side, and how many MiB more it may take.
CASES: dict[str, tuple[Serve, int, str, str, float]] = {
    "a line of 100 MiB": (LINE, 64 * MIB, "invalid_response", "invalid_response", 96),
    "a line of 100 MiB, 1 MiB allowed": (LINE, MIB, "invalid_response", "invalid_response", 16),
    "256 MiB packed": (_bomb(b"200 OK"), MIB, "invalid_response", "invalid_response", 16),
    "256 MiB packed as an error": (_bomb(b"500 Oh"), MIB, "500", "500", 16),
    # One gives up after 64 KiB, the other counts zeros for ever, without keeping them.
    "a chunk size of 100 MiB": (SIZE, MIB, "stream_truncated", "read_timeout", 16),
    "a header of 100 MiB": (HEADER, MIB, "invalid_response", "invalid_response", 16),
}


@both_sides
@pytest.mark.parametrize("kind", ["chat", "stream"])
@pytest.mark.parametrize("case", CASES)
def test_what_a_server_sends_is_held_within_bounds(case: str, kind: str, side: str) -> None:
    """Measured in a process of its own, as the most it ever held beyond a good call."""
    serve, max_line_bytes, in_sync, in_async, most_mib = CASES[case]
    with RawServer() as server:
        server.serve = _second(serve)
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, server.base_url, side, kind, str(max_line_bytes)],
            capture_output=True, text=True, timeout=120, check=True,
        )  # fmt: skip
    error_type, grown_mib = done.stdout.split()

    assert error_type == (in_sync if side == "sync" else in_async)
    assert float(grown_mib) <= most_mib


def _second(serve: Callable[[Connection, Asked], None]) -> Serve:
    """Answer the first request well."""
    asked_before: list[Asked] = []

    def treat(connection: Connection, asked: Asked) -> None:
        (serve if asked_before else answer_well)(connection, asked)
        asked_before.append(asked)

    return treat
