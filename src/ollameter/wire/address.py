"""Where the server is: `OLLAMA_HOST` and `base_url`, read by the rules of Ollama's own code."""

from __future__ import annotations

import ipaddress
import re

import msgspec

from ollameter.errors import InvalidRequest

DEFAULT_PORT = 11434
_SCHEME_PORTS = {"http": 80, "https": 443}
# Addresses that are for binding only, and what a client connects to instead.
_CONNECT_TO = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # not bound here


class Address(msgspec.Struct, frozen=True):
    """One server: `url` is what was meant, `connect_url` what a client can connect to."""

    scheme: str
    host: str
    port: int
    path: str = ""

    @property
    def connect_host(self) -> str:
        """The host to connect to: never empty, never a wildcard, IPv6 without brackets."""
        return _CONNECT_TO.get(self.host, self.host)

    @property
    def is_loopback(self) -> bool:
        """Whether the server can only be on this machine."""
        if self.connect_host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.connect_host).is_loopback
        except ValueError:
            return False

    @property
    def url(self) -> str:
        """The URL that the setting names."""
        return f"{self.scheme}://{_bracketed(self.host)}:{self.port}{self.path}"

    @property
    def connect_url(self) -> str:
        """The URL that requests go to, without a final slash."""
        return f"{self.scheme}://{_bracketed(self.connect_host)}:{self.port}{self.path}"


def parse_address(text: str | None, source: str = "OLLAMA_HOST") -> Address:
    """Read an address as Ollama reads `OLLAMA_HOST`; None and "" are `http://127.0.0.1:11434`.

    Raises `InvalidRequest` naming `source` for another scheme than http and https, for user
    information, a query or a fragment: those would be ignored or leaked.
    """
    value = (text or "").strip().strip("\"'").strip()
    scheme, separator, rest = value.partition("://")
    if not separator:
        scheme, rest = ("https" if value == "ollama.com" else "http"), value
        default_port = 443 if value == "ollama.com" else DEFAULT_PORT
    elif scheme.lower() in _SCHEME_PORTS:
        scheme = scheme.lower()
        default_port = _SCHEME_PORTS[scheme]
    else:
        raise InvalidRequest(f"{source}: its scheme is neither http nor https")
    # The value is never quoted: it may hold a password.
    if any(mark in rest for mark in "@?#"):
        raise InvalidRequest(f"{source}: user information, query and fragment are not supported")
    authority, _, path = rest.partition("/")
    host, port = _host_and_port(authority, default_port)
    if not re.fullmatch(r"[\w.-]*", host) and not _is_ipv6(host):
        raise InvalidRequest(f"{source}: {host!r} is not a host name or an address")
    path = path.strip("/")
    return Address(scheme, host, port, f"/{path}" if path else "")


def _host_and_port(authority: str, default_port: int) -> tuple[str, int]:
    """Split like Go's `net.SplitHostPort`; where that fails, the whole text is the host."""
    match = re.fullmatch(r"(?:\[([^\[\]]*)\]|([^:\[\]]*)):([^:\[\]]*)", authority)
    if match is None:
        return _canonical(authority.strip("[]")) or "127.0.0.1", default_port
    bracketed, plain, port = match.groups()
    usable = re.fullmatch(r"\+?[0-9]{1,9}", port) and int(port) <= 65535
    return bracketed or plain or "", int(port) if usable else default_port


def _canonical(host: str) -> str:
    """Return an IP address in its shortest form, anything else as it is."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return host


def _is_ipv6(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).version == 6
    except ValueError:
        return False


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
