"""What stands behind observable instruments: an item for each meter provider, and the open calls."""

from __future__ import annotations

import os
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, Protocol, TypeVar

from opentelemetry import metrics as otel_metrics
from opentelemetry.metrics import CallbackOptions, Meter, MeterProvider, Observation

from ollameter._version import __version__
from ollameter.telemetry import names
from ollameter.telemetry.context import is_stand_in

Item = TypeVar("Item")
Kind = tuple[str, str, str, int]  # operation, model, address, port
_KNOWN_KINDS = 256


class PerProvider(Generic[Item]):
    """One item for each meter provider, made by whoever asks first together with its observables.

    A second observable of the same name would be silently ignored.
    """

    def __init__(self, make: Callable[[], Item], create: Callable[[Meter, Item], None]) -> None:
        self._make = make
        self._create = create
        self._made: weakref.WeakKeyDictionary[MeterProvider, Item] = weakref.WeakKeyDictionary()
        self._stand_ins: list[Item] = []  # those of the API's stand-in for an SDK to come
        self._free_lock()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._free_lock)

    def of(self, meter_provider: MeterProvider | None) -> Item:
        """Return the item of a meter provider; None is the global one."""
        provider = otel_metrics.get_meter_provider() if meter_provider is None else meter_provider
        with self.lock:
            item = self._made.get(provider)
            if item is None:
                item = self._made[provider] = self._make()
                if is_stand_in(provider):
                    self._stand_ins.append(item)
                if len(self.sharing(item)) == 1:
                    meter = otel_metrics.get_meter(names.SCOPE, __version__, provider, names.SCHEMA_URL)
                    self._create(meter, item)
            return item

    def sharing(self, item: Item) -> list[Item]:
        """Return those behind the same observables: an SDK takes over what its stand-in was given."""
        real = self._made.get(otel_metrics.get_meter_provider()) if self._stand_ins else None
        if real is None or real in self._stand_ins or item not in (*self._stand_ins, real):
            return [item]
        return [*self._stand_ins, real]

    def all(self) -> list[Item]:
        """Return every item."""
        return list(self._made.values())

    def _free_lock(self) -> None:
        """Have a new lock in a forked child: a thread that is not there may hold the old one."""
        self.lock: threading.Lock = threading.Lock()


class Kindred(Protocol):
    """A kind of call, and the attributes that tell it from others."""

    kind: Kind
    ollama: Mapping[str, Any]


class Counted(Protocol):
    """A call that is counted while it is open."""

    of: Any  # Kindred, once it is counted


class ActiveCalls:
    """The calls of one meter provider that have begun and not ended: counted when somebody asks.

    A count that each call raised and lowered would cost it two measurements.
    """

    def __init__(self) -> None:
        self._known: dict[Kind, Kindred] = {}
        self._open: set[Counted] = set()
        self.add: Callable[[Counted], None] = self._open.add
        self.discard: Callable[[Counted], None] = self._open.discard
        self.forget: Callable[[], None] = self._open.clear

    def know(self, of: Kindred) -> None:
        """Show a kind of call with 0 from now on; after too many others only while one is open."""
        if len(self._known) >= _KNOWN_KINDS:
            self._known.clear()
        self._known[of.kind] = of

    def observe(self, options: CallbackOptions) -> Iterable[Observation]:
        """Return how many calls of each kind are open."""
        found: dict[Kind, Kindred] = {}
        counts: Counter[Kind] = Counter()
        for shared in _active.sharing(self):
            found.update(shared._known)  # noqa: SLF001  # its own kind
            for call in shared._open.copy():  # noqa: SLF001  # likewise
                found[call.of.kind] = call.of
                counts[call.of.kind] += 1
        return [Observation(counts[kind], of.ollama) for kind, of in found.items()]


def active_calls_of(meter_provider: MeterProvider | None) -> ActiveCalls:
    """Return the open calls that a meter provider shows."""
    return _active.of(meter_provider)


def _show_active(meter: Meter, active: ActiveCalls) -> None:
    metric = names.METRICS[names.ACTIVE_REQUESTS]
    meter.create_observable_up_down_counter(metric.name, [active.observe], metric.unit, metric.description)


_active: PerProvider[ActiveCalls] = PerProvider(ActiveCalls, _show_active)


def _forget_parents_calls() -> None:
    """Count none of them in a forked child: they end in the parent."""
    for active in _active.all():
        active.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parents_calls)
