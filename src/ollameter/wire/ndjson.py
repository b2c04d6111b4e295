"""Bytes in, lines out: newline-delimited JSON cut at LF and nowhere else."""

from __future__ import annotations

from ollameter.errors import InvalidResponse

MAX_LINE_BYTES = 64 << 20


class WholeBody:
    """Collects the pieces of a body that is read as one: no more than `max_line_bytes`."""

    def __init__(self, max_line_bytes: int = MAX_LINE_BYTES) -> None:
        self._left = max_line_bytes
        self._pieces: list[bytes] = []

    def feed(self, data: bytes) -> None:
        """Take the next piece; raises `InvalidResponse` past the bound."""
        self._left -= len(data)
        if self._left < 0:
            raise InvalidResponse("the server sent an answer that is longer than max_line_bytes")
        self._pieces.append(data)

    def rest(self) -> bytes:
        """Return everything that came, once."""
        whole = b"".join(self._pieces)
        self._pieces.clear()
        return whole


class LineSplitter:
    """Collects pieces of a body and hands out whole lines, blank ones left out.

    What follows the last LF is kept for the next piece. A line longer than `max_line_bytes`
    raises `InvalidResponse`, so that a server cannot make us hold more than that.
    """

    def __init__(self, max_line_bytes: int = MAX_LINE_BYTES) -> None:
        self._max = max_line_bytes
        self.tail: list[bytes] = []
        self._tail_bytes = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next piece; return the lines it completed, without their LF."""
        # LF only: JSON text may contain U+0085 and U+2028 as they are.
        *lines, rest = data.split(b"\n")
        if self._tail_bytes + len(data) > self._max:
            self._check_lengths(lines, rest)
        if lines and self.tail:
            lines[0] = b"".join((*self.tail, lines[0]))
            self.tail.clear()
            self._tail_bytes = 0
        if rest:
            self.tail.append(rest)
            self._tail_bytes += len(rest)
        return [line for line in lines if line and not line.isspace()]

    def rest(self) -> bytes:
        """Return what came after the last LF: a last line may lack its own."""
        rest = b"".join(self.tail)
        self.tail.clear()
        self._tail_bytes = 0
        return b"" if rest.isspace() else rest

    def _check_lengths(self, lines: list[bytes], rest: bytes) -> None:
        lengths = [len(line) for line in (*lines, rest)]
        lengths[0] += self._tail_bytes
        if max(lengths) > self._max:
            raise InvalidResponse(f"the server sent a line of more than {self._max} bytes")
