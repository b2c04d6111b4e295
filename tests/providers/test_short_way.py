"""Requests of ours go the short way, and nobody can tell by what arrives."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

from ollameter import OllamaProvider
from ollameter.testing import Answer, FakeOllama, whole_chat
from tests.providers.calls import MESSAGES

OWN = {"X-Team": "sky", "traceparent": "00-1-2-00", "Content-Length": "7"}


def _wrapped(
    monkeypatch: pytest.MonkeyPatch, owner: Any = requests.Session, name: str = "send"
) -> list[Any]:
    """Wrap a method of requests, as instrumentations and mocks do; return what it was called with."""
    seen: list[Any] = []
    genuine = getattr(owner, name)

    def wrapper(*given: Any, **how: Any) -> Any:
        seen.append(given)
        return genuine(*given, **how)

    monkeypatch.setattr(owner, name, wrapper)
    return seen


@pytest.mark.parametrize(
    ("owner", "name"),
    [(requests.Session, "send"), (requests.Session, "get_adapter"), (HTTPAdapter, "send")],
)
def test_who_wraps_requests_sees_ours(
    owner: Any, name: str, fake: FakeOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Instrumentations and mocks wrap one of three methods; also when they come later."""
    with OllamaProvider(fake.base_url, model="llama3.2") as llm:
        llm.chat(MESSAGES)
        seen = _wrapped(monkeypatch, owner, name)
        llm.chat(MESSAGES)

    assert len(seen) == 1


def test_the_same_arrives_on_either_way(fake: FakeOllama, monkeypatch: pytest.MonkeyPatch) -> None:
    """Method, target, body and every header, a caller's own among them."""
    with OllamaProvider(fake.base_url, model="llama3.2", headers=OWN, api_key="k") as llm:
        llm.chat(MESSAGES)
        _wrapped(monkeypatch)
        llm.chat(MESSAGES)
    short, ordinary = fake.requests

    assert short.body == ordinary.body
    assert (short.method, short.path) == (ordinary.method, ordinary.path)
    assert dict(short.headers) == dict(ordinary.headers)
    assert short.headers["content-length"] == str(len(short.body))


def test_a_cookie_comes_back(fake: FakeOllama) -> None:
    """A gateway may tell its servers apart by one."""
    marked = Answer(body=whole_chat("Hi").body, headers={"Set-Cookie": "server=2; Path=/"})
    fake.script("/api/chat", marked, marked)

    with OllamaProvider(fake.base_url, model="llama3.2") as llm:
        llm.chat(MESSAGES)
        llm.chat(MESSAGES)

    assert [request.headers.get("cookie") for request in fake.requests] == [None, "server=2"]
