"""A collector that is away for a minute: the application keeps what it has, and its pace."""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path

from ollameter.testing import FakeOllama
from tests.stack.backend import Stack
from tests.stack.paced import PACE_S, PacedProgram, compared
from tests.stack.stored import eventually, stored_ids

BEFORE_S, AWAY_S = 10.0, 60.0


def test_an_application_does_not_notice_a_collector_that_is_away_for_a_minute(
    fragile: Stack, stack: Stack, tmp_path: Path
) -> None:
    """Beside it runs one whose collector stays: both meet the same noise of this machine."""
    with (
        FakeOllama() as one,
        FakeOllama() as other,
        PacedProgram(one, fragile.collector, tmp_path / "one") as program,
        PacedProgram(other, stack.collector, tmp_path / "other") as control,
    ):
        threading.Event().wait(BEFORE_S)
        fragile.collector.kill()
        away_from = time.time()
        threading.Event().wait(AWAY_S)
        away_until = time.time()
        fragile.collector.start()
        undisturbed = control.stop_calling()
        meanwhile = program.stop_calling()
        there = eventually(
            lambda: stored_ids(fragile.jaeger.query_url, meanwhile.trace_id),
            lambda it: it >= meanwhile.sent,
            within_s=20,
        )
        told = program.stderr.read_text()
        fragile.collector.kill()
        arrived, shutdown_s = program.end()
        assert control.end()[0]

    assert meanwhile.sent - there == set()
    wall, cpu = compared(meanwhile.calls, undisturbed.calls, away_from, away_until)
    assert len(wall.during) > 0.8 * AWAY_S / PACE_S
    for share in (0.5, 0.99):
        assert wall.surely_slower(share) <= 1.05
        assert cpu.surely_slower(share) <= 1.05
    assert re.fullmatch(r"telemetry does not arrive at http://\S+ \((traces|metrics)\): .+\n", told)
    assert (arrived, shutdown_s < 5.5) == (False, True)
    assert control.stderr.read_text() == ""
