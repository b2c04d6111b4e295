"""How these tests call the server: plain HTTP, nothing of ours on the client's side."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import requests

from ollameter.embedded import EmbeddedOllama

SKY = [{"role": "user", "content": "Why is the sky blue?"}]
PHASES = ("load_duration", "prompt_eval_duration", "eval_duration")


def chat(server: EmbeddedOllama, num_predict: int = 8, **fields: Any) -> dict[str, Any]:
    """Return a chat request of few tokens and no chance."""
    options = {"temperature": 0, "num_predict": num_predict} | fields.pop("options", {})
    return {"model": server.model, "messages": SKY, "options": options, **fields}


def generate(server: EmbeddedOllama, prompt: str, **fields: Any) -> dict[str, Any]:
    """Return a generate request of few tokens and no chance, answered as one object."""
    options = {"temperature": 0, "num_predict": 8} | fields.pop("options", {})
    return {"model": server.model, "prompt": prompt, "stream": False, "options": options, **fields}


def whole(
    http: requests.Session, server: EmbeddedOllama, path: str, body: dict[str, Any]
) -> dict[str, Any]:
    """Return an answer that is one object."""
    response = http.post(server.base_url + path, json=body | {"stream": False}, timeout=120)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def streamed(
    http: requests.Session, server: EmbeddedOllama, path: str, body: dict[str, Any]
) -> list[dict[str, Any]]:
    """Return the lines of a streamed answer."""
    response = http.post(server.base_url + path, json=body, timeout=120)
    assert response.status_code == 200, response.text
    return [json.loads(line) for line in response.content.split(b"\n") if line]


def residual_ns(done: dict[str, Any]) -> int:
    """Return the part of the total that is in no phase."""
    return int(done["total_duration"]) - sum(int(done[phase]) for phase in PHASES)


def connect(server: EmbeddedOllama) -> socket.socket:
    """Return a bare connection."""
    return socket.create_connection(("127.0.0.1", int(server.base_url.rpartition(":")[2])), 60)


def exchange(server: EmbeddedOllama, request: bytes) -> bytes:
    """Send bytes on a connection of their own; return all that comes until it closes."""
    with connect(server) as connection, connection.makefile("rb") as file:
        connection.sendall(request)
        return file.read()


def send(server: EmbeddedOllama, path: str, body: dict[str, Any]) -> socket.socket:
    """Send a request on a connection of its own and return it with nothing read."""
    connection = connect(server)
    payload = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(payload)}\r\n\r\n"
    connection.sendall(head.encode() + payload)
    return connection


def lines_of(connection: socket.socket) -> Iterator[dict[str, Any]]:
    """Yield a chunked answer's lines as they come."""
    with connection.makefile("rb") as file:
        while file.readline().strip():
            pass
        while size := int(file.readline(), 16):
            yield json.loads(file.read(size))
            file.readline()


def until(condition: Callable[[], bool], within_s: float = 20.0) -> None:
    """Wait for a condition, not longer than a bound."""
    deadline_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline_s, "it did not come true in time"
        time.sleep(0.005)
