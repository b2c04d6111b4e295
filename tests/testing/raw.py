"""A client that sees every byte, for asserting what is on the wire."""

from __future__ import annotations

import socket

from ollameter.testing import FakeOllama

CHAT = b"POST /api/chat HTTP/1.1\r\nHost: here\r\nContent-Length: 2\r\n\r\n{}"


def connect(fake: FakeOllama, request: bytes = CHAT) -> socket.socket:
    """Return a connection over which a request was sent; reading gives up after 5 s."""
    connection = socket.create_connection((fake.host, fake.port), 5)
    connection.sendall(request)
    return connection


def read_to_end(connection: socket.socket) -> bytes:
    """Return everything until the server closes."""
    return b"".join(iter(lambda: connection.recv(65536), b""))


def read_until(connection: socket.socket, end: bytes) -> bytes:
    """Return everything up to and including `end`; raises `EOFError` when it does not come."""
    received = b""
    while not received.endswith(end):
        data = connection.recv(1)
        if not data:
            raise EOFError(received)
        received += data
    return received


def ask(fake: FakeOllama, request: bytes = CHAT) -> bytes:
    """Return everything that a server which closes afterwards sends."""
    with connect(fake, request) as connection:
        return read_to_end(connection)


def body(answer: bytes) -> bytes:
    """Return what follows the headers."""
    return answer.partition(b"\r\n\r\n")[2]
