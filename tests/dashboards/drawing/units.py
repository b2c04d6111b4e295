"""Numbers as Grafana's units write them."""

from __future__ import annotations

_BINARY = ("B", "KiB", "MiB", "GiB", "TiB")
_SHORT = ((1e9, " Bil"), (1e6, " Mil"), (1e3, " K"))
_TIMES = ((60.0, " min"), (1.0, " s"), (1e-3, " ms"), (1e-6, " µs"))
_SUFFIXES = {"reqps": " req/s", "cps": " c/s", "watt": " W", "celsius": " °C"}


def written(value: float, unit: str) -> str:
    """Return a number in a unit of Grafana's, with about three digits."""
    if unit == "percentunit":
        return f"{_digits(value * 100)}%"
    if unit == "bytes":
        return _bytes(value)
    if unit == "s":
        return _seconds(value)
    suffix = (
        f" {unit.removeprefix('suffix:').strip()}"
        if unit.startswith("suffix:")
        else _SUFFIXES.get(unit, "")
    )
    for size, name in _SHORT:
        if abs(value) >= size:
            return f"{_digits(value / size)}{name}{suffix}"
    return _digits(value) + suffix


def _seconds(value: float) -> str:
    for size, name in _TIMES:
        if abs(value) >= size:
            return _digits(value / size) + name
    return f"{_digits(value)} s"


def _bytes(value: float) -> str:
    for name in _BINARY[:-1]:
        if abs(value) < 1024:
            return f"{_digits(value)} {name}"
        value /= 1024
    return f"{_digits(value)} {_BINARY[-1]}"


def _digits(value: float) -> str:
    decimals = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 0.1 else 3
    text = f"{value:.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
