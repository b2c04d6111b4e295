"""Linux's /proc: small files, read at a third of what `open` takes."""

from __future__ import annotations

import os
import weakref

_PIECE = 1 << 16
_open: weakref.WeakSet[KeptFile] = weakref.WeakSet()


def read_proc(path: str) -> bytes | None:
    """Return what a file says now; None where it is missing, refused, or its process has ended."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        text = os.read(descriptor, _PIECE)
        while piece := os.read(descriptor, _PIECE):  # long files come in pages
            text += piece
        return text
    except OSError:  # the process ended between the two calls
        return None
    finally:
        os.close(descriptor)


class KeptFile:
    """A file that is read again and again: kept open, so that its path is walked only once."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor: int | None = None

    def read(self) -> bytes | None:
        """Return what it says now; None where it is missing or refused."""
        try:
            if self._descriptor is None:
                self._descriptor = os.open(self._path, os.O_RDONLY)
                _open.add(self)
            text = os.pread(self._descriptor, _PIECE, 0)
            while piece := os.pread(self._descriptor, _PIECE, len(text)):
                text += piece
            return text
        except OSError:  # pressure files say only now that they are switched off
            return None

    def close(self) -> None:
        """Close it; another `read` opens it again."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def __del__(self) -> None:
        self.close()


def close_kept_files() -> None:
    """Close what a fork has left open: the thread that kept it is not in the child."""
    for file in list(_open):
        file.close()
