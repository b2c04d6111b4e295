"""Where builds are kept: outside the repository, whole or not at all, one builder at a time."""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


def cache_folder(env: Mapping[str, str] = os.environ) -> Path:
    """Return `$OLLAMETER_CACHE`, else `ollameter` in the user's cache folder."""
    if chosen := env.get("OLLAMETER_CACHE"):
        return Path(chosen).expanduser().resolve()
    base = env.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "ollameter"


def cpu_flags(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Say what the processor can do; without `/proc/cpuinfo`, what it is called."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() in ("flags", "Features"):
            return " ".join(sorted(value.split()))
    return platform.machine()


@dataclass(frozen=True, slots=True)
class Entry:
    """One build in the cache: a folder that exists only when its build went through."""

    name: str
    version: str
    inputs: tuple[str, ...]  # whatever else the result depends on: files, flags, other versions
    root: Path

    @property
    def key(self) -> str:
        """Name, version and a digest of the inputs: anything that changes the build changes it."""
        digest = hashlib.sha256("\0".join(self.inputs).encode()).hexdigest()[:10]
        return f"{self.name}-{self.version}-{digest}"

    @property
    def prefix(self) -> Path:
        """Return the folder with `bin` in it, there or not."""
        return self.root / self.key

    @property
    def log(self) -> Path:
        """The output of the build's commands, kept beside it."""
        return self.root / f"{self.key}.log"

    @property
    def is_complete(self) -> bool:
        """Tell whether the build has gone through."""
        return self.prefix.is_dir()

    @contextmanager
    def building(self) -> Iterator[Path | None]:
        """Give the one builder an empty folder with `prefix/` in it, which becomes the entry.

        None when another process finished the same build while this one waited for its turn.
        A body that raises, or a process that dies, leaves no entry behind.
        """
        partial = self.root / f"{self.key}.partial"
        with exclusive(self.root / f"{self.key}.lock"):
            if self.is_complete:
                yield None
                return
            remove_tree(partial)
            (partial / "prefix").mkdir(parents=True)
            try:
                yield partial
                (partial / "prefix").rename(self.prefix)
            finally:
                remove_tree(partial)


@contextmanager
def exclusive(lock: Path) -> Iterator[None]:
    """Hold the lock file; the kernel drops it with the process, so none is ever stale."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def remove_tree(folder: Path) -> None:
    """Remove a folder that may be absent."""
    if folder.exists():
        shutil.rmtree(folder)
