"""Whom a provider trusts, and how it shows itself: as in requests, alike on both sides."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ollameter
from ollameter import OllamaProvider, Timeouts
from tests.faults.server import RawServer
from tests.providers.calls import both_sides, run
from tests.providers.secure import KEY, secure_server

TLS = Path(__file__).parent / "tls"
BUNDLE = str(TLS / "cert.pem")
VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


@pytest.fixture(autouse=True)
def _no_trust_around(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def secure_url() -> Iterator[str]:
    """A server with a certificate nobody knows."""
    with secure_server(TLS / "cert.pem") as url:
        yield url


@both_sides
@pytest.mark.parametrize(
    ("certificate", "why"),
    [("cert", "self-signed"), ("expired", "certificate has expired"), ("elsewhere", "not valid for")],
)
def test_a_server_that_is_not_vouched_for_is_not_talked_to(certificate: str, why: str, side: str) -> None:
    """Unknown, out of date, or somebody else: said, and nothing sent."""
    path = TLS / f"{certificate}.pem"
    settings: dict[str, Any] = {} if certificate == "cert" else {"verify": str(path)}
    with secure_server(path) as url, OllamaProvider(url, model="m", **settings) as llm:
        ran = run(llm, side, "chat")

    assert (type(ran.error), ran.error.error_type) == (ollameter.ConnectionFailed, "tls")
    assert why in str(ran.error).replace("self signed", "self-signed")


@both_sides
def test_a_server_without_tls_is_no_tls_server(side: str) -> None:
    """HTTPS where HTTP is spoken: Go's server answers so."""
    with RawServer() as server:
        server.greet = lambda connection: connection.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        with OllamaProvider(f"https://127.0.0.1:{server.port}", model="m") as llm:
            ran = run(llm, side, "chat")

    assert (type(ran.error), ran.error.error_type) == (ollameter.ConnectionFailed, "tls")


@both_sides
@pytest.mark.parametrize(
    "how", ["verify", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "False"]
)
def test_trust_is_given_as_in_requests(
    how: str, side: str, secure_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path, one in the environment, or no check at all."""
    settings: dict[str, Any] = {}
    if how in ("verify", "False"):
        settings = {"verify": BUNDLE if how == "verify" else False}
    else:
        monkeypatch.setenv(how, BUNDLE)

    with pytest.warns() if how == "False" and side == "sync" else _nothing_expected():
        with OllamaProvider(secure_url, model="m", **settings) as llm:
            ran = run(llm, side, "chat")

    assert (ran.text, ran.error) == ("secret", None)


class _nothing_expected:  # noqa: N801  # stands beside pytest.warns
    def __enter__(self) -> None:
        """Expect nothing."""

    def __exit__(self, *_: object) -> None:
        """Check nothing: warnings are errors anyway."""


@both_sides
def test_an_environment_that_is_not_trusted_vouches_for_nobody(
    side: str, secure_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`trust_env=False` leaves its bundles out, too; `verify` given in code counts before them."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", BUNDLE)
    with OllamaProvider(secure_url, model="m", trust_env=False) as llm:
        ran = run(llm, side, "chat")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(TLS / "elsewhere.pem"))
    with OllamaProvider(secure_url, model="m", verify=BUNDLE) as llm:
        given = run(llm, side, "chat")

    assert ran.error.error_type == "tls"
    assert given.text == "secret"


@both_sides
@pytest.mark.parametrize("shown", [True, False])
def test_a_client_shows_its_certificate(shown: bool, side: str) -> None:
    """To a server that talks to nobody else."""
    settings: Any = {"cert": (BUNDLE, str(KEY))} if shown else {}
    with secure_server(TLS / "cert.pem", clients=TLS / "cert.pem") as url:
        with OllamaProvider(url, model="m", verify=BUNDLE, **settings) as llm:
            ran = run(llm, side, "chat")

    if shown:
        assert (ran.text, ran.error) == ("secret", None)
    else:
        assert type(ran.error) is ollameter.ConnectionFailed
        assert ran.error.error_type in (
            "tls",
            "connection_reset",
        )  # whether its alert or its end comes first


@both_sides
def test_a_handshake_that_stalls_is_a_connect_timeout(side: str) -> None:
    """The server accepts and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        with OllamaProvider(url, model="m", timeout=Timeouts(connect=0.3)) as llm:
            ran = run(llm, side, "chat")

    assert (type(ran.error), ran.error.phase) == (ollameter.Timeout, "connect")


@pytest.mark.parametrize(
    ("settings", "variable", "said"),
    [
        ({"verify": "/nowhere.pem"}, None, "verify: "),
        ({"verify": __file__}, None, "verify: "),
        ({"cert": "/nowhere.pem"}, None, "cert: "),
        ({"cert": (BUNDLE, "/nowhere.key")}, None, "cert: "),
        ({"cert": __file__}, None, "cert: "),
        ({}, "REQUESTS_CA_BUNDLE", "REQUESTS_CA_BUNDLE: "),
        ({}, "SSL_CERT_FILE", "SSL_CERT_FILE: "),
    ],
)
def test_files_that_cannot_be_used_are_refused_by_name(
    settings: dict[str, Any], variable: str | None, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the provider is made; without TLS they are not looked at."""
    if variable is not None:
        monkeypatch.setenv(variable, "/nowhere.pem")
    with pytest.raises(ollameter.InvalidRequest, match=said):
        OllamaProvider("https://model.example", **settings)
    OllamaProvider("http://127.0.0.1:9", **settings).close()
