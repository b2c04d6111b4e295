"""Build the real servers that the tests use: `python tests/stack/install.py NAME...`.

Nothing is built twice: see `cache.py` for where builds are kept.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from pathlib import Path

if __package__ in (None, ""):  # run as a script: only this folder is importable
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from tests.stack.bench import Bench, BuildError, missing_tools
from tests.stack.cache import Entry, cache_folder
from tests.stack.recipes import Recipe, recipes


def entry(recipe: Recipe, root: Path | None = None) -> Entry:
    """Say where the recipe's result belongs."""
    return Entry(recipe.name, recipe.version, recipe.inputs, root or cache_folder())


def installed(name: str) -> Path | None:
    """Return the prefix of a server that is in the cache, else None."""
    found = entry(recipes()[name])
    return found.prefix if found.is_complete else None


def install(recipe: Recipe, root: Path | None = None) -> Path:
    """Build what is not cached, print one line about it, and return the prefix."""
    place = entry(recipe, root)
    started = time.monotonic()
    done = "cached"
    if not place.is_complete:
        done = build(recipe, place)
    seconds = time.monotonic() - started
    report(f"{recipe.name} {recipe.version}: {done} in {seconds:.1f} s, {place.prefix}")
    return place.prefix


def build(recipe: Recipe, place: Entry) -> str:
    """Build an entry unless another process does so first; say which of the two happened."""
    if missing := missing_tools(recipe.tools):
        raise BuildError(f"needs {', '.join(missing)}: not on PATH")
    with place.building() as partial:
        if partial is None:
            return "built by another process"
        work = partial / "work"
        work.mkdir()
        place.log.write_text("", encoding="utf-8")
        recipe.build(Bench(work=work, prefix=partial / "prefix", log=place.log))
    return "built"


def report(line: str) -> None:
    """Say it at once: standard output may be a pipe, and the next build takes minutes."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(arguments: list[str]) -> int:
    """Install the named servers in the given order; stop at the first that fails."""
    known = recipes()
    parser = argparse.ArgumentParser(prog="install.py", description="Build servers for the tests.")
    parser.add_argument("names", nargs="+", choices=known, metavar="NAME", help=", ".join(known))
    for name in parser.parse_args(arguments).names:
        try:
            install(known[name])
        except BuildError as failure:
            report(f"{name} {known[name].version}: failed: {failure}")
            return 1
        except KeyboardInterrupt:
            report(f"{name} {known[name].version}: interrupted, nothing kept")
            return 130
    return 0


if __name__ == "__main__":
    # Ends like Ctrl-C: running commands are stopped and the unfinished build is removed.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main(sys.argv[1:]))
