"""Requests of ours go the short way, and nobody can tell by what arrives."""

from __future__ import annotations

import http.client
import json
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

from ollameter import OllamaProvider, OllameterError
from ollameter.providers import connections
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


def asked(request: Any) -> str:
    """Return what a request asked the model."""
    text: str = json.loads(request.body)["messages"][0]["content"]
    return text


@pytest.mark.parametrize("size", [10, 100_000])
def test_a_body_of_any_size_follows_its_head(size: int, fake: FakeOllama) -> None:
    """Joined to it or, when it is long, after it; on a new connection and on one that is kept."""
    text = "x" * size
    with OllamaProvider(fake.base_url, model="llama3.2") as llm:
        for _ in range(2):
            llm.chat([{"role": "user", "content": text}])

    assert [asked(request) for request in fake.requests] == [text, text]


def test_what_cannot_be_sent_leaves_nothing_for_the_next_request(
    fake: FakeOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A body never follows the head of another request."""
    with OllamaProvider(fake.base_url, model="llama3.2", retries=0) as llm:
        llm.chat(MESSAGES)
        with monkeypatch.context() as patch, pytest.raises(OllameterError):

            def refuse(*given: Any, **how: Any) -> None:
                raise http.client.CannotSendRequest

            patch.setattr(http.client.HTTPConnection, "endheaders", refuse)
            llm.chat(MESSAGES)
        monkeypatch.setattr(connections, "is_wrapped", lambda: True)
        llm.chat([{"role": "user", "content": "another"}])
        llm.list_models()

    assert [request.method for request in fake.requests][-2:] == ["POST", "GET"]
    assert asked(fake.requests[-2]) == "another"


def test_headers_of_a_trace_that_are_no_headers_are_refused_as_ever(fake: FakeOllama) -> None:
    """A foreign propagator may write anything: nothing is smuggled into the head."""
    with OllamaProvider(fake.base_url, model="llama3.2") as llm:
        llm.chat(MESSAGES)
        way = llm._shell._short_way("POST", "/api/chat")
        with pytest.raises(ValueError, match="Invalid header value"):
            way.send(b"{}", {"traceparent": "00\r\nX-Evil: 1"})


def test_cookies_that_another_answer_set_are_not_forgotten(
    fake: FakeOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer without cookies, to an earlier request, says nothing of those that are there."""
    marked = Answer(body=whole_chat("Hi").body, headers={"Set-Cookie": "server=2; Path=/"})
    with OllamaProvider(fake.base_url, model="llama3.2") as llm:
        llm.chat(MESSAGES)
        fake.script("/api/chat", marked)
        llm.chat(MESSAGES)
        shell: Any = llm._shell
        assert shell._has_cookies
        with monkeypatch.context() as patch:
            patch.setattr(shell, "_may_go_short", lambda: True)
            llm.chat(MESSAGES)
        assert shell._has_cookies
        llm.chat(MESSAGES)

    assert fake.requests[-1].headers.get("cookie") == "server=2"
