"""Errors from bodies: the server's own words, however they are wrapped."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import msgspec

from ollameter.errors import InvalidResponse, ModelNotFound, ResponseError, ServerBusy

MAX_ERROR_BODY_BYTES = 64 << 10
_MAX_ERROR_TEXT = 2000
_MODEL_MISSING = re.compile(r"\bmodel\b.*\bnot found\b", re.DOTALL)


def error_from_response(
    status: int, body: bytes, *, location: str | None = None, retry_after: str | None = None
) -> ResponseError:
    """Return the error that an answer other than 200 stands for, in the server's own words."""
    if 300 <= status < 400:
        return ResponseError(_redirect_text(status, location), status_code=status)
    text = _body_text(body) or f"HTTP status {status} without a text"
    if status == 404 and _MODEL_MISSING.search(text):
        return ModelNotFound(text, status_code=status)
    if status in {429, 503}:
        busy = ServerBusy(text, status_code=status)
        busy.retry_after_s = _seconds(retry_after)
        return busy
    return ResponseError(text, status_code=status)


def error_text(error: Any) -> str:
    """Return the readable part of an `error` value; a text may itself hold JSON."""
    if isinstance(error, dict):
        inner = error.get("message") or error.get("error")
        return error_text(inner) if inner else msgspec.json.encode(error).decode()[:_MAX_ERROR_TEXT]
    text = str(error).strip()
    if text.startswith("{"):
        try:
            return error_text(msgspec.json.decode(text, type=dict[str, Any]))
        except (ValueError, RecursionError):
            pass
    return text[:_MAX_ERROR_TEXT]


def decode_object(body: bytes) -> dict[str, Any]:
    """Return a body that must be one JSON object; raises `InvalidResponse` when it is not."""
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (ValueError, RecursionError) as error:
        raise InvalidResponse(f"the server sent something that is not Ollama's: {error}") from error


def _body_text(body: bytes) -> str:
    try:
        content = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return _plain_text(body.decode("utf-8", "replace"))
    return (
        error_text(content["error"])
        if isinstance(content, dict) and content.get("error")
        else (_plain_text(body.decode("utf-8", "replace")))
    )


def _plain_text(text: str) -> str:
    """Return the words of plain text, or of a proxy's HTML page (its title when it has one)."""
    title = re.search(r"<title[^>]*>(.*?)</title>", text, re.DOTALL | re.IGNORECASE)
    words = title.group(1) if title else re.sub(r"<[^>]*>", " ", text)
    return " ".join(words.split())[:_MAX_ERROR_TEXT]


def _redirect_text(status: int, location: str | None) -> str:
    host = _host(location)
    target = f"to {host}" if host else "to another path of the same host" if location else "to nowhere"
    return f"the server redirects ({status}) {target}; redirects are not followed: set base_url to it"


def _host(location: str | None) -> str | None:
    """Return the host alone: a URL may hold a password."""
    try:
        return urlsplit(location).hostname if location else None
    except ValueError:
        return "what is no URL"


def _seconds(retry_after: str | None) -> float | None:
    return float(retry_after) if retry_after and re.fullmatch(r"[0-9]{1,9}", retry_after) else None
