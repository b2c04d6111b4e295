"""What one provider knows of its server's models, asked in the background and never for a call."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import Any, NamedTuple, Protocol

from ollameter.errors import ConnectionFailed
from ollameter.host.monitor import HostMonitor
from ollameter.host.readings import ModelMemory
from ollameter.metrics import ModelFacts
from ollameter.providers import lookout
from ollameter.providers.advice import Advice
from ollameter.wire.address import Address
from ollameter.wire.availability import resolved
from ollameter.wire.facts import facts_in_force, facts_of
from ollameter.wire.models import ModelInfo, RunningModel
from ollameter.wire.prompts import Turn

_log = logging.getLogger("ollameter.models")

FIRST_LOOK_S = 1.0  # after the provider was made, unless a call began
_LONG_CALL_S = 2.0  # what a call to a server that never answered takes before it is looked at
_SOON_S = 1.0
_EVERY_S = 8.0  # so that a look is never older than what the cold start's rule allows
FRESH_S = 10.0
IN_USE_S = 600.0  # longer than Ollama keeps a model by default: a look sees it leave
_TRY_AGAIN_S = 30.0
_KNOWN_MODELS = 256


class Look(NamedTuple):
    """What the server had in memory at some moment between asking and answering."""

    asked_s: float
    answered_s: float
    loaded: dict[str, ModelFacts]


class Glance(Protocol):
    """Who asks the server; `ask` raises whatever goes wrong, within seconds."""

    def ask(self) -> Sequence[RunningModel]:
        """Return what is in memory now."""

    def close(self) -> None:
        """Ask no more, and cut short what is being asked."""

    def disown(self) -> None:
        """Leave what is being asked to the parent of this process."""


class OpenCall(Protocol):
    """A call that has begun and not ended; `lacked` is the first look in it that missed its model."""

    name: str
    started_s: float
    lacked: Look | None


class Known:
    """What is known of one model by name, of what the server says and of the calls to it."""

    __slots__ = ("facts", "facts_at_s", "has_answered", "may_have_loaded_s", "name", "options", "turn")

    def __init__(self, name: str) -> None:
        self.name: str = name
        self.has_answered: bool = False
        self.facts: ModelFacts | None = None
        self.facts_at_s: float = -inf
        self.may_have_loaded_s: float = -inf
        self.options: Mapping[str, Any] | None = None
        self.turn: Turn | None = None


class ModelWatch:
    """Looks at `/api/ps` while its provider is in use, and tells each call what is known at its end.

    The first look comes a second after the provider was made, or when a call has lasted two
    seconds, or a second after a call's end; then one every eight seconds, and less often while
    they fail. Ten minutes without a call end it until the next one. Nothing here raises, waits or
    takes a lock that is held for longer than a moment.
    """

    def __init__(
        self,
        glance: Glance | None,
        on_look: Callable[[Sequence[RunningModel]], None] | None = None,
        *,
        advice: Advice | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.due_s: float = inf
        self.clock = clock
        self.latest: Look | None = None
        self.advice: Advice = advice or Advice()
        self._glance = glance
        self._on_look = on_look
        self._known: dict[str, Known] = {}
        self._open: set[OpenCall] = set()
        self._used_s = self.clock()
        self._is_proven = False
        self._is_hurried = False
        self._failures = 0
        self._not_before_s = -inf
        if glance is not None:
            self._look_by(self._used_s + FIRST_LOOK_S)

    def call_began(self, call: OpenCall) -> None:
        """Take note of a call that has begun; one that lasts is looked at."""
        self._open.add(call)
        if self._glance is None:
            return
        self._used_s = now_s = call.started_s
        latest = self.latest
        if not self._is_proven:
            # Whoever has never answered is left alone until a call has lasted a while.
            if self.due_s < inf:
                self.due_s = max(now_s + _LONG_CALL_S, self._not_before_s)
            else:
                self._look_by(now_s + _LONG_CALL_S)
        elif self.due_s == inf or latest is None or call.name not in latest.loaded:
            self._look_by(now_s + _SOON_S)

    def close(self) -> None:
        """Look no more, from now on."""
        glance, self._glance, self.due_s = self._glance, None, inf
        if glance is not None:
            glance.close()
        lookout.lookout.notice(self)

    def disown(self) -> None:
        """Forget in a forked child what is under way in its parent."""
        self._open.clear()
        self.due_s = inf
        if self._glance is not None:
            self._glance.disown()

    def look(self) -> None:
        """Ask the server once, in the background's thread."""
        glance, asked_s = self._glance, self.clock()
        self._is_hurried = False
        try:
            if glance is not None:
                self.saw_running(glance.ask(), asked_s)
        except Exception as error:  # a server that is away, lacks it or answers nonsense
            _log.debug("which models are loaded is not known: %r", error)
            self._is_proven = False
            self._not_before_s = self.clock() + self._pause_s(error)
        self.due_s = self._next_due_s(self.clock())

    def saw_running(self, models: Sequence[RunningModel], asked_s: float) -> None:
        """Take note of what the server had in memory, whoever asked."""
        in_force = {resolved(model.name): facts_in_force(model) for model in models}
        self.latest = look = Look(asked_s, self.clock(), in_force)
        self._is_proven, self._failures, self._not_before_s = True, 0, -inf
        for model in models:
            self._learn(model, asked_s)
        for call in list(self._open):
            if call.lacked is None and call.name not in in_force and call.started_s <= asked_s:
                call.lacked = look
        if self._on_look is not None:
            self._on_look(models)

    def saw_listed(self, models: Sequence[ModelInfo]) -> None:
        """Take note of the models that the server has."""
        now_s = self.clock()
        for model in models:
            self._learn(model, now_s)

    def known(self, model: str) -> Known:
        """Return what is known of a model, to read and to add to; its names share it."""
        found = self._known.get(model)
        if found is None:
            if len(self._known) >= _KNOWN_MODELS:
                self._known.clear()
            name = resolved(model)
            found = self._known[model] = self._known.setdefault(name, Known(name))
        return found

    def call_ended(self, call: OpenCall, now_s: float, *, completed: bool, is_unclear: bool) -> None:
        """Take note of a call's end; one that left something unclear is followed by a look."""
        self._open.discard(call)
        if not completed or self._glance is None:
            return
        self._used_s = now_s
        self._is_proven = True
        if is_unclear or self.due_s == inf:
            self._is_hurried = True
            self._look_by(now_s + _SOON_S)

    def _look_by(self, at_s: float) -> None:
        at_s = max(at_s, self._not_before_s)
        if at_s < self.due_s:
            self.due_s = at_s
            lookout.lookout.notice(self)

    def _next_due_s(self, now_s: float) -> float:
        if self._glance is None or (not self._open and now_s - self._used_s > IN_USE_S):
            return inf
        delay_s = _SOON_S if self._is_hurried else _LONG_CALL_S if self._is_awaited() else _EVERY_S
        return max(now_s + delay_s, self._not_before_s)

    def _is_awaited(self) -> bool:
        """Return whether some call goes on whose model was not in memory yet."""
        latest, calls = self.latest, list(self._open)
        return latest is not None and any(call.name not in latest.loaded for call in calls)

    def _pause_s(self, error: Exception) -> float:
        """Return how long to leave the server alone: longer and longer when it is there."""
        if isinstance(error, ConnectionFailed):
            return _EVERY_S
        self._failures += 1
        return min(_TRY_AGAIN_S * 2.0 ** min(self._failures - 1, 10), IN_USE_S)

    def _learn(self, model: ModelInfo | RunningModel, at_s: float) -> None:
        known = self.known(model.name)
        known.facts, known.facts_at_s = facts_of(model), at_s


def show_memory(monitor: HostMonitor, address: Address, models: Sequence[RunningModel]) -> None:
    """Have a monitor show what the loaded models take, as far as the server says it."""
    told = [
        ModelMemory(name=model.name, gpu_bytes=on_gpus, host_bytes=size - on_gpus)
        for model in models
        if (size := model.size) is not None and 0 <= (on_gpus := model.size_vram or 0) <= size
    ]
    monitor.note_models(address.connect_host, address.port, told)
