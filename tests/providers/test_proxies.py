"""Proxies as users of requests expect them: given or from the environment, alike on both sides."""

from __future__ import annotations

import base64
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import ollameter
from ollameter import OllamaProvider, Timeouts
from ollameter.testing import FakeOllama, whole_chat
from tests.providers.calls import both_sides, run
from tests.providers.secure import secure_server

TLS = Path(__file__).parent / "tls"
PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def _no_proxies_around(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


class Tunnels:
    """A proxy for TLS: answers `CONNECT` with a status, and when that is 200 passes bytes on."""

    def __init__(self, answer: bytes = b"HTTP/1.1 200 Connection established\r\n\r\n") -> None:
        self.heads: list[str] = []
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.authority = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._sockets: list[socket.socket] = []
        self._run(self._accept)

    def close(self) -> None:
        """Stop, and cut every tunnel."""
        for sock in (self._listener, *self._sockets):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # closed meanwhile
            sock.close()

    def _run(self, target: Any, *args: Any) -> None:
        threading.Thread(target=target, args=args, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._sockets.append(client)
            self._run(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = client.recv(1)
            if not byte:
                return
            head += byte
        self.heads.append(head.decode())
        client.sendall(self._answer)
        if b" 200 " not in self._answer:
            return
        host, _, port = head.split()[1].decode().rpartition(":")
        upstream = socket.create_connection((host, int(port)))
        self._sockets.append(upstream)
        self._run(_pass_on, client, upstream)
        _pass_on(upstream, client)


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # one end is gone


@contextmanager
def tunnels(*answer: bytes) -> Iterator[Tunnels]:
    """Run a proxy for TLS."""
    proxy = Tunnels(*answer)
    try:
        yield proxy
    finally:
        proxy.close()


@pytest.fixture(scope="module")
def secure_url() -> Iterator[str]:
    """A server with TLS whose certificate is its own authority."""
    with secure_server(TLS / "cert.pem") as url:
        yield url


@both_sides
@pytest.mark.parametrize("how", ["given", "https_proxy", "HTTPS_PROXY", "all_proxy"])
def test_tls_goes_through_a_tunnel(
    how: str, side: str, secure_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy learns where to, and nothing more; the server is checked as without it."""
    with tunnels() as proxy:
        url = f"http://{proxy.authority}"
        settings: dict[str, Any] = {"proxies": {"https": url}} if how == "given" else {}
        if how != "given":
            monkeypatch.setenv(how, url)
        with OllamaProvider(secure_url, model="m", verify=str(TLS / "cert.pem"), **settings) as llm:
            ran = run(llm, side, "chat")
        with OllamaProvider(secure_url, model="m", **settings) as llm:
            mistrusted = run(llm, side, "chat")

    assert (ran.text, ran.error) == ("secret", None)
    assert mistrusted.error.error_type == "tls"
    assert {tuple(head.split()[:2]) for head in proxy.heads} == {("CONNECT", secure_url[8:])}


@both_sides
@pytest.mark.parametrize("how", ["no_proxy", "NO_PROXY", "another scheme", "proxies={}"])
def test_a_server_may_be_left_out_of_the_environments_proxies(
    how: str, side: str, fake: FakeOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its host, or because the proxy is for something else."""
    monkeypatch.setenv("https_proxy" if how == "another scheme" else "http_proxy", "http://127.0.0.1:9")
    if how.lower() == "no_proxy":
        monkeypatch.setenv(how, "example.org,127.0.0.1")
    settings: dict[str, Any] = {"proxies": {}} if how == "proxies={}" else {}
    with OllamaProvider(fake.base_url, model="llama3.2", **settings) as llm:
        ran = run(llm, side, "chat")

    assert (ran.text, ran.error) == ("Hello!", None)


@both_sides
@pytest.mark.parametrize("key", ["http", "all", "http://model.example", "all://model.example"])
def test_a_proxy_is_chosen_as_in_requests(key: str, side: str) -> None:
    """The nearest key counts: scheme and host, scheme, all and host, all."""
    with FakeOllama() as proxy:
        proxy.script("http://model.example:11434/api/chat", whole_chat("through"))
        proxies = {"all": "http://127.0.0.1:9", key: proxy.base_url}
        with OllamaProvider("model.example", model="m", proxies=proxies, retries=0) as llm:
            ran = run(llm, side, "chat")

    assert (ran.text, ran.error) == ("through", None)


@both_sides
def test_a_proxys_password_is_for_the_proxy_alone(side: str, secure_url: str) -> None:
    """It is in no error either."""
    expected = "Basic " + base64.b64encode(b"me:secret").decode()
    with FakeOllama() as plain, tunnels(b"HTTP/1.1 502 Bad Gateway\r\n\r\n") as proxy:
        plain.script("http://model.example:11434/api/chat", whole_chat("through"))
        proxies = {"http": f"http://me:secret@{plain.host}:{plain.port}"}
        with OllamaProvider("model.example", model="m", proxies=proxies) as llm:
            ran = run(llm, side, "chat")
        proxies = {"https": f"http://me:secret@{proxy.authority}"}
        with OllamaProvider(secure_url, model="m", proxies=proxies) as llm:
            refused = run(llm, side, "chat")

    assert ran.text == "through"
    assert plain.requests[0].headers["proxy-authorization"] == expected
    assert f"proxy-authorization: {expected}".lower() in proxy.heads[0].lower()
    assert "secret" not in str(refused.error)


@both_sides
@pytest.mark.parametrize("status", [b"407 Proxy Authentication Required", b"502 Bad Gateway"])
def test_a_proxy_that_refuses_a_tunnel_is_named_with_its_status(
    status: bytes, side: str, secure_url: str
) -> None:
    """As it is when the proxy answers a plain request."""
    with tunnels(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n") as proxy:
        settings: Any = {"proxies": {"https": f"http://{proxy.authority}"}}
        with OllamaProvider(secure_url, model="m", **settings) as llm:
            ran = run(llm, side, "chat")

    assert (type(ran.error), ran.error.error_type) == (ollameter.ResponseError, status[:3].decode())
    assert ran.error.status_code == int(status[:3])
    assert f"the proxy {proxy.authority}" in str(ran.error)


@both_sides
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_is_not_there_is_named(scheme: str, side: str) -> None:
    """It is not the server that refuses."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        authority = f"127.0.0.1:{closed.getsockname()[1]}"
    settings: Any = {"proxies": {scheme: f"http://me:secret@{authority}"}, "retries": 0}
    with OllamaProvider(f"{scheme}://model.example:11434", model="m", **settings) as llm:
        ran = run(llm, side, "chat")

    assert (type(ran.error), ran.error.error_type) == (ollameter.ConnectionFailed, "connection_refused")
    assert f"model.example:11434 through the proxy {authority}" in str(ran.error)
    assert "secret" not in str(ran.error)


@both_sides
def test_a_proxy_that_says_nothing_is_a_connect_timeout(side: str, secure_url: str) -> None:
    """A tunnel is part of the connection."""
    with tunnels(b"") as proxy:
        settings: Any = {"proxies": {"https": f"http://{proxy.authority}"}}
        with OllamaProvider(secure_url, model="m", timeout=Timeouts(connect=0.3), **settings) as llm:
            ran = run(llm, side, "chat")

    assert (type(ran.error), ran.error.phase) == (ollameter.Timeout, "connect")
