"""Forks, exits, loops and collections: nothing leaks, nothing is crossed, nothing is lost."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path

from ollameter import OllamaProvider
from ollameter.testing import Answer, FakeOllama, chat_lines, whole_chat
from tests.providers.calls import MESSAGES


def run_script(text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program of its own, warnings as errors, and return what it printed."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(text), *arguments],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_one_provider_serves_several_event_loops(fake: FakeOllama) -> None:
    """Each loop has a session of its own, closed with it."""
    llm = OllamaProvider(fake.base_url, model="llama3.2")
    with warnings.catch_warnings():
        warnings.simplefilter("error")

        texts = [asyncio.run(_ask(llm)) for _ in range(2)]

        assert texts == ["Hello!", "Hello!"]
        assert fake.wait_until_closed()
        del llm
        gc.collect()


async def _ask(llm: OllamaProvider) -> str:
    return (await llm.chat_async(MESSAGES)).text


def test_a_dropped_provider_leaves_no_warning_and_no_connection(fake: FakeOllama) -> None:
    """Never closed, used on both sides, in a program where warnings are errors."""
    script = """
        import asyncio, gc, sys
        from ollameter import OllamaProvider
        async def main():
            llm = OllamaProvider(sys.argv[1], model="llama3.2")
            llm.chat([{"role": "user", "content": "x"}])
            await llm.chat_async([{"role": "user", "content": "x"}])
            del llm
            gc.collect()
            await asyncio.sleep(0)
        asyncio.run(main())
        asyncio.run(main())
    """
    done = run_script(script, fake.base_url)

    assert (done.returncode, done.stderr) == (0, "")
    assert fake.wait_until_closed()


def test_closing_the_sync_way_closes_the_async_side_too(fake: FakeOllama) -> None:
    """From within the loop's thread, and from another one."""

    async def main() -> None:
        llm = OllamaProvider(fake.base_url, model="llama3.2")
        await llm.chat_async(MESSAGES)
        llm.close()
        assert await asyncio.to_thread(fake.wait_until_closed)
        other = OllamaProvider(fake.base_url, model="llama3.2")
        await other.chat_async(MESSAGES)
        await asyncio.to_thread(other.close)
        assert await asyncio.to_thread(fake.wait_until_closed)

    asyncio.run(main())


def test_forked_workers_get_no_crossed_answers() -> None:
    """Four workers share a provider that was used before the fork; each gets its own answers."""
    with FakeOllama() as fake:
        llm = OllamaProvider(fake.base_url, model="llama3.2")
        llm.chat(MESSAGES)
        fake.script("/api/chat", *(whole_chat(f"answer {i}") for i in range(40)))
        pids, ends = [], []
        for _ in range(4):
            read, write = os.pipe()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # forking with threads is what this test is about
                pid = os.fork()
            if pid == 0:
                os.close(read)
                texts = [llm.chat(MESSAGES).text for _ in range(10)]
                os.write(write, json.dumps(texts).encode())
                os._exit(0)
            os.close(write)
            pids.append(pid)
            ends.append(read)
        answers = []
        for pid, end in zip(pids, ends, strict=True):
            with os.fdopen(end, "rb") as pipe:
                answers += json.loads(pipe.read())
            assert os.waitpid(pid, 0)[1] == 0
        parent = llm.chat(MESSAGES).text
        llm.close()

    assert sorted(answers) == sorted(f"answer {i}" for i in range(40))
    assert parent == "Hello!"


def test_a_child_does_not_cut_the_parents_stream() -> None:
    """What is open at a fork goes on in the parent alone."""
    with FakeOllama() as fake:
        fake.script("/api/chat", Answer(lines=chat_lines("Hel", "lo", "!"), gap_s=0.05))
        with OllamaProvider(fake.base_url, model="llama3.2") as llm, llm.stream(MESSAGES) as stream:
            first = next(stream)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # forking with threads is what this test is about
                pid = os.fork()
            if pid == 0:
                stream.close()
                llm.close()
                del stream
                gc.collect()
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0

            assert first.text + "".join(chunk.text for chunk in stream) == "Hello!"


def test_a_stream_open_at_exit_is_exported(tmp_path: Path, fake: FakeOllama) -> None:
    """Though urllib3 registered its own exit hook long before the SDK did."""
    fake.script("/api/chat", Answer(lines=chat_lines("Hel", "lo"), cut_after_lines=1, cut="hang"))
    script = """
        import sys, requests
        requests.get(sys.argv[1])
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
        from ollameter import OllamaProvider
        llm = OllamaProvider(sys.argv[1], model="llama3.2")
        provider = TracerProvider()
        provider.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter(out=open(sys.argv[2], "w"))))
        trace.set_tracer_provider(provider)
        stream = llm.stream([{"role": "user", "content": "x"}])
        next(stream)
    """
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), fake.base_url, str(tmp_path / "spans")],
        check=True, timeout=60, capture_output=True,
    )  # fmt: skip

    span = json.loads((tmp_path / "spans").read_text())
    assert span["name"] == "chat llama3.2"
    assert span["attributes"]["ollameter.outcome"] == "abandoned"


def test_everything_works_without_an_sdk(fake: FakeOllama) -> None:
    """Metrics come back; nothing is exported; the helper that needs the SDK says what to install."""
    script = """
        import sys
        class Refuse:
            def find_spec(self, name, path=None, target=None):
                if name.startswith("opentelemetry.sdk"):
                    raise ImportError(name)
        sys.meta_path.insert(0, Refuse())
        import asyncio, ollameter, ollameter.testing
        with ollameter.OllamaProvider(sys.argv[1], model="llama3.2") as llm:
            text, metrics = llm.chat([{"role": "user", "content": "x"}])
            text2, metrics2 = asyncio.run(llm.chat_async([{"role": "user", "content": "x"}]))
        assert text == text2 == "Hello!" and metrics.outcome == metrics2.outcome == "completed"
        assert metrics.eval_count == 3
        for attempt in (ollameter.configure, lambda: ollameter.testing.CapturedTelemetry):
            try:
                attempt()
            except ImportError as error:
                print(error)
    """
    done = run_script(script, fake.base_url)

    assert done.stderr == ""
    assert done.stdout.count('pip install "ollameter[otlp]"') == 2


def test_importing_the_package_loads_no_library() -> None:
    """Neither HTTP, nor psutil, nor asyncio; aiohttp only at the first async call."""
    script = """
        import sys, ollameter
        heavy = {"requests", "aiohttp", "psutil", "asyncio", "importlib.metadata", "opentelemetry"}
        print(sorted(heavy & set(sys.modules)))
        ollameter.OllamaProvider("127.0.0.1:9").is_available()
        print("aiohttp" in sys.modules)
    """
    assert run_script(script).stdout.splitlines() == ["[]", "False"]
