"""Bytes, shares and durations as people read them."""

from __future__ import annotations

UNKNOWN = "-"


def size_text(size_bytes: float | None) -> str:
    """Return a size in the unit that leaves few digits: 1.9 GiB."""
    if size_bytes is None:
        return UNKNOWN
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size_bytes < 1024:
            return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1024
    return f"{size_bytes:.1f} TiB"


def share_text(share: float | None) -> str:
    """Return a ratio of 0-1 in per cent."""
    return UNKNOWN if share is None else f"{share:.0%}"


def time_text(seconds: float) -> str:
    """Return a time to wait in at most two units: 4 min 10 s."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
