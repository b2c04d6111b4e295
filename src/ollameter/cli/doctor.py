"""`ollameter doctor`: is everything there for a call that is measured and exported; what to do if not."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from importlib.metadata import PackageNotFoundError, entry_points, version
from typing import Literal, NamedTuple
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import click

from ollameter import OllamaProvider, OllameterError
from ollameter.cli.options import output_options, server_options
from ollameter.cli.output import Output

Level = Literal["ok", "note", "problem"]
_MARKS = {"ok": "ok", "note": "--", "problem": "!!"}
_STYLES = {"ok": "green", "note": "yellow", "problem": "red"}
_PORTS = {"OTLP by gRPC": 4317, "OTLP by HTTP": 4318}
_CONNECT_S = 1.0
_SKEW_S = 2.0
_SDK = ("opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-grpc")


class Finding(NamedTuple):
    """What one look has found; `advice` says what to do, None when there is nothing to do."""

    check: str
    level: Level
    text: str
    advice: str | None = None


@click.command()
@click.option("--model", "-m", metavar="NAME", help="The model to call; default: the server's newest.")
@click.option("--no-call", is_flag=True, help="Call no model.")
@output_options
@server_options
def doctor(llm: OllamaProvider, output: Output, model: str | None, no_call: bool) -> None:
    """Look at the server, its models, a call, the collector, the SDK, the clock and the proxies.

    Ends with 1 when there is a problem; a note is none.
    """
    findings: list[Finding] = []
    for finding in examine(llm, model, call=not no_call):
        findings.append(finding)
        if not output.as_json:
            _print(finding, output)
    output.show([finding._asdict() for finding in findings], lambda: None)
    if any(finding.level == "problem" for finding in findings):
        sys.exit(1)


def examine(llm: OllamaProvider, model: str | None, *, call: bool) -> Iterator[Finding]:
    """Yield what every look finds, as soon as it is known."""
    yield from _server(llm, model, call=call)
    yield _proxies(llm.base_url)
    yield from _collector()
    yield _sdk()
    yield from _other_instrumentations()


def _print(finding: Finding, output: Output) -> None:
    head = f"{_MARKS[finding.level]}  {finding.check}: {finding.text}"
    output.print(head, style=_STYLES[finding.level])
    if finding.advice:
        output.print(f"    -> {finding.advice}")


def _server(llm: OllamaProvider, model: str | None, *, call: bool) -> Iterator[Finding]:
    try:
        text = f"Ollama {llm.version()} answers at {llm.base_url}"
        yield Finding("server", "ok", text)
        names = llm.list_models()
    except OllameterError as error:
        advice = "start it with `ollama serve`, or name another with --url or OLLAMA_HOST"
        yield Finding("server", "problem", str(error), advice)
        return
    if not names:
        yield Finding("models", "problem", "the server has none", "`ollameter models pull llama3.2`")
        return
    yield Finding("models", "ok", f"{len(names)}: {', '.join(names[:5])}{', ...' if names[5:] else ''}")
    if call:
        yield from _call(llm, model or names[0])


def _call(llm: OllamaProvider, model: str) -> Iterator[Finding]:
    """Make one short call, and compare the server's clock with ours."""
    question = [{"role": "user", "content": "Say hello."}]
    try:
        with llm.stream(question, model, options={"num_predict": 8}) as stream:
            stamped = [(chunk.created_at, time.time()) for chunk in stream][-1]
    except OllameterError as error:
        yield Finding("call", "problem", str(error), "`ollameter models` lists what can be called")
        return
    yield Finding("call", "ok", str(stream.metrics))
    for sentence in stream.metrics.explain() if stream.metrics is not None else ():
        yield Finding("call", "note", sentence)
    yield from _clock(*stamped)


def _clock(stamp: str | None, now_s: float) -> Iterator[Finding]:
    try:
        # Python reads six digits of a fraction, Go writes up to nine.
        skew_s = now_s - datetime.fromisoformat(stamp or "").timestamp()
    except ValueError:
        return
    if abs(skew_s) <= _SKEW_S:
        yield Finding("clock", "ok", f"the server's and ours are within {_SKEW_S:g} s")
        return
    text = f"the server's is {abs(skew_s):.1f} s {'behind' if skew_s > 0 else 'ahead of'} ours"
    yield Finding("clock", "note", text, "synchronise both: spans of the two sides will not line up")


def _proxies(base_url: str) -> Finding:
    parts = urlsplit(base_url)
    proxy, host = getproxies().get(parts.scheme), parts.hostname or ""
    if not proxy:
        return Finding("proxy", "ok", "none is set")
    if proxy_bypass(f"{host}:{parts.port}"):
        return Finding("proxy", "ok", f"one is set, and {host} is exempt from it")
    shown = urlsplit(proxy)._replace(netloc=urlsplit(proxy).netloc.rpartition("@")[2]).geturl()
    advice = f"if {host} is not behind it, add it to NO_PROXY"
    return Finding("proxy", "note", f"calls to {host} go through {shown}", advice)


def _collector() -> Iterator[Finding]:
    """Try both ports: which one counts depends on the protocol that is configured."""
    asked = os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").strip()
    host = urlsplit(asked if "://" in asked else f"//{asked}").hostname or "localhost"
    targets = {"OTLP endpoint": urlsplit(asked).port} if asked and urlsplit(asked).port else {}
    reached: list[tuple[bool, int]] = []
    for name, port in {**targets, **_PORTS}.items():
        if port is None or port in [known for _, known in reached]:
            continue
        open_ = _is_open(host, port)
        reached.append((open_, port))
        if open_:
            yield Finding("collector", "ok", f"{name}: {host}:{port} takes connections")
        else:
            yield Finding("collector", "note", f"{name}: nobody listens at {host}:{port}")
    if not any(open_ for open_, _ in reached):
        advice = "start one (otel-collector/ has the files), or set OTEL_EXPORTER_OTLP_ENDPOINT"
        yield Finding(
            "collector", "note", "none is reachable: exported telemetry would wait for it", advice
        )


def _is_open(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=_CONNECT_S):
            return True
    except OSError:
        return False


def _sdk() -> Finding:
    """Say who would set up the SDK: the launcher and the program both doing it is one too many."""
    try:
        found = ", ".join(f"{name} {version(name)}" for name in _SDK)
    except PackageNotFoundError as absent:
        advice = 'pip install "ollameter[otlp]" to export; calls return their metrics without'
        return Finding("SDK", "note", f"{absent.name} is not installed", advice)
    if "auto_instrumentation" in os.environ.get("PYTHONPATH", ""):
        advice = "leave out configure(): it would change nothing, and say so in a warning"
        return Finding("SDK", "note", f"{found}, set up by opentelemetry-instrument", advice)
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return Finding("SDK", "note", "OTEL_SDK_DISABLED=true: nothing is exported", "unset it to export")
    return Finding("SDK", "ok", f"{found}; configure() sets it up")


def _other_instrumentations() -> Iterator[Finding]:
    """Name what else describes calls to Ollama: in one program with us, of another client's calls."""
    names = {point.name for point in entry_points(group="opentelemetry_instrumentor")}
    if "ollama" in names:
        text = "an instrumentation of the official client is installed, too"
        yield Finding("SDK", "note", text, "calls through that client make spans of its own kind")
