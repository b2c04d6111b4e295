"""One thread a process that looks after servers in the background, there only while a look is due."""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from math import inf
from typing import Protocol

_log = logging.getLogger("ollameter.models")
_REST_S = 0.05  # between looks: a thousand providers get stale facts, not a busy thread


class Watch(Protocol):
    """What is looked after: `due_s` is when the next look is wanted; `look` sets the one after."""

    due_s: float

    def look(self) -> None:
        """Look once, within seconds; it never raises."""


class Lookout:
    """Makes every look that is due, one after the other; a watch that is collected is forgotten.

    Times are those of `time.monotonic`.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._watches: weakref.WeakSet[Watch] = weakref.WeakSet()
        self._thread: threading.Thread | None = None

    def notice(self, watch: Watch) -> None:
        """See to it that a watch is looked after at its `due_s`, which has become earlier, or inf."""
        with self._changed:
            if watch.due_s < inf:
                self._watches.add(watch)
            else:
                self._watches.discard(watch)
            if self._thread is None and self._watches:
                self._start()
            self._changed.notify()

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name="ollameter-models", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # no more threads, or the interpreter is going down
            _log.debug("no thread to look after models: %r", error)
        else:
            self._thread = thread

    def _run(self) -> None:
        try:
            while (watch := self._next_due()) is not None:
                watch.look()
                del watch  # while the thread waits it must not keep a provider alive
                time.sleep(_REST_S)
        except BaseException as error:  # the thread's last frame: there is nobody to raise to
            _log.warning("looking after models stopped; the next call starts it again: %r", error)
            with self._changed:
                self._thread = None

    def _next_due(self) -> Watch | None:
        """Wait for a watch to be due and return it; None when there is nothing to wait for."""
        with self._changed:
            while due_at_s := [watch.due_s for watch in list(self._watches) if watch.due_s < inf]:
                now_s = time.monotonic()
                if now_s < min(due_at_s):
                    self._changed.wait(min(due_at_s) - now_s)
                    continue
                due = [watch for watch in list(self._watches) if watch.due_s <= now_s]
                if due:
                    return min(due, key=lambda watch: watch.due_s)
            self._thread = None
            return None


lookout: Lookout = Lookout()


def _forget_thread() -> None:
    """Start anew in a forked child: the thread, and whatever it held, stayed with the parent."""
    global lookout  # the module's one lookout, replaced whole
    lookout = Lookout()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_thread)
