"""The fake server sees every request and every client that leaves, and is gone once it is closed."""

from __future__ import annotations

import gc
import http.client
import socket
import struct
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.request import urlopen

import pytest
import requests

from ollameter.testing import Answer, FakeOllama, whole_chat
from tests.testing.raw import CHAT, ask, connect, read_to_end, read_until

WAITING = {
    "before the headers": Answer(delay_s=60),
    "for an event": Answer(hold=threading.Event()),
    "within the headers": Answer(header_drip_s=60),
    "between lines": Answer(lines=[b"1\n", b"2\n"], gap_s=60),
    "for ever": Answer(lines=[b"1\n"], cut="hang"),
    "for a reader": Answer(body=bytes(64 << 20)),
}
waiting = pytest.mark.parametrize("answer", WAITING.values(), ids=WAITING.keys())


def eventually(happened: Callable[[], bool]) -> bool:
    """Whether it happens within 5 s."""
    ends_at = time.monotonic() + 5
    while not happened() and time.monotonic() < ends_at:
        threading.Event().wait(0.005)
    return happened()


def test_a_request_is_kept_as_it_came(fake: FakeOllama) -> None:
    """Header names in any case; the body also as JSON."""
    before = time.perf_counter()
    requests.post(
        fake.base_url + "/api/show?a=b", json={"model": "x"}, headers={"X-Mine": "yes"}, timeout=5
    )
    [request] = fake.requests

    assert (request.method, request.path, request.connection) == ("POST", "/api/show?a=b", 1)
    assert (request.body, request.json) == (b'{"model": "x"}', {"model": "x"})
    assert request.headers["X-MINE"] == request.headers["x-mine"] == "yes"
    assert ("x-mine" in request.headers, "X-Other" in request.headers) == (True, False)
    assert "'x-mine': 'yes'" in repr(request.headers)
    assert len(request.headers) == len(list(request.headers))
    assert before <= request.received_at <= time.perf_counter()


def test_what_a_provider_asks_by_itself_is_kept_apart(fake: FakeOllama) -> None:
    """Told by its `User-Agent`: a slow test sees the same requests as a fast one."""
    agents = ("ollameter/1.0 (background)", "ollameter/1.0")
    for agent in agents:
        requests.get(fake.base_url + "/api/ps", headers={"User-Agent": agent}, timeout=5)

    assert [request.headers["user-agent"] for request in fake.background_requests] == [agents[0]]
    assert [request.headers["user-agent"] for request in fake.requests] == [agents[1]]


def test_repeated_headers_are_joined_and_no_body_is_no_json(fake: FakeOllama) -> None:
    """As HTTP has it."""
    ask(fake, b"GET / HTTP/1.1\r\nVia: a\r\nvia: b\r\nConnection: close\r\n\r\n")

    assert (fake.requests[0].headers["Via"], fake.requests[0].json) == ("a, b", None)


def test_a_body_may_come_in_chunks(fake: FakeOllama) -> None:
    """As a client sends it that does not know its length."""
    requests.post(fake.base_url + "/api/chat", data=iter([b'{"mod', b'el":"x"}']), timeout=5)

    assert fake.requests[0].json == {"model": "x"}


def test_scripts_are_per_path_and_used_up(fake: FakeOllama) -> None:
    """Afterwards the path answers by itself again; a query is no part of it."""
    fake.script("/api/version", Answer(body=b"first"), Answer(body=b"second"))
    said = [urlopen(f"{fake.base_url}/api/{path}").read() for path in ("version?q", "tags", "version")]

    assert [said[0], said[1][:10], said[2]] == [b"first", b'{"models":', b"second"]
    assert urlopen(f"{fake.base_url}/api/version").read() == b'{"version":"0.33.3"}'


@waiting
def test_a_client_that_leaves_is_noticed(answer: Answer, fake: FakeOllama) -> None:
    """Wherever the answer is; the request says how far it had come."""
    fake.script("/api/chat", answer)
    with connect(fake):
        assert fake.wait_for_requests(1)
        assert fake.open_connections == 1

    assert fake.wait_until_left()
    assert fake.wait_until_closed(connection=1)
    assert fake.closed_early == fake.requests
    assert fake.requests[0].sent.pieces <= 1
    assert fake.open_connections == 0


def test_a_client_that_resets_is_noticed(fake: FakeOllama) -> None:
    """A reset is a departure like any other."""
    fake.script("/api/chat", WAITING["for ever"])
    with connect(fake) as connection:
        read_until(connection, b"1\n\r\n")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    assert fake.wait_until_left()


def test_the_next_request_may_come_before_the_answer(fake: FakeOllama) -> None:
    """It waits its turn and is no departure."""
    go = threading.Event()
    fake.script("/api/chat", Answer(body=b"first", hold=go), Answer(body=b"second", delay_s=0.02))
    with connect(fake, CHAT * 3) as connection:
        assert fake.wait_for_requests(1)
        go.set()
        received = read_until(connection, b'{"error":"model is required"}')

    assert received.index(b"first") < received.index(b"second")
    assert fake.closed_early == []


def test_a_client_that_leaves_between_requests_left_nothing_early(fake: FakeOllama) -> None:
    """Nor one that leaves before it has said everything: that is no request."""
    fake.script("/api/chat", whole_chat("done"))
    with connect(fake) as connection:
        read_until(connection, b"}")
    for half in (CHAT[:-1], CHAT[:20], b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"):
        connect(fake, half).close()

    assert eventually(lambda: fake.connections_opened == 4)
    assert fake.wait_until_closed()
    assert (len(fake.requests), fake.closed_early) == (1, [])


@pytest.mark.parametrize("nonsense", [b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n"])
def test_what_is_no_http_is_hung_up_on(
    nonsense: bytes, fake: FakeOllama, capfd: pytest.CaptureFixture[str]
) -> None:
    """And nothing is printed."""
    assert ask(fake, nonsense) == b""
    assert fake.wait_until_closed()
    assert capfd.readouterr() == ("", "")


def test_waiting_has_a_bound(fake: FakeOllama) -> None:
    """And says whether it was in vain."""
    fake.script("/api/chat", WAITING["for ever"])
    with connect(fake):
        assert fake.wait_for_requests(1)

        assert not fake.wait_for_requests(2, timeout_s=0.01)
        assert not fake.wait_until_closed(timeout_s=0.01)
        assert not fake.wait_until_closed(connection=1, timeout_s=0.01)
        assert not fake.wait_until_left(timeout_s=0.01)


@waiting
def test_closing_is_prompt_whatever_it_waits_for(answer: Answer) -> None:
    """Connections are cut, threads and sockets are gone; it was not the client who left."""
    threads = threading.active_count()
    with FakeOllama() as fake:
        fake.script("/api/chat", answer)
        connections = [connect(fake, CHAT * requests) for requests in (1, 2, 2)] + [connect(fake, b"GET /")]
        assert fake.wait_for_requests(3)
        assert eventually(lambda: fake.open_connections == 4)
        begun = time.monotonic()
        fake.close()
        lasted_s = time.monotonic() - begun
        fake.close()

    assert lasted_s < 0.5
    assert (fake.open_connections, fake.closed_early) == (0, [])
    assert threading.active_count() == threads
    for connection in connections:
        connection.close()
    gc.collect()  # a socket left open would warn, and warnings are errors


def test_a_server_that_was_closed_refuses_and_can_start_again() -> None:
    """On the same port, as a server that restarts."""
    fake = FakeOllama()
    with pytest.raises(RuntimeError, match="has not been started"):
        assert fake.base_url
    with fake:
        url = fake.base_url
        assert urlopen(url).read() == b"Ollama is running"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((fake.host, fake.port))
    with fake.start():
        assert fake.base_url == url
        assert urlopen(url).read() == b"Ollama is running"


def test_a_failing_accept_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when there are no file descriptors for a moment."""
    accept, failures = socket.socket.accept, [OSError("too many open files")] * 3

    def failing(listener: socket.socket) -> tuple[socket.socket, object]:
        if failures:
            raise failures.pop()
        return accept(listener)

    monkeypatch.setattr(socket.socket, "accept", failing)
    with FakeOllama() as fake:
        assert urlopen(fake.base_url).read() == b"Ollama is running"

    assert failures == []


def test_two_hundred_clients_are_served_at_once(fake: FakeOllama) -> None:
    """All of them wait, then all of them get their answer."""
    go = threading.Event()
    fake.script("/api/chat", *[Answer(body=b"ok", framing="close", hold=go)] * 200)
    connections = [connect(fake) for _ in range(200)]
    assert fake.wait_for_requests(200, timeout_s=20)
    assert fake.open_connections == 200
    go.set()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(read_to_end, connections))
    for connection in connections:
        connection.close()

    assert {answer.rpartition(b"\r\n")[2] for answer in answers} == {b"ok"}
    assert fake.connections_opened == 200
    assert fake.closed_early == []


def test_scripted_answers_are_each_given_once(fake: FakeOllama) -> None:
    """However many clients ask at the same time."""
    fake.script("/api/version", *(Answer(body=b"%d" % i, framing="length") for i in range(100)))
    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(lambda _: urlopen(fake.base_url + "/api/version").read(), range(104)))

    assert sorted(said)[:-4] == sorted(b"%d" % i for i in range(100))
    assert said.count(b'{"version":"0.33.3"}') == 4


def test_thousands_of_quick_calls_share_a_connection(fake: FakeOllama) -> None:
    """Nothing piles up but the requests themselves."""
    connection = http.client.HTTPConnection(fake.host, fake.port, timeout=5)
    for _ in range(2000):
        connection.request("GET", "/api/version")
        connection.getresponse().read()
    connection.close()

    assert (len(fake.requests), fake.connections_opened) == (2000, 1)
