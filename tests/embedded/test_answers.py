"""What calls are answered with: Ollama's shapes, the engine's own numbers."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from ollameter.embedded import EmbeddedOllama
from tests.embedded.calls import SKY, chat, generate, residual_ns, streamed, until, whole

METRICS = {
    "total_duration",
    "load_duration",
    "prompt_eval_count",
    "prompt_eval_duration",
    "eval_count",
    "eval_duration",
    "prompt_eval_cached_count",
}
LINE = {"model", "created_at", "done"}


def test_a_chat_is_streamed_as_lines_that_end_with_the_metrics(
    embedded: EmbeddedOllama, http: requests.Session
) -> None:
    """Every line is a message; the last has no text, a reason and every number."""
    *lines, done = streamed(http, embedded, "/api/chat", chat(embedded, num_predict=5))

    assert all(set(line) == LINE | {"message"} and not line["done"] for line in lines)
    assert all(line["model"] == "smollm2:135m" for line in lines)
    assert all(line["message"]["role"] == "assistant" for line in lines)
    assert "".join(line["message"]["content"] for line in lines)
    assert set(done) == LINE | {"message", "done_reason"} | METRICS
    assert (done["done"], done["done_reason"], done["eval_count"]) == (True, "length", 5)
    assert done["message"] == {"role": "assistant", "content": ""}
    assert all(type(done[key]) is int for key in METRICS)


@pytest.mark.parametrize("path", ["/api/chat", "/api/generate"])
def test_a_whole_answer_is_the_last_line_with_all_the_text(
    embedded: EmbeddedOllama, http: requests.Session, path: str
) -> None:
    """Streamed or not, the keys and the text are the same."""
    body = chat(embedded) | {"prompt": SKY[0]["content"]}

    *lines, done = streamed(http, embedded, path, body)
    answer = whole(http, embedded, path, body)

    def text(line: dict[str, Any]) -> str:
        return str(line["response"] if path == "/api/generate" else line["message"]["content"])

    assert text(answer) == "".join(text(line) for line in lines)
    assert set(answer) == set(done)
    counts = ("prompt_eval_count", "eval_count", "done", "done_reason")
    assert {key: answer[key] for key in counts} == {key: done[key] for key in counts}


def test_each_line_is_a_chunk_of_its_own_in_ollamas_framing(
    embedded: EmbeddedOllama, http: requests.Session
) -> None:
    """One object and its LF in one HTTP chunk, of the content type of NDJSON."""
    with http.post(embedded.base_url + "/api/chat", json=chat(embedded), stream=True) as response:
        chunks = list(response.raw.read_chunked())

    assert response.headers["Content-Type"] == "application/x-ndjson"
    assert len(chunks) > 2
    assert all(chunk.endswith(b"\n") and json.loads(chunk) for chunk in chunks)


def test_the_phases_fit_into_the_total(embedded: EmbeddedOllama, http: requests.Session) -> None:
    """And what is left over is small when nobody waits for the slot."""
    answer = whole(http, embedded, "/api/chat", chat(embedded, num_predict=20))

    assert answer["load_duration"] > 0
    assert answer["eval_duration"] > 0
    assert 0 <= residual_ns(answer) < answer["total_duration"] / 2


def test_a_repeated_prompt_is_cached_but_for_one_token_and_counted_whole(
    embedded: EmbeddedOllama, http: requests.Session
) -> None:
    """The count includes the cached tokens, the duration does not."""
    new = [{"role": "user", "content": "Count the oranges, the lemons and the limes in my basket."}]
    cold = whole(http, embedded, "/api/chat", chat(embedded, messages=new))
    warm = whole(http, embedded, "/api/chat", chat(embedded, messages=new))

    assert cold["prompt_eval_cached_count"] < cold["prompt_eval_count"] - 1
    assert warm["prompt_eval_cached_count"] == warm["prompt_eval_count"] - 1
    assert warm["prompt_eval_count"] == cold["prompt_eval_count"]


def test_no_cached_token_is_sent_as_zero(embedded: EmbeddedOllama, http: requests.Session) -> None:
    """Zero is known; every other number is left out when it is zero."""
    raw = generate(embedded, "Zebra crossings", raw=True)
    answer = whole(http, embedded, "/api/generate", raw)

    assert answer["prompt_eval_cached_count"] == 0


def test_one_token_has_the_engines_shortest_duration(
    embedded: EmbeddedOllama, http: requests.Session
) -> None:
    """First to last token is no time at all; the engine says one microsecond, as Ollama's does."""
    answer = whole(http, embedded, "/api/chat", chat(embedded, num_predict=1))

    assert (answer["eval_count"], answer["eval_duration"]) == (1, 1000)


@pytest.mark.parametrize("options", [{"temperature": 0}, {"temperature": 1.5, "seed": 7}])
def test_no_temperature_or_one_seed_gives_one_answer(
    embedded: EmbeddedOllama, http: requests.Session, options: dict[str, Any]
) -> None:
    """The second call starts from the cache and says the same."""
    body = chat(embedded, num_predict=12, options=options)

    answers = [whole(http, embedded, "/api/chat", body)["message"]["content"] for _ in range(3)]
    assert len(set(answers)) == 1


def test_another_seed_gives_another_answer(embedded: EmbeddedOllama, http: requests.Session) -> None:
    """Seeds reach the sampler."""
    bodies = [chat(embedded, num_predict=12, options={"temperature": 1.5, "seed": n}) for n in range(4)]

    answers = {whole(http, embedded, "/api/chat", body)["message"]["content"] for body in bodies}
    assert len(answers) > 1


def test_a_stop_text_ends_the_answer_before_it(embedded: EmbeddedOllama, http: requests.Session) -> None:
    """It is left out of the text, its tokens are counted."""
    text = whole(http, embedded, "/api/chat", chat(embedded, num_predict=12))["message"]["content"]
    word = text.split()[3]

    answer = whole(http, embedded, "/api/chat", chat(embedded, num_predict=12, options={"stop": [word]}))

    assert answer["message"]["content"] == text[: text.index(word)]
    assert answer["done_reason"] == "stop"


@pytest.mark.parametrize("path", ["/api/chat", "/api/generate"])
def test_a_schema_is_enforced(embedded: EmbeddedOllama, http: requests.Session, path: str) -> None:
    """The engine samples only what fits."""
    schema = {
        "type": "object",
        "properties": {"color": {"enum": ["blue", "red"]}},
        "required": ["color"],
        "additionalProperties": False,
    }
    body = chat(embedded, num_predict=60, format=schema) | {"prompt": "The sky is"}

    answer = whole(http, embedded, path, body)

    text = answer["response"] if path == "/api/generate" else answer["message"]["content"]
    assert json.loads(text)["color"] in ("blue", "red")


def test_every_option_of_ollama_is_accepted(embedded: EmbeddedOllama, http: requests.Session) -> None:
    """Sampling options are obeyed, a runner's are checked, null is the default, unknown is ignored."""
    options = {
        "num_keep": 2,
        "seed": -5,
        "num_predict": 3,
        "top_k": 10.0,
        "top_p": 0.5,
        "min_p": 0.1,
        "typical_p": 0.9,
        "repeat_last_n": -1,
        "repeat_penalty": 1.2,
        "presence_penalty": 0.1,
        "frequency_penalty": 0.1,
        "stop": None,
        "num_ctx": 2048,
        "num_batch": 256,
        "num_gpu": 0,
        "main_gpu": 0,
        "num_thread": 2,
        "use_mmap": True,
        "penalize_newline": "whatever",
    }
    answer = whole(http, embedded, "/api/chat", chat(embedded, options=options))

    assert answer["eval_count"] == 3


def test_json_format_begins_an_object(embedded: EmbeddedOllama, http: requests.Session) -> None:
    """Left to itself the model would answer in prose."""
    answer = whole(http, embedded, "/api/chat", chat(embedded, format="json"))

    assert answer["message"]["content"].startswith("{")


def test_generate_is_templated_unless_raw(embedded: EmbeddedOllama, http: requests.Session) -> None:
    """The model's own template adds its tokens, a system text adds more, raw adds none."""

    def prompt_tokens(**fields: Any) -> int:
        body = generate(embedded, "Hello", **fields)
        return int(whole(http, embedded, "/api/generate", body)["prompt_eval_count"])

    assert prompt_tokens(raw=True) == 1
    assert 1 < prompt_tokens(system="Hi") < prompt_tokens(system="Answer in one short word, please")


@pytest.mark.parametrize(
    "name", ["SMOLLM2:135M", "library/smollm2:135m", "registry.ollama.ai/library/smollm2:135m"]
)
def test_the_models_name_may_be_written_in_full_and_is_echoed(
    embedded: EmbeddedOllama, http: requests.Session, name: str
) -> None:
    """Names are compared as Ollama compares them and given back as they were sent."""
    answer = whole(http, embedded, "/api/chat", chat(embedded, num_predict=1, model=name))

    assert answer["model"] == name


@pytest.mark.parametrize(
    ("path", "empty"),
    [
        ("/api/chat", {"message": {"role": "assistant", "content": ""}}),
        ("/api/generate", {"response": ""}),
    ],
)
def test_an_empty_call_loads_and_one_with_keep_alive_zero_unloads(
    embedded: EmbeddedOllama, http: requests.Session, path: str, empty: dict[str, Any]
) -> None:
    """Neither has metrics; what is loaded is listed."""

    def running() -> list[Any]:
        models: list[Any] = http.get(embedded.base_url + "/api/ps").json()["models"]
        return models

    (loaded,) = streamed(http, embedded, path, {"model": embedded.model})
    assert len(running()) == 1
    (unloaded,) = streamed(http, embedded, path, {"model": embedded.model, "keep_alive": 0})
    until(lambda: not running())

    assert loaded.pop("created_at") <= unloaded.pop("created_at")
    base = {"model": "smollm2:135m", "done": True} | empty
    assert loaded == base | {"done_reason": "load"}
    assert unloaded == base | {"done_reason": "unload"}


@pytest.mark.parametrize("keep_alive", [0, 0.05, "0", "50ms", "+0.05s"])
def test_a_model_is_unloaded_when_its_time_is_over(
    embedded: EmbeddedOllama, http: requests.Session, keep_alive: float | str
) -> None:
    """`keep_alive` counts from the end of the last call; numbers are seconds."""
    whole(http, embedded, "/api/chat", chat(embedded, num_predict=1, keep_alive=keep_alive))

    until(lambda: http.get(embedded.base_url + "/api/ps").json() == {"models": []})


def test_the_first_call_waits_for_the_load_and_says_so(
    embedded: EmbeddedOllama, http: requests.Session
) -> None:
    """A cold call's load duration is the load itself; a warm one's is next to nothing."""
    streamed(http, embedded, "/api/chat", {"model": embedded.model, "keep_alive": 0})
    until(lambda: http.get(embedded.base_url + "/api/ps").json() == {"models": []})

    cold = whole(http, embedded, "/api/chat", chat(embedded))
    warm = whole(http, embedded, "/api/chat", chat(embedded))

    assert cold["load_duration"] > 50_000_000
    assert cold["load_duration"] > 5 * warm["load_duration"]
    assert cold["prompt_eval_cached_count"] == 0
    assert residual_ns(cold) >= 0


def test_a_body_in_chunks_is_read_as_any_other(embedded: EmbeddedOllama, http: requests.Session) -> None:
    """The client may frame its request as it likes."""

    def pieces() -> Iterator[bytes]:
        text = json.dumps(chat(embedded, num_predict=1, stream=False)).encode()
        yield text[:20]
        yield text[20:]

    response = http.post(embedded.base_url + "/api/chat", data=pieces())

    assert response.json()["eval_count"] == 1
