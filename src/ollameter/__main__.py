"""`python -m ollameter`: the `ollameter` command; without its packages, one line that names them."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command; return its exit code."""
    try:
        from ollameter.cli.app import run
    except ImportError as error:
        sys.stderr.write(f'ollameter: {error}. Install the command: pip install "ollameter[cli]"\n')
        return 1
    return run()


if __name__ == "__main__":
    sys.exit(main())
