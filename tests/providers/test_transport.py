"""Sessions, keys and limits work alike on both sides, and so does what goes through a proxy."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import requests

import ollameter
from ollameter import OllamaProvider, Timeouts
from ollameter.testing import Answer, FakeOllama, chat_lines, whole_chat
from tests.providers.calls import MESSAGES, Ran, both_sides, run, run_async

TLS = Path(__file__).parent / "tls"
SLOW = Answer(lines=chat_lines("Hel", "lo"), cut_after_lines=1, cut="hang")


@both_sides
@pytest.mark.parametrize("how", ["given", "environment"])
def test_a_proxy_is_used(how: str, side: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The request names the server; the proxy gets it."""
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with FakeOllama() as proxy:
        proxy.script("http://model.example:11434/api/chat", whole_chat("through"))
        settings: dict[str, Any] = {"proxies": {"http": proxy.base_url}}
        if how == "environment":
            monkeypatch.setenv("http_proxy", proxy.base_url)
            settings = {}
        with OllamaProvider("model.example", model="m", **settings) as llm:
            ran = run(llm, side, "chat")

    assert (ran.text, ran.error) == ("through", None)


@both_sides
def test_the_environment_can_be_left_out(
    side: str, fake: FakeOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No proxy of it, and a password of ~/.netrc never."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    with OllamaProvider(fake.base_url, model="llama3.2", trust_env=False) as llm:
        assert run(llm, side, "chat").text == "Hello!"


@both_sides
def test_netrc_is_never_read(
    side: str, fake: FakeOllama, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With a session of the caller's own neither."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with OllamaProvider(fake.base_url, model="llama3.2", session=requests.Session()) as llm:
        run(llm, side, "chat")

    assert "authorization" not in fake.requests[0].headers


def test_the_async_side_refuses_a_socks_proxy_by_name(fake: FakeOllama) -> None:
    """Before it would ignore it."""
    with OllamaProvider(fake.base_url, model="llama3.2", proxies={"http": "socks5://127.0.0.1:9"}) as llm:
        ran = run(llm, "async", "chat")

    assert type(ran.error) is ollameter.InvalidRequest
    assert "SOCKS" in str(ran.error)


@pytest.mark.parametrize("kind", ["chat", "stream"])
def test_a_session_of_the_callers_own_is_used_and_left_open(kind: str, fake: FakeOllama) -> None:
    """Its headers and authentication too."""
    session = requests.Session()
    session.headers["X-Mine"] = "yes"
    session.auth = ("me", "secret")
    with OllamaProvider(fake.base_url, model="llama3.2", session=session) as llm:
        ran = run(llm, "sync", kind)

    assert ran.text == "Hello!"
    assert fake.requests[0].headers["x-mine"] == "yes"
    assert fake.requests[0].headers["authorization"].startswith("Basic ")
    assert session.get(fake.base_url).text == "Ollama is running"
    session.close()


@pytest.mark.parametrize(
    ("answer", "error_type"), [(Answer(delay_s=60), "read_timeout"), (SLOW, "idle_timeout")]
)
def test_deadlines_hold_with_a_session_of_the_callers_own(
    answer: Answer, error_type: str, fake: FakeOllama
) -> None:
    """The socket's limit before the headers, the watchdog's after them."""
    fake.script("/api/chat", answer)
    limits = Timeouts(first_byte=0.3, idle=0.2)
    with requests.Session() as session:
        with OllamaProvider(fake.base_url, model="llama3.2", session=session, timeout=limits) as llm:
            ran = run(llm, "sync", "stream")

    assert ran.error.error_type == error_type


async def test_an_async_session_of_the_callers_own_is_used_and_left_open(fake: FakeOllama) -> None:
    """Its headers too; deadlines hold."""
    fake.script("/api/chat", whole_chat("mine"), Answer(delay_s=60))
    limits = Timeouts(first_byte=0.2)
    async with aiohttp.ClientSession(headers={"X-Mine": "yes"}) as session:
        async with OllamaProvider(
            fake.base_url, model="llama3.2", async_session=session, timeout=limits
        ) as llm:
            first = await run_async(llm, "chat")
            second = await run_async(llm, "chat")
        assert not session.closed

    assert (first.text, fake.requests[0].headers["x-mine"]) == ("mine", "yes")
    assert second.error.error_type == "read_timeout"


@pytest.mark.parametrize("side", ["sync", "async"])
def test_no_more_connections_than_allowed(side: str, fake: FakeOllama) -> None:
    """The next call waits for a place, no longer than for a first byte."""
    fake.script("/api/chat", SLOW)
    limits = Timeouts(first_byte=0.3, idle=5)
    with OllamaProvider(fake.base_url, model="llama3.2", max_connections=1, timeout=limits) as llm:
        refused, served = _crowded(llm) if side == "sync" else asyncio.run(_crowded_async(llm))

    assert (type(refused.error), refused.error.phase) == (ollameter.Timeout, "first_byte")
    assert served.text == "Hello!"
    assert len(fake.requests) == 2


def _crowded(llm: OllamaProvider) -> tuple[Ran, Ran]:
    with llm.stream(MESSAGES) as stream:
        next(stream)
        refused = run(llm, "sync", "chat")
    return refused, run(llm, "sync", "chat")


async def _crowded_async(llm: OllamaProvider) -> tuple[Ran, Ran]:
    async with llm.stream_async(MESSAGES) as stream:
        await anext(stream)
        refused = await run_async(llm, "chat")
    return refused, await run_async(llm, "chat")


@both_sides
def test_an_unknown_host_is_said_to_be_unknown(side: str) -> None:
    """`.invalid` never exists."""
    with OllamaProvider("nowhere.invalid", model="m", trust_env=False) as llm:
        ran = run(llm, side, "chat")

    assert (type(ran.error), ran.error.error_type) == (ollameter.ConnectionFailed, "dns")


@both_sides
def test_the_key_goes_where_it_belongs(
    side: str, fake: FakeOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one given to `base_url`; the environment's to https://ollama.com alone."""
    monkeypatch.setenv("OLLAMA_API_KEY", "from-the-environment")
    with OllamaProvider(fake.base_url, model="llama3.2") as llm:
        run(llm, side, "chat")
    with OllamaProvider(fake.base_url, model="llama3.2", api_key="mine", headers={"X-A": "b"}) as llm:
        run(llm, side, "chat")

    first, second = (request.headers for request in fake.requests)
    assert "authorization" not in first
    assert (second["authorization"], second["x-a"]) == ("Bearer mine", "b")
    assert first["user-agent"].startswith("ollameter/")
    assert first["accept-encoding"] == "identity"


def test_the_environments_key_is_for_ollama_com() -> None:
    """Only over TLS."""
    import os

    from ollameter.providers.headers import request_headers
    from ollameter.wire.address import parse_address

    os.environ["OLLAMA_API_KEY"] = "k"
    try:
        headers = [
            request_headers(parse_address(host), None, None) for host in ("ollama.com", "ollama.com:443")
        ]
    finally:
        del os.environ["OLLAMA_API_KEY"]

    assert [given.get("Authorization") for given in headers] == ["Bearer k", None]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"timeout": 30}, "timeout: expected ollameter.Timeouts, got int"),
        ({"retries": -1}, "retries: expected an integer of at least 0"),
        ({"max_connections": 0}, "max_connections: expected an integer of at least 1"),
        ({"max_line_bytes": True}, "max_line_bytes: expected an integer"),
        ({"base_url": "ftp://x"}, "base_url: its scheme"),
        ({"ensure": "yes"}, "ensure: expected"),
        ({"host_monitor": 3}, "host_monitor: expected True, False or a HostMonitor"),
    ],
)
def test_settings_that_cannot_be_used_are_refused_by_name(settings: dict[str, Any], said: str) -> None:
    """When the provider is made."""
    with pytest.raises(ollameter.InvalidRequest, match=said):
        OllamaProvider(**settings)


@pytest.mark.parametrize("limit", [0, -1, True, "5"])
def test_a_limit_is_seconds_above_zero_or_none(limit: Any) -> None:
    """The error names which."""
    with pytest.raises(ollameter.InvalidRequest, match=r"timeout\.idle: "):
        Timeouts(idle=limit)
    assert Timeouts(None, None, None).connect is None


@both_sides
def test_no_limits_at_all_are_no_limits(side: str, fake: FakeOllama) -> None:
    """None everywhere."""
    with OllamaProvider(fake.base_url, model="llama3.2", timeout=Timeouts(None, None, None)) as llm:
        assert run(llm, side, "stream").text == "Hello!"


@both_sides
@pytest.mark.parametrize("kind", ["chat", "stream"])
def test_a_compressed_answer_is_read(side: str, kind: str, fake: FakeOllama) -> None:
    """A proxy may compress what we asked to be left alone."""
    import gzip

    lines = b"".join(piece for piece in Answer(lines=chat_lines("Hel", "lo!")).pieces())
    body = gzip.compress((whole_chat("Hello!").body or b"") if kind == "chat" else lines)
    fake.script("/api/chat", Answer(body=body, headers={"Content-Encoding": "gzip"}))
    with OllamaProvider(fake.base_url, model="llama3.2") as llm:
        assert run(llm, side, kind).text == "Hello!"


@both_sides
def test_closing_during_the_wait_for_another_try_ends_it(side: str, fake: FakeOllama) -> None:
    """A stop button works there as well."""
    from ollameter.testing import error_answer

    fake.script("/api/chat", error_answer(503, "busy", Retry_After="9"))
    with OllamaProvider(fake.base_url, model="llama3.2") as llm:
        if side == "sync":
            stream = llm.stream(MESSAGES)
            reader = threading.Thread(target=lambda: list(stream))
            reader.start()
            assert fake.wait_for_requests(1)
            stream.close()
            reader.join(3)
            assert not reader.is_alive()
        else:
            stream = asyncio.run(_closed_while_waiting(llm, fake))

    assert stream.metrics is not None
    assert stream.metrics.outcome == "abandoned"
    assert len(fake.requests) == 1


async def _closed_while_waiting(llm: OllamaProvider, fake: FakeOllama) -> Any:
    stream = llm.stream_async(MESSAGES)

    async def read() -> list[Any]:
        return [chunk async for chunk in stream]

    task = asyncio.create_task(read())
    assert await asyncio.to_thread(fake.wait_for_requests, 1)
    await asyncio.to_thread(stream.close)
    assert await asyncio.wait_for(task, 3) == []
    return stream
