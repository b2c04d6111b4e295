"""Is a server on this machine? Answered from memory; names are looked up in the background.

A port that is forwarded to another machine looks like this one: nothing here can tell.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence

from ollameter.host.errand import Spawn, in_background

Resolve = Callable[[str], Sequence[str]]

_LEARN_AGAIN_S = 600.0
_TRY_AGAIN_S = 60.0


class Locality:
    """Remembers of each host whether it is this machine; None while that is unknown."""

    def __init__(
        self,
        resolve: Resolve | None = None,
        is_own: Callable[[str], bool] | None = None,
        spawn: Spawn = in_background,
    ) -> None:
        self._resolve = resolve
        self._is_own = is_own or _is_own
        self._spawn = spawn
        self._known: dict[str, bool] = {}
        self._due_s: dict[str, float] = {}

    def of(self, host: str) -> bool | None:
        """Return whether the host is this machine, as far as is known by now."""
        return self._known.get(host)

    def learn(self, host: str, now_s: float) -> None:
        """Find out about a host, without waiting for anything but this machine."""
        if (is_loopback := _is_loopback(host)) is not None:
            self._known[host] = is_loopback or self._is_own(host)
            return
        self._due_s[host] = now_s + _TRY_AGAIN_S
        resolve = self._resolve or _system_resolver()
        try:
            self._spawn(lambda: self._look_up(host, now_s, resolve))
        except RuntimeError:  # no more threads, or the interpreter is going down: it stays unknown
            pass

    def refresh(self, now_s: float) -> None:
        """Look up again what is due: names may move, and name servers be away."""
        for host, due_s in list(self._due_s.items()):
            if now_s >= due_s:
                self.learn(host, now_s)

    def forget(self, host: str) -> None:
        """Drop what is known of a host."""
        self._due_s.pop(host, None)
        self._known.pop(host, None)

    def _look_up(self, host: str, now_s: float, resolve: Resolve) -> None:
        try:
            addresses = resolve(host)
        except (OSError, UnicodeError):  # no such name, no name server, no name at all
            return
        answers = {bool(_is_loopback(address)) or self._is_own(address) for address in addresses}
        if host in self._due_s and len(answers) == 1:  # neither forgotten meanwhile nor some of each
            self._known[host] = answers.pop()
            self._due_s[host] = now_s + _LEARN_AGAIN_S


def _is_loopback(host: str) -> bool | None:
    """Tell what an address or a reserved name says by itself; None for any other name."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return address.is_loopback or address.is_unspecified


def _system_resolver() -> Resolve:
    import socket  # not in the background: a fork amid an import would leave its lock behind

    def resolve(host: str) -> list[str]:
        return [str(found[4][0]) for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]

    return resolve


def _is_own(address: str) -> bool:
    """Tell whether a socket can be bound to it: only this machine's own addresses allow that."""
    import socket

    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True
