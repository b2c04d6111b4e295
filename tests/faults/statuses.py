"""What goes wrong with a status to tell of it: errors, redirects, servers that are busy."""

from __future__ import annotations

from dataclasses import replace

from ollameter import Timeouts
from tests.faults.bodies import bomb
from tests.faults.fault import FINE, SHORT, Fault, both, status
from tests.faults.server import Asked, Connection, Serve, answer_well, with_length

RETRYING = Timeouts(first_byte=3)


def _says(code: bytes, body: bytes, *headers: bytes) -> Serve:
    def serve(connection: Connection, _: Asked) -> None:
        connection.send(with_length(body, None, *headers, status=code))

    return serve


def _once(code: bytes) -> Serve:
    asked_before: set[int] = set()

    def serve(connection: Connection, asked: Asked) -> None:
        if id(connection) in asked_before:
            answer_well(connection, asked)
        else:
            asked_before.add(id(connection))
            connection.send(with_length(b'{"error":"busy"}', None, status=code))

    return serve


def _cut_off(connection: Connection, _: Asked) -> None:
    connection.send(with_length(b'{"error":"out of mem', 99, status=b"500 Internal Server Error"))
    connection.end()


def _stalls(connection: Connection, _: Asked) -> None:
    connection.send(with_length(b'{"error":"out of mem', 99, status=b"500 Internal Server Error"))
    connection.wait_until_left()


ABSENT = b'{"error":"model \'m\' not found"}'
BUSY = b'{"error":"server busy, please try again.  maximum pending requests exceeded"}'
LOOP = b"Location: /api/chat"

FAULTS: dict[str, Fault] = {
    "400": both(_says(b"400 Bad Request", b'{"error":"invalid options"}'), status(400)),
    "401 without a body": both(_says(b"401 Unauthorized", b""), status(401)),
    "404 for a model": both(_says(b"404 Not Found", ABSENT), status(404, "ModelNotFound")),
    "404 for a path": both(_says(b"404 Not Found", b"404 page not found"), status(404)),
    "500 with nested JSON": both(_says(
        b"500 Internal Server Error", b'{"error":"{\\"error\\":{\\"message\\":\\"too long\\"}}"}'),
        status(500)),
    "500 cut off": both(_cut_off, replace(status(500), connection="closed")),
    "500, then silence": both(
        _stalls, replace(status(500), connection="closed", within="idle"), limits=SHORT),
    "500 of 10 MiB": both(
        _says(b"500 Internal Server Error", b"x" * (10 << 20)), replace(status(500), connection="closed")),
    "500 with a gzip bomb": both(
        _says(b"500 Internal Server Error", bomb(64 << 20), b"Content-Encoding: gzip"),
        replace(status(500), connection="closed")),
    "500 in no encoding": both(_says(b"500 Internal Server Error", b"\xff\xfe\x00"), status(500)),
    "502 with a page of HTML": both(_says(
        b"502 Bad Gateway", b"<html><title>502 Bad Gateway</title><h1>nginx</h1></html>"), status(502)),
    "204": both(_says(b"204 No Content", b""), status(204)),
    "999": both(_says(b"999 Never Heard Of", b""), status(999)),
    "a redirect to itself": both(_says(b"307 Temporary Redirect", b"", LOOP), status(307)),
    "a redirect to nowhere": both(_says(b"301 Moved", b""), status(301)),
    "503 once": both(_once(b"503 Service Unavailable"), FINE.reused().after(2), limits=RETRYING),
    "503 always": both(
        _says(b"503 Service Unavailable", BUSY),
        replace(status(503, "ServerBusy"), within="first_byte").after(3),
        limits=RETRYING),
    "503 always, Retry-After: 0": both(
        _says(b"503 Service Unavailable", BUSY, b"Retry-After: 0"), status(503, "ServerBusy").after(3)),
    "503, Retry-After: 60": both(
        _says(b"503 Service Unavailable", BUSY, b"Retry-After: 60"), status(503, "ServerBusy")),
    "503, Retry-After beyond first_byte": both(
        _says(b"503 Service Unavailable", BUSY, b"Retry-After: 6"), status(503, "ServerBusy")),
    "429 always": both(
        _says(b"429 Too Many Requests", b"", b"Retry-After: 0"), status(429, "ServerBusy").after(3)),
}  # fmt: skip
