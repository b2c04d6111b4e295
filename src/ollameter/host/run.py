"""One life of the sampling thread, from its start to its end, which nothing outside depends on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from ollameter.host.sampling import Probes, Sampling

# Held while probes are made: a fork amid an import would leave its lock to a thread that is gone.
LOADING = threading.Lock()

_HESITATION_S = 0.005


class Run:
    """Ticks at the sampling's interval until stopped, or until nobody wants it any more."""

    def __init__(
        self,
        sampling: Sampling,
        make_probes: Callable[[], Probes],
        *,
        is_wanted: Callable[[], object],
        on_death: Callable[[BaseException], None],
    ) -> None:
        self.sampling = sampling
        self.alive: bool = True
        self._make_probes = make_probes
        self._is_wanted = is_wanted
        self._on_death = on_death
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._live, name="ollameter-host", daemon=True)

    def start(self) -> None:
        """Start the thread; raises `RuntimeError` when there can be no more threads."""
        self._thread.start()

    def stop(self) -> None:
        """Let the thread end, without waiting for it."""
        self._stopped.set()

    def _live(self) -> None:
        try:
            self._sample()
        except BaseException as error:  # the thread's last frame: there is nobody to raise to
            self._on_death(error)
        finally:
            self.alive = False

    def _sample(self) -> None:
        if self._stopped.wait(_HESITATION_S):  # it was wanted for a moment only
            return
        with LOADING:
            probes = self._make_probes()
        try:
            self.sampling.begin(probes)
            self._tick_until_stopped(self.sampling.interval_s)
        finally:
            probes.close()

    def _tick_until_stopped(self, interval_s: float) -> None:
        due_s = time.monotonic()
        while self._is_wanted():
            self.sampling.tick()
            now_s = time.monotonic()
            due_s = max(due_s + interval_s, now_s)  # ticks that were missed are not made up for
            if self._stopped.wait(due_s - now_s):
                return
