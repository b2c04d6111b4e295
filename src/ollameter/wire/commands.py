"""What a server is told to do with a model rather than asked of it: load, unload, pull."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ollameter.errors import InvalidRequest
from ollameter.messages import Request
from ollameter.wire import fields


def load_request(
    model: str, *, keep_alive: float | str | None = None, options: Mapping[str, Any] | None = None
) -> Request:
    """Validate a load; raises `InvalidRequest` naming the field."""
    body: dict[str, Any] = {"model": model, "stream": False}
    if keep_alive is not None:
        body["keep_alive"] = fields.keep_alive("keep_alive", keep_alive)
        if not re.search("[1-9]", str(keep_alive)):
            raise InvalidRequest(f"keep_alive: {keep_alive!r} unloads at once; for that use unload()")
    if options is not None:
        body["options"] = fields.checked_options(options)
    return Request(operation="load", path="/api/generate", model=model, stream=False, body=body)


def unload_request(model: str) -> Request:
    """Return what makes a model leave memory as soon as nobody uses it."""
    body = {"model": model, "stream": False, "keep_alive": 0}
    return Request(operation="unload", path="/api/generate", model=model, stream=False, body=body)


def pull_request(model: str) -> Request:
    """Return what makes a server fetch a model, and tell how it gets on."""
    body = {"model": model, "stream": True}
    return Request(operation="pull", path="/api/pull", model=model, stream=True, body=body)
