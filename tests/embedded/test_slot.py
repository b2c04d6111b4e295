"""One slot: calls queue for it, and whoever leaves gives it back."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
import requests

from ollameter.embedded import EmbeddedOllama
from ollameter.embedded.engine import Engine, EngineFailed
from ollameter.embedded.job import Finished, Job
from ollameter.embedded.model import find_model_file
from tests.embedded.calls import chat, lines_of, residual_ns, send, whole

ENDLESS = 3000  # tokens: a minute and more


def test_a_second_call_waits_and_the_wait_is_in_no_phase(embedded: EmbeddedOllama) -> None:
    """The total holds the wait; load, prompt and eval do not."""
    with send(embedded, "/api/chat", chat(embedded, num_predict=40)) as first:
        one = lines_of(first)
        next(one)
        with send(embedded, "/api/chat", chat(embedded, num_predict=2)) as second:
            two = lines_of(second)
            *_, done_one = one
            first_of_two, *_, done_two = two

    assert first_of_two["created_at"] > done_one["created_at"]
    assert residual_ns(done_two) > done_one["eval_duration"] / 4
    assert residual_ns(done_two) > residual_ns(done_one)


def test_many_calls_at_once_are_all_answered(embedded: EmbeddedOllama) -> None:
    """In the order they came; nothing is lost or mixed up."""

    def ask(tokens: int) -> int:
        with requests.Session() as http:
            return int(whole(http, embedded, "/api/chat", chat(embedded, num_predict=tokens))["eval_count"])

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(1, 9))) == list(range(1, 9))


def test_a_client_that_leaves_a_stream_frees_the_slot(
    embedded: EmbeddedOllama, http: requests.Session
) -> None:
    """Generation stops within a few tokens; the next call does not wait for the rest."""
    with send(embedded, "/api/chat", chat(embedded, num_predict=ENDLESS)) as connection:
        next(lines_of(connection))

    answer = whole(http, embedded, "/api/chat", chat(embedded))
    assert residual_ns(answer) < 5_000_000_000


def test_a_client_that_leaves_before_a_whole_answer_frees_the_slot(
    embedded: EmbeddedOllama, http: requests.Session
) -> None:
    """Nothing is written to it before the end, so its leaving must be noticed otherwise."""
    with send(embedded, "/api/chat", chat(embedded, num_predict=ENDLESS, stream=False)):
        pass

    answer = whole(http, embedded, "/api/chat", chat(embedded))
    assert residual_ns(answer) < 5_000_000_000


def test_a_client_that_leaves_the_queue_is_never_served(
    embedded: EmbeddedOllama, http: requests.Session
) -> None:
    """Its place is skipped when its turn comes."""
    with send(embedded, "/api/chat", chat(embedded, num_predict=20)) as first:
        one = lines_of(first)
        next(one)
        with send(embedded, "/api/chat", chat(embedded, num_predict=ENDLESS)):
            pass
        answer = whole(http, embedded, "/api/chat", chat(embedded))
        *_, done = one

    assert done["done"]
    assert residual_ns(answer) < 10_000_000_000


def test_a_client_that_leaves_during_its_prompt_frees_the_slot(
    embedded: EmbeddedOllama, http: requests.Session
) -> None:
    """The engine looks up between batches of a long prompt, not only between tokens."""
    long = [{"role": "user", "content": "stone " * 3500}]
    with send(embedded, "/api/chat", chat(embedded, messages=long)):
        pass

    answer = whole(http, embedded, "/api/chat", chat(embedded))
    assert residual_ns(answer) < 20_000_000_000  # the whole prompt takes twice that and more


def test_an_answer_that_nobody_reads_does_not_hold_the_slot() -> None:
    """The engine hands events over and goes on."""
    engine = Engine(find_model_file(), context_length=512, threads=1)
    request = msgspec.json.encode({"prompt": "One, two,", "n_predict": 4, "stream": True})
    unread, read = Job(request, is_raw=True), Job(request, is_raw=True)
    engine.submit(unread, 60)
    engine.submit(read, 60)

    *_, last = read.follow(lambda: True)
    engine.close()
    engine.close()

    assert isinstance(last, Finished)
    assert last.timings.predicted_n == 4
    with pytest.raises(EngineFailed, match="closed"):
        engine.load(60)


def test_a_job_that_is_dropped_at_close_ends_without_a_last_word() -> None:
    """Its reader is told that nothing more will come."""
    engine = Engine(find_model_file(), context_length=512, threads=1)
    request = msgspec.json.encode({"prompt": "One, two,", "n_predict": 400, "stream": True})
    running, queued = Job(request, is_raw=True), Job(request, is_raw=True)
    engine.submit(running, 60)
    engine.submit(queued, 60)
    events = running.follow(lambda: True)
    next(events)

    engine.close()

    assert not any(isinstance(event, Finished) for event in (*events, *queued.follow(lambda: True)))


def test_a_file_that_is_no_model_fails_to_load(tmp_path: Path) -> None:
    """The engine's own complaint is passed on."""
    file = tmp_path / "no-model.gguf"
    file.write_bytes(b"GGUF but nothing else")
    engine = Engine(file, context_length=512, threads=1)

    with pytest.raises(EngineFailed, match="model failed to load"):
        engine.load(60)
    engine.close()
