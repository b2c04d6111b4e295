"""What both shells agree on: where to send, through which proxy, trusting whom, retrying when."""

from __future__ import annotations

import os
import random
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import inf
from typing import Any
from urllib.parse import urlsplit

import msgspec

from ollameter.errors import (
    ConnectionFailed,
    IncompleteResponse,
    InvalidRequest,
    InvalidResponse,
    OllameterError,
    ResponseError,
    ServerBusy,
)
from ollameter.providers.deadlines import Timeouts
from ollameter.wire.address import Address
from ollameter.wire.ndjson import MAX_LINE_BYTES

PIECE_BYTES = 64 << 10
DRAIN_BYTES = 64 << 10
DRAIN_S = 0.1

_FIRST_DELAY_S = 0.25
_LONGEST_DELAY_S = 10.0
_PROXY_SCHEMES = ("http", "https", "socks4", "socks4a", "socks5", "socks5h")
_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


class HttpSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How one provider reaches its server; both shells read it alike."""

    address: Address
    timeouts: Timeouts
    headers: Mapping[str, str]
    retries: int = 2
    verify: bool | str = True
    cert: str | tuple[str, str] | None = None
    proxies: Mapping[str, str] | None = None
    trust_env: bool = True
    max_connections: int | None = None
    max_line_bytes: int = MAX_LINE_BYTES

    def proxy_for_server(self) -> str | None:
        """Return the URL of the proxy that requests would choose, given or of the environment.

        Raises `InvalidRequest` for one that cannot be read.
        """
        from requests.utils import get_environ_proxies, select_proxy

        url = self.address.connect_url
        if self.proxies is not None or not self.trust_env:
            proxy = select_proxy(url, dict(self.proxies or {}))
        else:
            proxy = select_proxy(url, get_environ_proxies(url, no_proxy=None))
        return _usable_proxy(proxy) if proxy else None

    def where(self, proxy: str | None) -> str:
        """Say where requests go, and through which proxy; without its password."""
        server = f"{self.address.connect_host}:{self.address.port}"
        if proxy is None:
            return server
        return f"{server} through the proxy {urlsplit(proxy).netloc.rpartition('@')[2]}"

    def trusted_authorities(self) -> bool | str:
        """Return False for none, True for the usual ones, or the path of a bundle."""
        variable = self._trusting_variable()
        return self.verify if variable is None else os.environ[variable]

    def check_files(self) -> None:
        """Raise `InvalidRequest` for a bundle or a client's certificate that cannot be used."""
        if self.address.scheme != "https":
            return
        trusted, context = self.trusted_authorities(), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if isinstance(trusted, str):
            with _refused_as(self._trusting_variable() or "verify"):
                load_authorities(context, trusted)
        if self.cert is not None:
            with _refused_as("cert"):
                load_client(context, self.cert)

    def _trusting_variable(self) -> str | None:
        if self.verify is not True or not self.trust_env:
            return None
        return next((name for name in _CA_VARIABLES if os.environ.get(name)), None)


def load_authorities(context: ssl.SSLContext, path: str) -> None:
    """Have a context trust a bundle: a file, or a folder of certificates."""
    if os.path.isdir(path):
        context.load_verify_locations(capath=path)
    else:
        context.load_verify_locations(cafile=path)


def load_client(context: ssl.SSLContext, cert: str | tuple[str, str]) -> None:
    """Have a context show a certificate: one file, or the certificate's and its key's."""
    files = (cert,) if isinstance(cert, str) else cert
    context.load_cert_chain(*files)


@contextmanager
def _refused_as(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:  # SSLError is one
        raise InvalidRequest(f"{name}: a file cannot be read as what it should be: {error}") from error


def _usable_proxy(proxy: str) -> str:
    """Return a proxy's URL with its scheme; it is never quoted, for it may hold a password."""
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    try:
        parts = urlsplit(proxy)
        usable = parts.scheme in _PROXY_SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:  # of a port, or of brackets
        usable = False
    if not usable:
        raise InvalidRequest(f"proxies: one cannot be read as a URL with {', '.join(_PROXY_SCHEMES)}")
    return proxy


def no_place_taken() -> None:
    """Release nothing: there is no limit on connections."""


class Retries:
    """When one logical call may try again: refused connections, 503 and 429, within its time."""

    def __init__(self, settings: HttpSettings, now: float) -> None:
        self._left = settings.retries
        limit = settings.timeouts.first_byte
        self.ends_at: float = inf if limit is None else now + limit
        self._delay_s = _FIRST_DELAY_S

    def delay_s(self, error: OllameterError, now: float) -> float | None:
        """Return how long to wait before the next try; None: the error is the answer."""
        retriable = isinstance(error, ServerBusy) or error.error_type == "connection_refused"
        if not retriable or self._left == 0:
            return None
        asked = error.retry_after_s if isinstance(error, ServerBusy) else None
        # Jitter, not a secret: callers that were refused together must not return together.
        delay = random.uniform(0, self._delay_s) if asked is None else asked  # noqa: S311
        self._left -= 1
        self._delay_s = min(2 * self._delay_s, _LONGEST_DELAY_S)
        return None if delay > _LONGEST_DELAY_S or now + delay >= self.ends_at else delay


def causes(error: BaseException) -> list[BaseException]:
    """Return the error and everything it was raised from, carries or names as its reason."""
    found: list[BaseException] = []
    waiting: list[Any] = [error]
    while waiting:
        cause = waiting.pop(0)
        if isinstance(cause, BaseException) and cause not in found:
            found.append(cause)
            reason = getattr(cause, "reason", None)
            waiting += [*cause.args, reason, cause.__cause__, cause.__context__]
    return found


def no_tunnel(where: str, status: int, words: str) -> ResponseError:
    """Return the error for a proxy that will not connect to the server."""
    return ResponseError(f"no way to {where}: it answers {status} {words}".rstrip(), status)


def our_error(error: BaseException, where: str, names: Mapping[str, Any]) -> OllameterError:
    """Map a library's error to ours by the first known cause; `names` says what means what."""
    found = causes(error)
    for kind, text in _TEXTS.items():
        if any(isinstance(cause, names[kind]) for cause in found):
            ours: OllameterError = _ERRORS[kind](text.format(where=where, error=_words(found[-1])))
            return ours
    return ConnectionFailed(f"the connection to {where} broke: {_words(found[-1])}")


def _words(error: BaseException) -> str:
    """Return what a library says, in one line."""
    return " ".join(str(error).split()) or type(error).__name__


_TEXTS = {
    "dns": "the host of {where} is not known",
    "tls": "no trusted TLS connection to {where}: {error}",
    "refused": "nothing answers at {where}: is Ollama running there?",
    "reset": "the connection to {where} was closed or reset",
    "garbage": "the answer of {where} is not HTTP as it should be: {error}",
    "cut": "the answer ended before its announced end: it is cut off",
    "odd": "the answer of {where} is not HTTP as it should be: {error}",
}
_ERRORS: dict[str, Any] = {
    "dns": lambda text: ConnectionFailed(text, "dns"),
    "tls": lambda text: ConnectionFailed(text, "tls"),
    "refused": lambda text: ConnectionFailed(text, "connection_refused"),
    "reset": lambda text: ConnectionFailed(text, "connection_reset"),
    "garbage": InvalidResponse,
    "cut": IncompleteResponse,
    "odd": InvalidResponse,
}
