"""How numbers are said: units in full, two decimals at most, nothing that looks more exact than it is."""

from __future__ import annotations

_GIB = 1 << 30


def seconds(value: float) -> str:
    """Return a duration."""
    return f"{value:.2f} s"


def percent(ratio: float) -> str:
    """Return a share of 0-1."""
    return f"{ratio * 100:.0f} %"


def tokens(count: int) -> str:
    """Return a number of tokens."""
    return f"{count} token" if count == 1 else f"{count} tokens"


def gib(size_bytes: int) -> str:
    """Return a size of memory."""
    return f"{size_bytes / _GIB:.1f} GiB"
