"""Phase spans: back from the end of the call, inside it, and only what the server said."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from tests.telemetry.seen import START_NS, WHOLE, Seen, call

MS = 1_000_000
PHASES: dict[str, Any] = {
    "total_duration": 900 * MS, "load_duration": 200 * MS, "prompt_eval_duration": 100 * MS,
    "eval_duration": 500 * MS,
}  # fmt: skip


def drawn(**numbers: Any) -> list[tuple[str, int, int]]:
    """Return the phases of a call of one second, in milliseconds since its start."""
    seen = Seen()
    call(seen.telemetry(phase_spans=True), **numbers)
    *phases, parent = seen.spans
    context: Any = parent.get_span_context()
    assert all(p.parent is not None and p.parent.span_id == context.span_id for p in phases)
    assert all(p.attributes == {"ollameter.reconstructed": True} for p in phases)
    return [
        (p.name, ((p.start_time or 0) - START_NS) // MS, ((p.end_time or 0) - START_NS) // MS)
        for p in phases
    ]


def test_phases_lie_back_from_the_end() -> None:
    """In the order in which they happened: the network's part is before them."""
    assert drawn(**PHASES) == [
        ("ollama.phase.load", 100, 300), ("ollama.phase.queue", 300, 400),
        ("ollama.phase.prompt_eval", 400, 500), ("ollama.phase.eval", 500, 1000),
    ]  # fmt: skip


def test_phases_never_leave_their_call() -> None:
    """A server whose clock saw more time than the client: the earliest phases are cut."""
    assert drawn(**WHOLE) == [
        ("ollama.phase.load", 0, 0), ("ollama.phase.queue", 0, 0), ("ollama.phase.prompt_eval", 0, 0),
        ("ollama.phase.eval", 0, 1000),
    ]  # fmt: skip


def test_a_phase_the_server_did_not_tell_is_not_drawn() -> None:
    """Absent is not zero."""
    assert drawn(eval_duration=500 * MS, total_duration=900 * MS) == [("ollama.phase.eval", 500, 1000)]
    assert drawn() == []
    assert drawn(**PHASES, duration_s=float("nan")) == []


@pytest.mark.parametrize(
    ("given", "variable", "spans"),
    [(None, "", 1), (None, "true", 5), (None, "1", 1), (False, "true", 1), (True, "", 5)],
)
def test_phases_are_drawn_for_who_asked_for_them(
    given: bool | None, variable: str, spans: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The code decides, else the environment."""
    monkeypatch.setenv("OLLAMETER_PHASE_SPANS", variable)
    seen = Seen()
    call(seen.telemetry(phase_spans=given), **PHASES)

    assert len(seen.spans) == spans


def test_an_unsampled_call_has_no_phases() -> None:
    """They go with their parent."""
    seen = Seen(ALWAYS_OFF)
    call(seen.telemetry(phase_spans=True), **PHASES)

    assert seen.spans == []
