"""`OLLAMA_HOST` is read as Ollama's own code reads it."""

import pytest

from ollameter import InvalidRequest
from ollameter.wire.address import parse_address

TABLE = [
    (None, "http://127.0.0.1:11434"),
    ("", "http://127.0.0.1:11434"),
    ("1.2.3.4", "http://1.2.3.4:11434"),
    ("example.com:1234", "http://example.com:1234"),
    (":1234", "http://:1234"),
    (":0", "http://:0"),
    (":66000", "http://:11434"),
    (":-1", "http://:11434"),
    ("::1", "http://[::1]:11434"),
    ("[::1]", "http://[::1]:11434"),
    ("[::1]:1337", "http://[::1]:1337"),
    ("http://1.2.3.4", "http://1.2.3.4:80"),
    ("https://1.2.3.4", "https://1.2.3.4:443"),
    ("https://1.2.3.4:4321", "https://1.2.3.4:4321"),
    ("https://example.com/ollama", "https://example.com:443/ollama"),
    ("example.com/a", "http://example.com:11434/a"),
    ("ollama.com", "https://ollama.com:443"),
    ("ollama.com:443", "http://ollama.com:443"),
    (" 1.2.3.4 ", "http://1.2.3.4:11434"),
    ('"1.2.3.4"', "http://1.2.3.4:11434"),
    ("' 1.2.3.4 '", "http://1.2.3.4:11434"),
    ("HTTPS://example.com/a/", "https://example.com:443/a"),
]


@pytest.mark.parametrize(("value", "url"), TABLE)
def test_a_value_names_the_url_that_ollama_would_use(value: str | None, url: str) -> None:
    """Every row of Ollama's own table, and a few it does not list."""
    assert parse_address(value).url == url


@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("[::]:99", "http://[::1]:99"),
        (":1234", "http://127.0.0.1:1234"),
        ("example.com", "http://example.com:11434"),
    ],
)
def test_an_address_for_binding_is_connected_to_by_loopback(value: str, url: str) -> None:
    """Wildcards and an empty host are no place to connect to."""
    assert parse_address(value).connect_url == url


@pytest.mark.parametrize(
    ("value", "loopback"),
    [(None, True), ("localhost", True), ("[::1]", True), ("10.0.0.1", False), ("a.example", False)],
)
def test_loopback_is_recognised(value: str | None, loopback: bool) -> None:
    """Only an address that cannot leave the machine counts."""
    assert parse_address(value).is_loopback is loopback


@pytest.mark.parametrize(
    "value", ["ftp://a", "http://user:secret@a", "a?b", "a#b", "a:b:c", "bad host", "http://a b:1"]
)
def test_what_cannot_be_used_is_refused_by_name_and_without_secrets(value: str) -> None:
    """The error names the setting; user information is never repeated."""
    with pytest.raises(InvalidRequest, match="^base_url: ") as caught:
        parse_address(value, "base_url")

    assert "secret" not in str(caught.value)
