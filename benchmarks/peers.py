"""The environment of the clients and instrumentations we are compared with: made at first use."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from tests.stack.cache import cache_folder

_HERE = Path(__file__).parent
_LIST = _HERE / "peers.txt"
_PINS = _HERE.parent / "constraints.txt"
_SHARED = ("opentelemetry-sdk==", "requests==", "urllib3==")  # of the same versions in both environments


def peers_python() -> Path:
    """Return the interpreter that has the peers; raises `CalledProcessError` without them."""
    pins = [pin for pin in _PINS.read_text(encoding="utf-8").splitlines() if pin.startswith(_SHARED)]
    wanted = [*_LIST.read_text(encoding="utf-8").splitlines(), *pins]
    digest = hashlib.sha256("\n".join(wanted).encode()).hexdigest()[:12]
    folder = cache_folder() / "bench" / f"peers-{sys.version_info.major}{sys.version_info.minor}-{digest}"
    python = folder / "bin" / "python"
    done = folder / "installed"
    if not done.exists():
        print("installing what ours is compared with (once) ...", file=sys.stderr)
        _run(sys.executable, "-m", "venv", "--clear", folder)
        _run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
             "--requirement", _LIST, *pins)  # fmt: skip
        done.touch()
    return python


def _run(*command: object) -> None:
    subprocess.run([str(word) for word in command], check=True)
