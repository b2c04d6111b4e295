"""Measure, print and write what calls cost: `python -m benchmarks [--quick] [--report FILE] …`."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from benchmarks import guards, report
from benchmarks.fake_server import FakeServer
from benchmarks.peers import peers_python
from benchmarks.sections import SERVER, Plan, Results, Run, scenarios

_SECTIONS = ("calls", "at_once", "crowd", "accuracy", "imports", "idle", "memory")
_QUICK = Plan(rounds=5, calls=40, import_rounds=3)


def main() -> int:
    """Run, and return 1 when a quick run finds a gross regression."""
    options = _options()
    begun = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - begun:5.0f} s  {text}", file=sys.stderr)

    peers = None if options.quick else _peers()
    with FakeServer(scenarios(), SERVER) as server:
        run = Run(server, peers, _QUICK if options.quick else Plan(), say)
        for section in ("calls", "imports") if options.quick else options.only or _SECTIONS:
            getattr(run, section)()
    found = {"machine": report.machine(), **run.results}
    earlier = [json.loads(path.read_text(encoding="utf-8")) for path in options.earlier]
    print(report.markdown(found, earlier))
    for path, text in (
        (options.json, json.dumps(found, indent=1)),
        (options.report, report.markdown(found, earlier)),
        (options.html, report.as_html(found, earlier)),
    ):
        if path is not None:
            path.write_text(text, encoding="utf-8")
    say("done")
    return _guard(found) if options.quick else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a minute, and only against gross regressions")
    parser.add_argument("--only", nargs="+", choices=_SECTIONS, help="these sections")
    parser.add_argument(
        "--earlier", nargs="+", type=Path, default=[], metavar="JSON", help="set these runs beside this one"
    )
    parser.add_argument("--json", type=Path, help="write everything that was measured")
    parser.add_argument("--report", type=Path, help="write the tables as Markdown")
    parser.add_argument("--html", type=Path, help="write the tables as HTML")
    return parser.parse_args()


def _peers() -> Path | None:
    try:
        return peers_python()
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"the peers cannot be installed, so they are left out: {error}", file=sys.stderr)
        return None


def _guard(found: Results) -> int:
    broken = guards.broken(found)
    for line in broken:
        print(f"REGRESSION {line}", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
