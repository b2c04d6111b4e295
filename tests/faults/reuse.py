"""What goes wrong between one call and the next over the same connection."""

from __future__ import annotations

from dataclasses import replace

from ollameter import Timeouts
from tests.faults.fault import FINE, REFUSED, RESET, Fault, between
from tests.faults.server import Asked, Connection, RawServer


def _ends(connection: Connection, _: Asked) -> None:
    connection.end()


def _restart(server: RawServer) -> None:
    server.stop()
    server.start()


def _says_what_nobody_asked(server: RawServer) -> None:
    server.say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")


ANEW = replace(FINE, connection="closed, used again")

FAULTS: dict[str, Fault] = {
    "closed between calls": between(RawServer.cut_idle, ANEW),
    "closed when the next request comes": between(lambda _: None, RESET, serve=_ends),
    "server restarted between calls": between(_restart, ANEW),
    "server stopped between calls": between(
        RawServer.stop, REFUSED, limits=Timeouts(first_byte=1)),
    "an answer nobody asked for": between(_says_what_nobody_asked, ANEW),
}  # fmt: skip
