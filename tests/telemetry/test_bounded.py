"""Work that is left behind when it takes too long, in threads that are there before they are needed."""

from __future__ import annotations

import logging
import threading
import time

import pytest

from ollameter.telemetry.bounded import Parked


def test_nothing_runs_before_the_word() -> None:
    """And everything runs after it, at once: each step waits for the other."""
    done: list[str] = []
    both = threading.Barrier(2, timeout=10)

    def step() -> None:
        both.wait()
        done.append("step")

    parked = Parked(step, step)
    assert done == []

    assert parked.run(10) is True
    assert done == ["step", "step"]


def test_what_hangs_is_left_behind() -> None:
    """In the time that was given, whatever the number of steps."""
    go_on = threading.Event()
    parked = Parked(*(lambda: go_on.wait(30) for _ in range(3)))
    begun = time.monotonic()

    assert parked.run(0.05) is False
    assert time.monotonic() - begun < 5
    go_on.set()
    assert parked.run(10) is True


def test_a_step_that_raises_has_ended(caplog: pytest.LogCaptureFixture) -> None:
    """It is told for debugging."""

    def broken() -> None:
        raise RuntimeError("exporter")

    with caplog.at_level(logging.DEBUG, logger="ollameter"):
        assert Parked(broken).run(10) is True
    assert "a step of the shutdown failed" in caplog.text


def test_the_threads_can_be_had_again() -> None:
    """As in a forked child, where they are gone."""
    done: list[int] = []
    parked = Parked(lambda: done.append(1))
    parked.run(10)
    parked.park()

    assert parked.run(10) is True
    assert done == [1, 1]


def test_nothing_to_do_is_done_at_once() -> None:
    """An inert handle has no threads."""
    assert Parked().run(0) is True
