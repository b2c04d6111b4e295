"""CPU a call: ours without an SDK, ours with full telemetry, and bare requests, in turn."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import requests

from ollameter import OllamaProvider
from ollameter.testing import CapturedTelemetry, FakeOllama

ROUNDS, CALLS = 7, 100
QUESTION = [{"role": "user", "content": "x"}]


def cpu_us(call: Callable[[], object]) -> float:
    """Return this thread's CPU microseconds of one call."""
    begun = time.thread_time()
    for _ in range(CALLS):
        call()
    return (time.thread_time() - begun) / CALLS * 1e6


def main() -> None:
    """Run the variants in turn, and print the median of each and its ratio to bare requests."""
    captured = CapturedTelemetry()
    with FakeOllama() as fake, requests.Session() as session:
        body = {"model": "llama3.2", "messages": QUESTION, "stream": False}
        bare = OllamaProvider(fake.base_url, model="llama3.2")
        full = OllamaProvider(fake.base_url, model="llama3.2", **captured.providers)
        variants: dict[str, Callable[[], object]] = {
            "requests, bare": lambda: session.post(fake.base_url + "/api/chat", json=body).json(),
            "ollameter, no SDK": lambda: bare.chat(QUESTION),
            "ollameter, full telemetry": lambda: full.chat(QUESTION),
        }
        rounds = [{name: cpu_us(call) for name, call in variants.items()} for _ in range(ROUNDS)]
        bare.close()
        full.close()
    medians = {name: statistics.median(r[name] for r in rounds) for name in variants}
    base = medians["requests, bare"]
    for name, median in medians.items():
        spread = [r[name] for r in rounds]
        print(f"{name:<28}{median:8.0f} us  x{median / base:.2f}  ({min(spread):.0f} to {max(spread):.0f})")


main()
