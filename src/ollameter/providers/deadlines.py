"""Timeouts as deadlines: what may end a wait from outside, and the one thread that sees to it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from math import inf

import msgspec

from ollameter.errors import InvalidRequest, Timeout, TimeoutPhase


class Timeouts(msgspec.Struct, frozen=True):
    """Limits in seconds; None is no limit.

    - `connect`: name look-up, TCP and TLS
    - `first_byte`: request written to first byte of the body; this covers queueing, loading the
      model and reading the prompt, and for answers that are not streamed the decoding as well
    - `idle`: one complete line to the next, or one received byte to the next in a whole answer;
      between two steps of a pull `first_byte` is the limit instead
    """

    connect: float | None = 5
    first_byte: float | None = 600
    idle: float | None = 60

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            limit = getattr(self, name)
            usable = isinstance(limit, int | float) and not isinstance(limit, bool) and limit > 0
            if limit is not None and not usable:
                raise InvalidRequest(f"timeout.{name}: expected seconds above 0, or None: {limit!r:.80}")


_WAITED_FOR = {
    "connect": "no connection within {limit:g} s",
    "first_byte": "no first byte of an answer within {limit:g} s (Timeouts.first_byte); it covers "
    "queueing, loading and the prompt, and without stream() the whole decoding too",
    "idle": "nothing more of the answer for {limit:g} s (Timeouts.idle)",
}


class Guard:
    """One call's current deadline, and how to end the wait it is in.

    Whoever cuts a wait short first marks why, so that the broken connection that follows is
    read as what it is: `passed` for a deadline, the ended call for a close.
    """

    def __init__(self, timeouts: Timeouts) -> None:
        self.limit(timeouts)
        self.now: Callable[[], float] = time.monotonic  # what `at` is measured by
        self._cut: Callable[[], object] | None = None
        self.was_cut: bool = False
        self.phase: TimeoutPhase = "connect"
        self.at: float = inf
        self.passed = False

    def limit(self, timeouts: Timeouts) -> None:
        """Have these limits from the next wait on, whatever earlier attempts have left."""
        self.timeouts = timeouts
        self.ends_at = inf  # no deadline is later: set once a call has begun to try again
        self._idle_s = inf if timeouts.idle is None else float(timeouts.idle)

    def arm(self, phase: TimeoutPhase) -> None:
        """Start a wait: from now on the limit of `phase` runs."""
        limit = getattr(self.timeouts, phase)
        self.phase = phase
        self.at = self.ends_at if limit is None else min(self.now() + limit, self.ends_at)
        self.notice()

    def heard(self) -> None:
        """Start the wait for more of the answer; enforced without notice, as `look_by` sees to."""
        now, ends_at = self.now, self.ends_at  # as locals: this runs for each chunk
        at = now() + self._idle_s
        self.at = at if at < ends_at else ends_at  # noqa: FURB136  # min() costs twice as much
        self.phase = "idle"

    def look_by(self, now: float) -> float:
        """Return when to look at the latest: before any deadline that `heard` may have set by then."""
        return min(self.at, now + self._idle_s, self.ends_at)

    def disarm(self) -> None:
        """End the wait: no deadline runs while the caller has the word."""
        self.at = inf

    def pause(self, delay_s: float) -> None:
        """Wait before another try; a cut ends the wait."""
        woken = threading.Event()
        self.disarm()
        self.hold(woken.set)
        woken.wait(delay_s)

    def hold(self, cut: Callable[[], object] | None) -> None:
        """Say how the current wait can be ended: by a call that never blocks."""
        self._cut = cut
        if self.was_cut and cut is not None:
            cut()

    def cut(self) -> None:
        """End the wait now; one that has not begun ends as soon as it does."""
        self.was_cut = True
        if self._cut is not None:
            self._cut()

    def disown(self) -> None:
        """Never cut anything again: the connection belongs to the parent of this process."""
        self._cut = None
        self.at = inf

    def error(self) -> Timeout:
        """Return the error that a passed deadline stands for."""
        limit = getattr(self.timeouts, self.phase)
        return Timeout(_WAITED_FOR[self.phase].format(limit=limit), phase=self.phase)

    def notice(self) -> None:
        """Have the deadline enforced: by the watchdog, which rarely needs to be woken for it."""
        watchdog.watched.add(self)
        by = self.look_by(self.now())
        if by < watchdog.wakes_at:
            watchdog.wake_by(by)

    def done(self) -> None:
        """Stop enforcing: the call needs no connection any more."""
        self.at = inf
        self._cut = None
        watchdog.watched.discard(self)


class Watchdog:
    """One daemon thread a process, there only while calls wait, that cuts what is overdue."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.watched: set[Guard] = set()
        self._thread: threading.Thread | None = None
        self.wakes_at: float = inf

    def wake_by(self, at: float) -> None:
        """See to it that the thread looks again at `at`, or earlier."""
        with self._changed:
            self.wakes_at = min(self.wakes_at, at)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="ollameter-deadlines", daemon=True)
                self._thread.start()
            self._changed.notify()

    def _run(self) -> None:
        with self._changed:
            while self.watched:
                self._changed.wait(max(0.0, self.wakes_at - time.monotonic()))
                now = time.monotonic()
                if now < self.wakes_at:
                    continue  # woken for a nearer deadline: sleep until that one
                # First the marker, then the look: a deadline set meanwhile is either seen or wakes.
                self.wakes_at = inf
                self.wakes_at = min(self.wakes_at, self._cut_overdue(now))
                if self.wakes_at == inf:
                    break
            self.wakes_at = inf
            self._thread = None

    def _cut_overdue(self, now: float) -> float:
        """Cut every wait that is overdue; return when to look again."""
        earliest = inf
        for guard in self.watched.copy():
            at = guard.at
            if at <= now:
                guard.at = inf
                guard.passed = True
                guard.cut()
            else:
                earliest = min(earliest, guard.look_by(now))
        return earliest


watchdog: Watchdog = Watchdog()


def _forget_threads() -> None:
    """Start anew in a forked child: the thread and the waits stayed with the parent."""
    global watchdog  # the module's one watchdog, replaced whole
    watchdog = Watchdog()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)
