"""Everything a server or network can do wrong ends in one named error, one span, one point, in time."""

from __future__ import annotations

import gc

import pytest

from tests.faults.catalogue import FAULTS
from tests.faults.fault import SIDES
from tests.faults.observe import observed
from tests.faults.table import PATH, document

CALLS = [(name, side, kind) for name, fault in FAULTS.items() for side in SIDES for kind in fault.kinds]


@pytest.fixture(scope="module", autouse=True)
def _nothing_is_left_of_earlier_tests() -> None:
    gc.collect()


@pytest.mark.parametrize(("name", "side", "kind"), CALLS)
def test_a_fault_ends_the_call_once_by_its_name_and_in_time(name: str, side: str, kind: str) -> None:
    """The caller, the telemetry and the server agree; the next call goes well; nothing stays open."""
    seen = observed(name, side, kind)

    assert seen.ending == FAULTS[name].ending(side, kind), seen.message
    assert (seen.spans, seen.points, seen.active, seen.agreed) == (1, 1, 0, True)
    assert seen.in_time, f"{seen.took_s:.2f} s, allowed were {seen.allowed_s:.2f} s"
    assert seen.next_text == "Hello!"
    assert seen.descriptors_left == 0


def test_the_table_in_the_docs_is_what_is_observed() -> None:
    """Written by `python -m tests.faults.table`."""
    assert PATH.read_text(encoding="utf-8") == document()
