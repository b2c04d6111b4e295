"""Ports and HTTP on this machine: nothing here can reach further."""

from __future__ import annotations

import json
import random
import socket
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

HOST = "127.0.0.1"

# Below the ephemeral range, where a port can be taken by anybody's outgoing connection.
_PORTS = range(20_000, 32_000)
_choose = random.SystemRandom()  # a seeded generator would give two test runs the same ports

_opener = build_opener(ProxyHandler({}))


def free_port() -> int:
    """Return a port that nobody listens on right now."""
    for port in _choose.sample(_PORTS, 200):
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
    raise OSError("no free port among 200 tried")


def status_of(url: str, timeout_s: float = 1.0) -> int | None:
    """Return the status of a GET, None when nobody answers."""
    try:
        with _opener.open(url, timeout=timeout_s) as response:
            return int(response.status)
    except HTTPError as error:
        with error:
            return error.code
    except OSError:
        return None


def fetch_json(url: str, body: object = None, *, method: str | None = None, timeout_s: float = 60.0) -> Any:
    """GET, or send a body as JSON, and decode the answer, None for an empty one.

    An error status raises `urllib.error.HTTPError`.
    """
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    request = Request(url, data=data, headers=headers, method=method)
    with _opener.open(request, timeout=timeout_s) as response:
        answer = response.read()
    return json.loads(answer) if answer else None
