"""Write the dashboards as JSON, or with `--check` say which files differ from their description."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from boards import BOARDS
from boards.grafana import dashboard

FOLDER = Path(__file__).parent / "dashboards"


def written() -> dict[str, str]:
    """Return what each file is to contain."""
    return {
        f"{board.key}.json": json.dumps(dashboard(board), indent=2, ensure_ascii=False) + "\n"
        for board in BOARDS
    }


def differing(folder: Path) -> list[str]:
    """Return the files that are missing, stale, or of no dashboard."""
    expected = written()
    found = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.json")}
    return sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))


def write(folder: Path) -> None:
    """Write every file, and remove those of no dashboard."""
    expected = written()
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.json"):
        if path.name not in expected:
            path.unlink()
    for name, text in expected.items():
        (folder / name).write_text(text, encoding="utf-8")


def main(arguments: list[str] | None = None, folder: Path = FOLDER) -> None:
    """Write, or check and exit with the names of the files that differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file differs")
    if not parser.parse_args(arguments).check:
        write(folder)
    elif stale := differing(folder):
        sys.exit(
            f"not as described: {', '.join(stale)}; run `python otel-collector/grafana/build_dashboards.py`"
        )


if __name__ == "__main__":
    main()
