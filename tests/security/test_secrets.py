"""Keys and passwords go where they belong and are seen nowhere else: no error, log, span or metric."""

from __future__ import annotations

import base64
import logging
import traceback
from typing import Any

import aiohttp
import pytest
import requests

from ollameter import ConnectionFailed, InvalidRequest, OllamaProvider, ResponseError
from ollameter.testing import Answer, CapturedTelemetry, FakeOllama, error_answer, whole_chat
from tests.providers.calls import Ran, both_sides, every_kind, run, run_async
from tests.security.shown import shown

SECRET = "s3cr3t"
BASIC = base64.b64encode(f"me:{SECRET}".encode()).decode()


def ran_through(
    proxy: str, url: str, side: str, captured: CapturedTelemetry, caplog: pytest.LogCaptureFixture
) -> Ran:
    """Call a server that only the proxy could reach, with every log on."""
    caplog.set_level(logging.DEBUG)
    proxies = {"http": proxy, "https": proxy}
    with OllamaProvider(url, model="m", proxies=proxies, retries=0, **captured.providers) as llm:
        return run(llm, side, "chat")


@both_sides
@pytest.mark.parametrize("url", ["http://model.example", "https://model.example"])
@pytest.mark.parametrize("at", ["127.0.0.1:9", "nowhere.invalid:9"])
@pytest.mark.parametrize("scheme", ["http://", "https://", ""])
def test_a_proxys_password_is_in_nothing_that_is_said_of_a_failure(
    scheme: str, at: str, url: str, side: str, captured: CapturedTelemetry, caplog: Any
) -> None:
    """Of one that is not there."""
    ran = ran_through(f"{scheme}me:{SECRET}@{at}", url, side, captured, caplog)

    assert type(ran.error) is ConnectionFailed
    seen = shown(ran.error, captured, caplog)
    assert "ConnectionFailed" in seen
    assert (SECRET in seen, BASIC in seen) == (False, False)


@both_sides
def test_a_proxys_password_is_told_to_the_proxy_alone(
    side: str, fake: FakeOllama, captured: CapturedTelemetry, caplog: Any
) -> None:
    """On plain requests as such; when it refuses them, nobody else is told."""
    fake.script("http://model.example:11434/api/chat", whole_chat("through"), error_answer(407, "who?"))
    proxy = f"http://me:{SECRET}@127.0.0.1:{fake.port}"
    assert ran_through(proxy, "model.example", side, captured, caplog).text == "through"
    ran = ran_through(proxy, "model.example", side, captured, caplog)

    assert [r.headers.get("proxy-authorization") for r in fake.requests] == [f"Basic {BASIC}"] * 2
    assert ["authorization" in r.headers for r in fake.requests] == [False, False]
    assert (type(ran.error), ran.error.status_code) == (ResponseError, 407)
    seen = shown(ran.error, captured, caplog)
    assert (SECRET in seen, BASIC in seen) == (False, False)


@both_sides
def test_a_tunnel_that_is_refused_says_so_without_the_password(
    side: str, fake: FakeOllama, captured: CapturedTelemetry, caplog: Any
) -> None:
    """The library's own error would quote it."""
    fake.script("model.example:443", error_answer(407, "who?"))
    proxy = f"http://me:{SECRET}@127.0.0.1:{fake.port}"
    ran = ran_through(proxy, "https://model.example", side, captured, caplog)

    assert fake.requests[0].headers["proxy-authorization"] == f"Basic {BASIC}"
    assert (type(ran.error), ran.error.status_code) == (ResponseError, 407)
    seen = shown(ran.error, captured, caplog)
    assert (SECRET in seen, BASIC in seen) == (False, False)


@pytest.mark.parametrize(
    "proxy", [f"http://me:{SECRET}@[::1", f"http://me:{SECRET}@h:port", f"ftp://me:{SECRET}@h", "http://"]
)
@pytest.mark.parametrize("how", ["given", "environment"])
def test_a_proxy_that_cannot_be_used_is_refused_unquoted(
    how: str, proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the provider is made."""
    monkeypatch.setenv("http_proxy", proxy)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    given: Any = {"proxies": {"http": proxy}} if how == "given" else {}
    with pytest.raises(InvalidRequest, match="proxies: one cannot be read") as caught:
        OllamaProvider("http://model.example", **given)

    assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "url",
    [f"http://me:{SECRET}@host", f"me:{SECRET}@host", f"me:{SECRET}@host://x", f"http://h/?key={SECRET}",
     f"http://h/#{SECRET}", f"http://me:{SECRET}@ h"],
)  # fmt: skip
@pytest.mark.parametrize("how", ["base_url", "OLLAMA_HOST"])
def test_an_address_with_a_password_is_refused_unquoted(
    how: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given in code or by the environment."""
    monkeypatch.setenv("OLLAMA_HOST", url)
    with pytest.raises(InvalidRequest, match=how) as caught:
        OllamaProvider(url if how == "base_url" else None)

    assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"api_key": f"{SECRET}\nX: y"}, "api_key: expected a text without line breaks"),
        ({"api_key": f"{SECRET}\u20ac"}, "api_key: expected a text without line breaks, in ASCII"),
        ({"api_key": 5}, "api_key: expected a text"),
        ({"headers": {"X-A": f"{SECRET}\r\nX: y"}}, r"headers\['X-A'\]: expected a text without line"),
        ({"headers": {"X-A": 5}}, r"headers\['X-A'\]: expected a text"),
        ({"headers": {"X A": SECRET}}, "headers: 'X A' is no name of a header"),
        ({"headers": [("X-A", SECRET)]}, "headers: expected a mapping, got list"),
    ],
)
def test_a_header_that_cannot_be_sent_is_refused_unquoted(settings: Any, said: str) -> None:
    """When the provider is made: a library would quote it, or send it split."""
    with pytest.raises(InvalidRequest, match=said) as caught:
        OllamaProvider(**settings)

    assert SECRET not in "".join(traceback.format_exception(caught.value))


@both_sides
def test_a_key_that_was_read_from_a_file_is_sent_without_its_line_break(
    side: str, fake: FakeOllama
) -> None:
    """And a header of the caller's own replaces it, in whatever case."""
    for settings in ({"api_key": "mine\n"}, {"api_key": "mine", "headers": {"authorization": "own"}}):
        with OllamaProvider(fake.base_url, model="llama3.2", **settings) as llm:
            run(llm, side, "chat")

    assert [request.headers["authorization"] for request in fake.requests] == ["Bearer mine", "own"]


@both_sides
@every_kind
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_never_followed(
    status: int, kind: str, side: str, fake: FakeOllama, captured: CapturedTelemetry, caplog: Any
) -> None:
    """The key stays with the server it was meant for; a password in the target is not repeated."""
    caplog.set_level(logging.DEBUG)
    path = "/api/generate" if "generate" in kind else "/api/chat"
    with FakeOllama() as elsewhere:
        to = f"http://me:{SECRET}@127.0.0.1:{elsewhere.port}/api/chat"
        fake.script(path, Answer(status=status, headers={"Location": to}, framing="length"))
        with OllamaProvider(fake.base_url, model="m", api_key="mine", **captured.providers) as llm:
            ran = run(llm, side, kind)

        assert elsewhere.requests == []
    assert (type(ran.error), ran.error.status_code) == (ResponseError, status)
    assert "to 127.0.0.1; redirects are not followed" in str(ran.error)
    seen = shown(ran.error, captured, caplog)
    assert (SECRET in seen, "Bearer" in seen) == (False, False)


@pytest.mark.parametrize("target", ["http://[", "http://h:port/", "//", "\u00e9", "x" * 5000])
def test_a_redirect_to_nonsense_is_a_response_error(target: str, fake: FakeOllama) -> None:
    """Whatever `Location` says."""
    answer = Answer(status=302, headers={"Location": target}, framing="length")
    fake.script("/api/chat", answer, answer)
    with OllamaProvider(fake.base_url, model="m") as llm:
        errors = [run(llm, side, "chat").error for side in ("sync", "async")]

    assert [(type(e), e.status_code, len(str(e)) < 300) for e in errors] == [(ResponseError, 302, True)] * 2


async def test_sessions_of_the_callers_own_do_not_follow_redirects_either(fake: FakeOllama) -> None:
    """Though they would by default."""
    with FakeOllama() as elsewhere:
        there = Answer(status=307, headers={"Location": elsewhere.base_url + "/api/chat"}, framing="length")
        fake.script("/api/chat", there, there)
        with requests.Session() as session:
            async with aiohttp.ClientSession() as other:
                async with OllamaProvider(
                    fake.base_url, model="m", api_key="mine", session=session, async_session=other
                ) as llm:
                    errors = [run(llm, "sync", "chat").error, (await run_async(llm, "chat")).error]

        assert elsewhere.requests == []
    assert [error.status_code for error in errors] == [307, 307]


@both_sides
@pytest.mark.parametrize(
    "url", ["http://ollama.com", "https://ollama.com:8443", "https://ollama.com.evil.example"]
)
def test_the_environments_key_goes_to_nobody_else(
    url: str, side: str, fake: FakeOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not over plain HTTP, not to another port, not to a name that begins alike."""
    monkeypatch.setenv("OLLAMA_API_KEY", SECRET)
    with OllamaProvider(url, model="m", proxies={"http": fake.base_url, "https": fake.base_url}) as llm:
        run(llm, side, "chat")

    assert fake.requests
    assert all("authorization" not in request.headers for request in fake.requests)
