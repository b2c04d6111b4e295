"""`python -m ollameter.embedded`: the embedded server in the foreground, until interrupted."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import time

from ollameter.embedded.server import EmbeddedOllama


def main() -> None:
    """Serve until SIGINT or SIGTERM; print the URL once it can be called."""
    parser = argparse.ArgumentParser(prog="python -m ollameter.embedded", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="port on loopback (0: a free one)")
    parser.add_argument("--threads", type=int, default=1, help="threads the engine may use")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with (
        contextlib.suppress(KeyboardInterrupt),
        EmbeddedOllama(arguments.port, threads=arguments.threads) as server,
    ):
        sys.stdout.write(f"{server.model} at {server.base_url}\n")
        sys.stdout.flush()
        while True:  # a signal that comes just before a wait without end would be lost in it
            time.sleep(1)


if __name__ == "__main__":
    main()
