"""Writes docs/failures.md from what the fault suite observes: `python -m tests.faults.table`."""

from __future__ import annotations

from pathlib import Path

from tests.faults import bodies, framing, opening, reuse, statuses
from tests.faults.fault import SIDES, Fault
from tests.faults.observe import SLACK_S, Observed, observed

PATH = Path(__file__).parents[2] / "docs" / "failures.md"

CHAPTERS = {
    "Before the body": opening.FAULTS,
    "Where the body ends": framing.FAULTS,
    "What the body says": bodies.FAULTS,
    "Statuses": statuses.FAULTS,
    "Between two calls": reuse.FAULTS,
}

_INTRODUCTION = f"""# What happens when something goes wrong

Written by `python -m tests.faults.table`, which makes each call and notes what came of it; `tests/faults`
fails when this page and what it observes differ. Each fault is met by `chat`, `stream`, `generate` and
`stream_generate` on both sides (by `chat` and `stream` alone where a deadline has to pass). *whole* is
`chat` and `generate`, *stream* their streamed forms; rows are split where these, or sync and async, differ.

After every row the server is well again: the provider's next call is answered, and once the provider is
closed no file descriptor is left over.

- **text**: what came before the error, in `error.partial_text` and `stream.text`
- **connection**: what became of those the call used, as the server saw it
- **spans**, **points**: spans ended, and points of `gen_ai.client.operation.duration`, for this one call;
  `ollama.client.active_requests` is 0 again
- **back within**: the limit (of `Timeouts`) that ends the wait, and {SLACK_S:g} s at most beyond it;
  without a limit the call returns within {SLACK_S:g} s
"""
_COLUMNS = (
    "fault", "call", "error", "`error.type`", "outcome", "attempts", "text", "connection", "spans",
    "points", "back within",
)  # fmt: skip
_HEADER = f"| {' | '.join(_COLUMNS)} |\n{'|---' * len(_COLUMNS)}|\n"
_CALLS = [(family, side) for family in ("whole", "stream") for side in SIDES]


def document() -> str:
    """Return the whole page."""
    chapters = (f"\n## {title}\n\n{_HEADER}{_rows(faults)}" for title, faults in CHAPTERS.items())
    return _INTRODUCTION + "".join(chapters)


def _rows(faults: dict[str, Fault]) -> str:
    return "".join(
        f"| {name} | {calls} | {row} |\n"
        for name, fault in faults.items()
        for row, calls in _grouped(name, fault).items()
    )


def _grouped(name: str, fault: Fault) -> dict[str, str]:
    """Return the different rows of a fault, each with the calls that it describes."""
    calls: dict[str, list[tuple[str, str]]] = {}
    for family, side in _CALLS:
        for kind in fault.kinds:
            if kind.startswith("stream") == (family == "stream"):
                described = calls.setdefault(_row(observed(name, side, kind)), [])
                if (family, side) not in described:
                    described.append((family, side))
    return {row: _named(described) for row, described in calls.items()}


def _named(described: list[tuple[str, str]]) -> str:
    if len(described) == len(_CALLS):
        return "all"
    families, sides = ({call[i] for call in described} for i in (0, 1))
    if len(described) == 2 and len(families) == 1:
        return families.pop()
    if len(described) == 2 and len(sides) == 1:
        return sides.pop()
    return "; ".join(f"{family}, {side}" for family, side in described)


def _row(seen: Observed) -> str:
    ending = seen.ending
    limit = f"{ending.within} + {SLACK_S:g} s" if ending.within else f"{SLACK_S:g} s"
    return " | ".join(
        (
            f"`{ending.error}`" if ending.error else "",
            f"`{ending.error_type}`" if ending.error_type else "",
            ending.outcome,
            str(ending.attempts),
            f"`{ascii(ending.text)[1:-1]}`" if ending.text else "",
            ending.connection,
            str(seen.spans),
            str(seen.points),
            limit if seen.in_time else f"LATE: {seen.took_s:.2f} s",
        )
    )


if __name__ == "__main__":
    PATH.write_text(document(), encoding="utf-8")
