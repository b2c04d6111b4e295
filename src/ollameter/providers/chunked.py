"""A chunked body, read chunk by chunk off urllib3's response at a third of what its own way costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from http.client import IncompleteRead
from typing import Any

from urllib3.exceptions import InvalidChunkLength, ProtocolError

_MAX_LINE_BYTES = 64 << 10


def can_read_chunks(raw: Any) -> bool:
    """Whether the chunks are there as they came: not compressed, over HTTP/1.1."""
    file = getattr(getattr(raw, "_fp", None), "fp", None)
    return bool(
        raw.chunked
        and file is not None
        and "Content-Encoding" not in raw.headers
        and hasattr(raw, "_original_response")
    )


def read_chunks(raw: Any, piece_bytes: int) -> Iterator[bytes]:
    """Yield the chunks, long ones in pieces; then give the connection back.

    Raises what urllib3 would: `InvalidChunkLength`, `ProtocolError`; and `IncompleteRead` with
    what had come of a chunk that was cut off.
    """
    file = raw._fp.fp  # noqa: SLF001  # where urllib3, too, reads chunks from
    readline, read = file.readline, file.read
    while True:
        line = readline(_MAX_LINE_BYTES)
        try:
            size = int(line, 16)
        except ValueError:
            size = _odd_size(raw, line)
        if 0 < size <= piece_bytes:
            data = read(size + 2)
            if len(data) < size + 2:
                raise IncompleteRead(data[:size])
            yield data[:-2]
        elif size > 0:
            yield from _long_chunk(read, size, piece_bytes)
        elif size == 0:
            break
        else:
            raise InvalidChunkLength(raw, line)
    while (line := readline(_MAX_LINE_BYTES)) not in {b"\r\n", b"\n", b""}:
        if len(line) == _MAX_LINE_BYTES:
            raise ProtocolError("a trailer is too long")
    raw._original_response.close()  # noqa: SLF001  # likewise: the body has ended
    raw.release_conn()


def _odd_size(raw: Any, line: bytes) -> int:
    """Read a size that has extensions behind it; nobody uses them."""
    if not line:
        raise IncompleteRead(b"")
    try:
        return int(line.partition(b";")[0], 16)
    except ValueError:
        raise InvalidChunkLength(raw, line[:80]) from None


def _long_chunk(read: Callable[[int], bytes], size: int, piece_bytes: int) -> Iterator[bytes]:
    while size > 0:
        data = read(min(size, piece_bytes))
        if not data:
            raise IncompleteRead(b"", size)
        size -= len(data)
        yield data
    if len(read(2)) < 2:
        raise IncompleteRead(b"")
