"""Jobs beside the sampling: one at a time, outcome or failure, once."""

from __future__ import annotations

import threading

import pytest

from ollameter.host.errand import Errand
from tests.host.staged import at_once, until


def test_an_outcome_is_taken_once() -> None:
    """And then there is room for the next job."""
    errand: Errand[str] = Errand(at_once)
    errand.start(lambda: "found")
    was_running = errand.is_running

    taken = errand.take()

    assert (was_running, taken, errand.is_running, errand.take()) == (True, "found", False, None)


def test_a_failure_is_raised_to_who_asks() -> None:
    """Once, as well."""

    def fail() -> None:
        raise OSError("no such folder")

    errand: Errand[None] = Errand(at_once)
    errand.start(fail)

    with pytest.raises(OSError, match="no such folder"):
        errand.take()
    assert (errand.is_running, errand.take()) == (False, None)


def test_nobody_waits_for_a_job() -> None:
    """It runs in a thread of its own, which ends with it."""
    errand: Errand[str] = Errand()
    go_on = threading.Event()

    def work() -> str:
        go_on.wait(10.0)
        return threading.current_thread().name

    errand.start(work)
    meanwhile = errand.take()
    go_on.set()
    until(lambda: errand._outcome)

    assert meanwhile is None
    assert errand.take() == "ollameter-host-errand"


def test_without_another_thread_there_is_no_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """The errand can be tried again."""

    def refuse(self: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    errand: Errand[str] = Errand()

    with pytest.raises(RuntimeError):
        errand.start(lambda: "never")

    assert not errand.is_running
