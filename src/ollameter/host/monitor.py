"""HostMonitor: samples the machine in one daemon thread for as long as somebody holds it."""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Sequence

from ollameter.host.proc import close_kept_files
from ollameter.host.readings import ModelMemory, Snapshot
from ollameter.host.run import LOADING, Run
from ollameter.host.sampling import INTERVAL_S, Probes, Sampling
from ollameter.host.servers import WatchedServers
from ollameter.host.window import Window

_log = logging.getLogger("ollameter.host")
_STALE_S = 5.0  # an older snapshot is no longer the present
_START_AGAIN_S = 1.0

_shared: dict[str, HostMonitor] = {}
_started: weakref.WeakSet[HostMonitor] = weakref.WeakSet()
_fork_hooks: dict[str, None] = {}


class HostMonitor:
    """What the machine does, for every call and gauge of this process.

    Holders share one thread: the first `acquire` starts it, the last `release` ends it; a holder
    that is collected lets go by itself. A thread that died, or that a fork left behind, is started
    again by the next acquire, call or look. Nothing here raises, waits or reads the machine.
    `probes` makes what is read, in the thread; the default reads this machine.
    """

    def __init__(
        self,
        *,
        interval_s: float = INTERVAL_S,
        probes: Callable[[WatchedServers], Probes] | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._interval_s = interval_s
        self._make_probes = probes or _machine_probes
        self._clock = clock
        self._servers = WatchedServers(clock)
        self._holders: dict[int, weakref.ref[object]] = {}
        self._lock = threading.RLock()  # re-entrant: a collected holder may let go at any point
        self._run: Run | None = None
        self._start_again_at_s = float("-inf")
        self._was_reported = False

    @staticmethod
    def shared() -> HostMonitor:
        """Return the one monitor that the whole process shares, running or not."""
        return _shared.get("monitor") or _shared.setdefault("monitor", HostMonitor())

    @property
    def is_running(self) -> bool:
        """Whether the thread is there; its first sample comes a moment later."""
        run = self._run
        return run is not None and run.alive

    def acquire(self, holder: object) -> None:
        """Keep sampling as long as `holder` lives and has not released; once is as good as twice."""
        holders, key = self._holders, id(holder)

        def let_go(ref: weakref.ref[object]) -> None:
            holders.pop(key, None)  # no lock: the thread will see that nobody is left

        with self._lock:
            if key not in holders:
                holders[key] = weakref.ref(holder, let_go)
            if not self.is_running:
                self._start()

    def release(self, holder: object) -> None:
        """Let go; the thread ends with the last holder, without being waited for."""
        with self._lock:
            self._holders.pop(id(holder), None)
            if not self._holders and self._run is not None:
                self._run.stop()
                self._run = None

    def watch(self, server_host: str, server_port: int) -> None:
        """Follow a server's processes from now on, when it turns out to be on this machine."""
        self._servers.watch(server_host, server_port)

    def start_window(self, server_host: str, server_port: int) -> Window:
        """Open a call's window on the machine; its `load()` tells what happened since."""
        if not self.is_running:
            self._revive()
        if (server_host, server_port) not in self._servers.keys:
            self._servers.watch(server_host, server_port)
        run = self._run
        sampling = None if run is None else run.sampling
        return Window(sampling, self._servers, self._clock, server_host, server_port)

    def note_models(self, address: str, port: int, models: Sequence[ModelMemory]) -> None:
        """Hold what `/api/ps` of a server said just now; it counts for five minutes."""
        self._servers.note_models(address, port, models)

    def latest(self) -> Snapshot | None:
        """Return the newest readings; None when there are none of the last few seconds."""
        run = self._run
        if run is None or not run.alive:
            self._revive()
            return None
        snapshot = run.sampling.latest
        if snapshot is None or self._clock() - snapshot.taken_at_s > _STALE_S:
            return None
        return snapshot

    def _revive(self) -> None:
        """Start again what should be running; never waits for who else is at it."""
        now_s = time.monotonic()
        if not self._holders or now_s < self._start_again_at_s:
            return
        if self._lock.acquire(blocking=False):
            try:
                if not self.is_running:
                    self._start()
            finally:
                self._lock.release()

    def _start(self) -> None:
        self._start_again_at_s = time.monotonic() + _START_AGAIN_S
        _survive_forks(self)
        run = Run(
            Sampling(self._clock, self._servers, self._interval_s),
            lambda: self._make_probes(self._servers),
            is_wanted=self._holders.__len__,
            on_death=self._report,
        )
        try:
            run.start()
        except RuntimeError as error:  # no more threads, or the interpreter is going down
            self._report(error)
            return
        self._run = run

    def _report(self, error: BaseException) -> None:
        if not self._was_reported:
            self._was_reported = True
            _log.warning("sampling the machine stopped; it is started again: %r", error)

    def _forget_thread(self) -> None:
        """Drop what a forked child has not got: the thread, and locks that it might have held."""
        self._lock = threading.RLock()
        self._run = None
        self._start_again_at_s = float("-inf")


def _machine_probes(servers: WatchedServers) -> Probes:
    from ollameter.host.machine import machine_probes

    return machine_probes(servers)


def _survive_forks(monitor: HostMonitor) -> None:
    _started.add(monitor)
    if "registered" not in _fork_hooks and hasattr(os, "register_at_fork"):
        _fork_hooks["registered"] = None
        os.register_at_fork(
            before=LOADING.acquire, after_in_parent=LOADING.release, after_in_child=_after_fork
        )


def _after_fork() -> None:
    LOADING.release()
    close_kept_files()
    for monitor in list(_started):
        monitor._forget_thread()  # noqa: SLF001  # the same module's
