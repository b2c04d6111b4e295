"""What every request carries: checked when the provider is made, and never quoted in an error."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from ollameter._version import __version__
from ollameter.errors import InvalidRequest
from ollameter.wire.address import Address

OLLAMA_COM = Address("https", "ollama.com", 443)
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(
    r"(?:[!-~](?:[ \t!-~]*[!-~])?)?"
)  # ASCII alone: the two sides encode the rest differently


def request_headers(address: Address, given: Any, api_key: Any) -> dict[str, str]:
    """Return the headers of every request; the environment's key goes to https://ollama.com alone.

    Raises `InvalidRequest` naming what cannot be sent; a header given by the caller replaces ours.
    """
    own = {
        "User-Agent": f"ollameter/{__version__}",
        "Accept": "application/x-ndjson, application/json",
        "Accept-Encoding": "identity",
        "Content-Type": "application/json",
        **_authorization(address, api_key),
    }
    given = _checked(given)
    replaced = {name.lower() for name in given}
    return {**{name: value for name, value in own.items() if name.lower() not in replaced}, **given}


def _authorization(address: Address, api_key: Any) -> dict[str, str]:
    source = "api_key"
    if api_key is None and address == OLLAMA_COM:
        source = "OLLAMA_API_KEY"
        api_key = os.environ.get(source)
    if not api_key:
        return {}
    if not isinstance(api_key, str) or not _VALUE.fullmatch(api_key.strip()):
        raise InvalidRequest(f"{source}: expected a text without line breaks, in ASCII")
    return {"Authorization": f"Bearer {api_key.strip()}"}  # a key read from a file ends in a line break


def _checked(headers: Any) -> dict[str, str]:
    if headers is None:
        return {}
    if not isinstance(headers, Mapping):
        raise InvalidRequest(f"headers: expected a mapping, got {type(headers).__name__}")
    for name, value in headers.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise InvalidRequest(f"headers: {name!r:.80} is no name of a header")
        if not isinstance(value, str) or not _VALUE.fullmatch(value):
            raise InvalidRequest(f"headers[{name!r}]: expected a text without line breaks, in ASCII")
    return dict(headers)
