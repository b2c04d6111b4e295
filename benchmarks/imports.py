"""What importing costs, in fresh interpreters: CPU, memory, and which modules come along."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.processes import clean_environment
from benchmarks.variants import VARIANTS

_UNWANTED = ("requests", "aiohttp", "psutil", "asyncio", "importlib.metadata")
_PROBE = """
import os, sys, time
os.sched_setaffinity(0, {{{processor}}})
begun = time.process_time()
{statements}
spent = time.process_time() - begun
status = open("/proc/self/status").read()
rss = int(status.split("VmRSS:")[1].split()[0]) << 10
import json
print(json.dumps({{"cpu_s": spent, "rss_bytes": rss, "modules": [m for m in {unwanted} if m in modules]}}))
"""
_CALL = """
from ollameter import OllamaProvider
llm = OllamaProvider({url!r}, model="llama3.2")
llm.chat([{{"role": "user", "content": "x"}}])
modules = set(sys.modules)
"""
_PEERS_CALL = """
from benchmarks.variants import VARIANTS
peer = VARIANTS[{name!r}]
if peer.instrument is not None:
    peer.instrument()
peer.client({url!r}).chat()
modules = set(sys.modules)
"""
_CASES = {
    "nothing": "modules = set(sys.modules)",
    "import requests": "import requests; modules = set(sys.modules)",
    "import ollameter": "import ollameter; modules = set(sys.modules)",
}


def measure(url: str, processor: int, rounds: int, peers: Path | None) -> dict[str, list[dict[str, Any]]]:
    """Return what each case cost, in turn; without the peers' environment theirs are left out."""
    own = Path(sys.executable)
    cases = {name: (own, statements) for name, statements in _CASES.items()}
    cases["ollameter, after the first call"] = (own, _CALL.format(url=url))
    if peers is not None:
        for name in (name for name, variant in VARIANTS.items() if variant.is_peer):
            cases[f"{name}, after the first call"] = (peers, _PEERS_CALL.format(name=name, url=url))
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in cases}
    for _ in range(rounds + 1):  # the first writes the compiled modules
        for name, (python, statements) in cases.items():
            results[name].append(_run(python, statements, processor))
    return {name: found[1:] for name, found in results.items()}


def _run(python: Path, statements: str, processor: int) -> dict[str, Any]:
    program = _PROBE.format(processor=processor, statements=statements, unwanted=_UNWANTED)
    run = subprocess.run(
        [str(python), "-c", program], env=clean_environment(), stdout=subprocess.PIPE, check=True
    )
    found: dict[str, Any] = json.loads(next(filter(_is_told, run.stdout.splitlines())))
    return found


def _is_told(line: bytes) -> bool:
    return line.startswith(b'{"cpu_s"')  # some libraries print as well
