"""The servers whose machine is of interest, and what is known of their loaded models."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ollameter.host.locality import Locality
from ollameter.host.readings import ModelMemory, ServerKey

_WATCHED = 64  # a program that calls more servers than this does not want their processes
_MODELS_VALID_S = 300.0  # how long Ollama keeps a model by default


class WatchedServers:
    """Filled by calls, read by the sampling thread; every operation on it is one dict operation."""

    def __init__(self, clock: Callable[[], float], locality: Locality | None = None) -> None:
        self._clock = clock
        self._locality = locality or Locality()
        self._models: dict[ServerKey, tuple[float, tuple[ModelMemory, ...]]] = {}
        self.keys: dict[ServerKey, None] = {}

    def watch(self, address: str, port: int) -> None:
        """Follow a server from now on; the one that was added first makes room when there are many."""
        if (address, port) in self.keys:
            return
        for oldest in list(self.keys)[: 1 - _WATCHED]:
            self._drop(oldest)
        self.keys[address, port] = None
        self._locality.learn(address, self._clock())

    def is_local(self, address: str) -> bool | None:
        """Return whether an address is this machine's; None while that is unknown."""
        return self._locality.of(address)

    def local(self) -> list[ServerKey]:
        """Return the servers that are known to be on this machine."""
        return [key for key in list(self.keys) if self._locality.of(key[0])]

    def local_ports(self) -> set[int]:
        """Return the ports of the servers on this machine."""
        return {port for _, port in self.local()}

    def refresh(self) -> None:
        """Look up again which names are this machine, where that is due."""
        self._locality.refresh(self._clock())

    def note_models(self, address: str, port: int, models: Sequence[ModelMemory]) -> None:
        """Hold what a server says that it has loaded; none at all is an answer too."""
        self._models[address, port] = (self._clock(), tuple(models))
        for oldest in list(self._models)[:-_WATCHED]:
            self._models.pop(oldest, None)

    def models(self) -> dict[ServerKey, tuple[ModelMemory, ...]]:
        """Return by server the models that are loaded, where that was told recently enough."""
        if not self._models:
            return {}
        oldest_s = self._clock() - _MODELS_VALID_S
        return {key: models for key, (at_s, models) in list(self._models.items()) if at_s >= oldest_s}

    def _drop(self, key: ServerKey) -> None:
        self.keys.pop(key, None)
        if not any(address == key[0] for address, _ in list(self.keys)):
            self._locality.forget(key[0])
