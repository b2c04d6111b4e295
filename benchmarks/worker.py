"""One variant in a process of its own: does what it is told over a pipe, and says what that cost."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.variants import VARIANTS, Variant

Told = dict[str, Any]


class Worker:
    """A variant's clients, one for each scenario, and the SDK they report to."""

    def __init__(self, variant: Variant, urls: dict[str, str], *, seeing: bool) -> None:
        self._sdk = _sdk(variant, seeing=seeing)
        if variant.instrument is not None:
            variant.instrument()
        self._make = variant.client
        self._urls = urls
        self._clients: dict[str, Any] = {}
        self._loop = asyncio.Runner()

    def close(self) -> None:
        """Close what was opened on the loop, then the loop."""
        for client in self._clients.values():
            if hasattr(client, "aclose"):
                self._loop.run(client.aclose())
        self._loop.close()

    def chat(self, n: int) -> Told:
        """Ask for `n` whole answers, one after the other."""
        client = self._client("whole")

        def work() -> None:
            for _ in range(n):
                client.chat()

        return self._measured(work)

    def stream(self, scenario: str, n: int) -> Told:
        """Read `n` streams as fast as they come, one after the other."""
        client = self._client(scenario)
        return self._measured(lambda: [_read(client) for _ in range(n)])

    def streams_async(self, scenario: str, n: int, at_once: int) -> Told:
        """Read `n` streams, so many at once, on one loop."""
        client = self._client(scenario)

        async def work() -> None:
            left = iter(range(n))

            async def one_after_the_other() -> None:
                for _ in left:
                    await _read_async(client)

            await asyncio.gather(*(one_after_the_other() for _ in range(at_once)))

        return self._measured(lambda: self._loop.run(work()))

    def paced(self, scenario: str) -> Told:
        """Read one stream of stamped chunks: when each was delivered, and what was reported."""
        client = self._client(scenario)
        late_s, lines = [], []
        with client.stream() as stream:
            for chunk in stream:
                now = time.perf_counter_ns()
                late_s.append((now - int(client.text(chunk))) / 1e9)
                lines.append(chunk)
        told: Told = {"late_s": late_s, **_reported(stream, self._sdk)}
        return told | _server_times(lines[-1], stream)

    def paced_async(self, scenario: str, at_once: int) -> Told:
        """Read so many streams of stamped chunks at once: how late each came while all were open."""
        client = self._client(scenario)
        late_ns: list[int] = []
        marks: list[tuple[float, float]] = []
        is_open = 0

        async def read() -> None:
            nonlocal is_open
            now, text, note = time.perf_counter_ns, client.text, late_ns.append
            is_first = True
            async with client.stream_async() as stream:
                async for chunk in stream:
                    if is_first:  # some clients send only now
                        is_first = False
                        is_open += 1
                        if is_open == at_once:
                            marks.append((time.perf_counter(), time.process_time()))
                    if is_open == at_once:
                        note(now() - int(text(chunk)))
                if is_open == at_once:
                    marks.append((time.perf_counter(), time.process_time()))
                is_open -= 1

        async def work() -> None:
            await asyncio.gather(*(read() for _ in range(at_once)))

        self._loop.run(work())
        (wall, cpu), (wall_end, cpu_end) = marks
        late_ns.sort()
        last = len(late_ns) - 1
        shares = {"p50": 0.5, "p99": 0.99, "max": 1.0}
        late = {f"late_{name}_s": late_ns[int(last * share)] / 1e9 for name, share in shares.items()}
        return {"cpu_s": cpu_end - cpu, "wall_s": wall_end - wall, "chunks": len(late_ns), **late}

    def memory(self, scenario: str) -> Told:
        """Return resident and highest resident memory in bytes, and the text one stream kept."""
        client = self._client(scenario)
        before = resident_bytes()
        _forget_peak()
        with client.stream() as stream:
            for _ in stream:
                pass
        return {"before": before, "peak": resident_bytes("VmHWM"), "text": len(stream.text)}

    def resident(self) -> Told:
        """Return resident memory in bytes, after a collection."""
        gc.collect()
        return {"bytes": resident_bytes()}

    def idle(self, seconds: float) -> Told:
        """Do nothing for a while; return what each thread spends meanwhile, in CPU seconds."""
        before = _thread_cpu_s()
        time.sleep(seconds)
        spent = _thread_cpu_s()
        names = {str(thread.native_id): thread.name for thread in threading.enumerate()}
        return {names.get(key, key): cpu_s - before.get(key, 0.0) for key, cpu_s in spent.items()}

    def micro(self) -> Told:
        """Return the cost of single steps, in microseconds."""
        from benchmarks.micro import steps

        return steps()

    def _client(self, scenario: str) -> Any:
        if scenario not in self._clients:
            self._clients[scenario] = self._make(self._urls[scenario])
        return self._clients[scenario]

    def _measured(self, work: Callable[[], object]) -> Told:
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        if self._sdk is not None:
            self._sdk.flush()
        return {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}


def _sdk(variant: Variant, *, seeing: bool) -> Any:
    if variant.sdk is None:
        return None
    from benchmarks.sdk import Sdk, Seeing

    return Seeing() if seeing else Sdk(sampled=variant.sdk)


def _read(client: Any) -> int:
    size, text = 0, client.text
    with client.stream() as stream:
        for chunk in stream:
            size += len(text(chunk))
    return size


async def _read_async(client: Any) -> int:
    size, text = 0, client.text
    async with client.stream_async() as stream:
        async for chunk in stream:
            size += len(text(chunk))
    return size


def _reported(stream: Any, sdk: Any) -> Told:
    """Return what the variant says of the call: ours in the return value, others in what they export."""
    if metrics := getattr(stream, "metrics", None):
        return {"first_chunk_s": metrics.time_to_first_chunk_s, "duration_s": metrics.duration_s}
    if hasattr(sdk, "last_call"):
        found: Told = sdk.last_call()
        return found
    return {"first_chunk_s": None, "duration_s": None}


def _server_times(last: Any, stream: Any) -> Told:
    """Return what the server's clock says of the call: it stands in the done line."""
    if metrics := getattr(stream, "metrics", None):
        total, first = metrics.total_duration, metrics.prompt_eval_duration
    else:
        total, first = last["total_duration"], last["prompt_eval_duration"]
    return {"server_duration_s": total / 1e9, "server_first_chunk_s": first / 1e9}


def resident_bytes(field: str = "VmRSS") -> int:
    """Return this process's resident memory, as Linux counts it."""
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith(field))


def _thread_cpu_s() -> dict[str, float]:
    """Return what each thread of this process has spent, as Linux counts it."""
    spent: dict[str, float] = {}
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(FileNotFoundError):  # it has ended since it was listed
            spent[task.name] = int((task / "schedstat").read_text().split()[0]) / 1e9
    return spent


def _forget_peak() -> None:
    with open("/proc/self/clear_refs", "w", encoding="ascii") as clear:
        clear.write("5")


def main() -> None:
    """Serve: one JSON object a line in, one out, until the input ends."""
    told = json.loads(sys.argv[1])
    os.sched_setaffinity(0, {told["processor"]})
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints is no answer
    worker = Worker(VARIANTS[told["variant"]], told["urls"], seeing=told["seeing"])
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            answer = getattr(worker, asked.pop("do"))(**asked)
        except Exception:  # told to who asked, who stops
            answer = {"error": traceback.format_exc()}
        print(json.dumps(answer), file=out, flush=True)
    worker.close()


if __name__ == "__main__":
    main()
