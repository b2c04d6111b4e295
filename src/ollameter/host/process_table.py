"""Other processes: what is read of them, and how Linux tells it."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Protocol

import msgspec

from ollameter.host.proc import KeptFile, read_proc

_LISTEN = b"0A"


class ProcessStat(msgspec.Struct, frozen=True):
    """One process now; `started` tells it from another one that gets the same number later."""

    pid: int
    name: str
    parent: int
    started: float
    cpu_s: float
    rss_bytes: int
    threads: int


class ProcessTable(Protocol):
    """The processes of this machine, as far as they may be seen."""

    def newest(self) -> object:
        """Return what changes when a process begins, at little cost; None where that is unknown."""

    def pids(self) -> list[int]:
        """Return the numbers of all processes."""

    def stat(self, pid: int) -> ProcessStat | None:
        """Return what a process uses; None when it has ended or must not be seen."""

    def reader(self, pid: int) -> Callable[[], ProcessStat | None]:
        """Return what reads one process again and again, at less cost than `stat`."""

    def listening(self, pids: Collection[int], ports: Collection[int]) -> Mapping[int, int]:
        """Return by port which of the processes listens on it; searches, so ask seldom."""


class LinuxProcesses:
    """Reads a /proc folder: one small file a process, readable for everybody."""

    def __init__(self, proc: Path) -> None:
        self._proc = str(proc)
        self._loads = KeptFile(f"{proc}/loadavg")
        self._ticks_per_s: int = os.sysconf("SC_CLK_TCK")
        self._page_bytes: int = os.sysconf("SC_PAGE_SIZE")

    def newest(self) -> object:
        """Return the number that was given last: it stands at the end of `loadavg`."""
        return (self._loads.read() or b"").rpartition(b" ")[2] or None

    def pids(self) -> list[int]:
        """Return the numbers of all processes."""
        return [int(name) for name in os.listdir(self._proc) if name.isdigit()]

    def stat(self, pid: int) -> ProcessStat | None:
        """Read `stat`; a zombie has ended."""
        return self._parse(pid, read_proc(f"{self._proc}/{pid}/stat"))

    def reader(self, pid: int) -> Callable[[], ProcessStat | None]:
        """Keep `stat` open: it can never be that of another process with the same number."""
        file = KeptFile(f"{self._proc}/{pid}/stat")
        return lambda: self._parse(pid, file.read())

    def _parse(self, pid: int, text: bytes | None) -> ProcessStat | None:
        if not text:
            return None
        head, _, tail = text.rpartition(b")")  # the name before it may hold anything
        fields = tail.split(None, 22)
        if fields[0] in b"ZXx":
            return None
        return ProcessStat(
            pid=pid,
            name=head.partition(b"(")[2].decode(errors="replace"),
            parent=int(fields[1]),
            cpu_s=(int(fields[11]) + int(fields[12])) / self._ticks_per_s,
            threads=int(fields[17]),
            started=int(fields[19]) / self._ticks_per_s,
            rss_bytes=int(fields[21]) * self._page_bytes,
        )

    def listening(self, pids: Collection[int], ports: Collection[int]) -> Mapping[int, int]:
        """Match the sockets in `net/tcp*` with the processes' descriptors.

        Another user's descriptors cannot be read: then a single `serve` of the socket's owner is it.
        """
        found: dict[int, int] = {}
        for port, sockets in self._listeners(ports).items():
            holders = [pid for pid in pids if self._holds(pid, {inode for inode, _ in sockets})]
            if not holders:
                owners = {uid for _, uid in sockets}
                holders = [pid for pid in pids if self._may_hold(pid, owners)]
            if len(holders) == 1:
                found[port] = holders[0]
        return found

    def _listeners(self, ports: Collection[int]) -> dict[int, list[tuple[str, int]]]:
        """Return by port the (inode, owner) of the sockets that listen on it."""
        found: dict[int, list[tuple[str, int]]] = {}
        for name in ("tcp", "tcp6"):
            for line in (read_proc(f"{self._proc}/net/{name}") or b"").splitlines()[1:]:
                _, local, _, state, _, _, _, uid, _, inode, *_ = line.split()
                port = int(local.rpartition(b":")[2], 16)
                if state == _LISTEN and port in ports:
                    found.setdefault(port, []).append((inode.decode(), int(uid)))
        return found

    def _holds(self, pid: int, inodes: set[str]) -> bool:
        links = self._descriptors(pid) or ()
        return any(link.startswith("socket:[") and link[8:-1] in inodes for link in links)

    def _may_hold(self, pid: int, owners: set[int]) -> bool:
        """Tell whether a process is a server of one of these users and keeps its descriptors secret."""
        try:
            owner = os.stat(f"{self._proc}/{pid}").st_uid
        except OSError:  # it has ended
            return False
        arguments = (read_proc(f"{self._proc}/{pid}/cmdline") or b"").split(b"\0")
        return owner in owners and b"serve" in arguments and self._descriptors(pid) is None

    def _descriptors(self, pid: int) -> list[str] | None:
        """Return where a process's open descriptors point to; None when that is not for us to see."""
        folder = f"{self._proc}/{pid}/fd"
        try:
            return [_link(f"{folder}/{name}") for name in os.listdir(folder)]
        except OSError:
            return None


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:  # closed meanwhile
        return ""
