"""Each command in a process of its own: what it prints, for people and as JSON, and how it ends."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ollameter.testing import Answer, FakeOllama, chat_lines, error_answer
from tests.cli.terminal import run

ABSENT = "http://127.0.0.1:9"  # the discard port: nobody listens there


def test_help_lists_the_commands_and_the_exit_codes() -> None:
    """Each command has one line."""
    ran = run("--help")

    assert ran.code == 0
    for word in ("chat", "bench", "top", "models", "doctor", "demo", "version", "130  interrupted"):
        assert word in ran.out


def test_a_question_is_answered_and_its_cost_told(fake: FakeOllama) -> None:
    """The answer on standard output, which model on standard error; no colours into a pipe."""
    fake.script("/api/chat", Answer(lines=chat_lines("Hel", "lo [b]!")))
    ran = run("chat", "Why?", host=fake.base_url)

    assert (ran.code, ran.err) == (0, "Using llama3.2; --model names another.\n")
    answer, metrics = ran.out.splitlines()
    assert answer == "Hello [b]!"
    assert metrics.startswith("chat llama3.2: completed in ")
    assert "\x1b" not in ran.out


def test_a_question_may_come_on_standard_input(fake: FakeOllama) -> None:
    """With instructions before it, and as JSON: the numbers of the metrics that were returned."""
    arguments = (
        "chat",
        "--json",
        "--system",
        "Be brief.",
        "-m",
        "llama3.2",
        "--explain",
        "--temperature",
        "0",
    )
    ran = run(*arguments, host=fake.base_url, stdin="Why?\n")

    assert (ran.code, ran.err) == (0, "")
    body = next(request for request in fake.requests if request.path == "/api/chat").json
    assert [message["content"] for message in body["messages"]] == ["Be brief.", "Why?"]
    assert body["options"] == {"temperature": 0.0}
    assert ran.data["metrics"]["outcome"] == "completed"
    assert ran.data["metrics"]["output_tokens"] == ran.data["metrics"]["eval_count"]
    assert all(isinstance(sentence, str) for sentence in ran.data["explanation"])


def test_thinking_is_kept_apart_from_the_answer(fake: FakeOllama) -> None:
    """By a line."""
    lines = [{"message": {"role": "assistant", "content": "", "thinking": "hm"}}, *chat_lines("Yes")]
    fake.script("/api/chat", Answer(lines=[{"model": "m", "done": False} | line for line in lines]))
    ran = run("chat", "-m", "m", "?", host=fake.base_url)

    assert ran.out.startswith("hm\n---\nYes\n")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("chat", "-m", "nope", "x"), 1, "ollameter models pull"),
        (("chat",), 2, "question: empty"),
        (("chat", "--timeout", "0", "x"), 2, "timeout"),
        (("bench", "-c", "0"), 2, "at least 1"),
        (("bench", "-c", "x"), 2, "1,2,4"),
        (("bench", "nope", "-n", "1"), 1, "nope"),
        (("no-such-command",), 2, "No such command"),
    ],
)
def test_what_goes_wrong_is_one_line_with_the_next_step(
    fake: FakeOllama, arguments: tuple[str, ...], code: int, words: str
) -> None:
    """On standard error; each kind has its exit code."""
    ran = run(*arguments, host=fake.base_url)

    assert (ran.code, ran.out) == (code, "")
    assert words in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("arguments", [("chat", "x"), ("models",), ("bench",), ("chat", "-m", "m", "x")])
def test_a_server_that_is_not_there_is_three(arguments: tuple[str, ...]) -> None:
    """With what to do about it."""
    ran = run(*arguments, host=ABSENT)

    assert (ran.code, ran.out) == (3, "")
    assert "ollama serve" in ran.err


def test_an_error_in_the_middle_keeps_what_had_come(fake: FakeOllama) -> None:
    """The partial answer is on standard output, the error on standard error."""
    fake.script("/api/chat", Answer(lines=chat_lines("Hel", "lo")[:1]))
    ran = run("chat", "-m", "llama3.2", "x", host=fake.base_url)

    assert ran.code == 1
    assert ran.out.startswith("Hel")
    assert "cut off" in ran.err


def test_models_are_listed_with_what_is_known_of_them(fake: FakeOllama) -> None:
    """As a table and as JSON."""
    listed = run("models", host=fake.base_url)
    as_json = run("models", "--json", host=fake.base_url)

    assert (listed.code, as_json.code) == (0, 0)
    assert "llama3.2" in listed.out
    (model,) = as_json.data
    assert model["name"].startswith("llama3.2")
    assert {"size_bytes", "quantization", "context_length", "capabilities", "loaded"} <= model.keys()


def test_a_model_is_pulled(fake: FakeOllama) -> None:
    """And is there afterwards."""
    ran = run("models", "pull", "phi4", "--json", host=fake.base_url)

    assert (ran.code, ran.data) == (0, {"model": "phi4", "status": "success"})
    assert any(name.startswith("phi4") for name in fake.models)


def test_top_shows_models_and_machine_once(fake: FakeOllama) -> None:
    """As JSON with numbers, and as a picture that ends by itself in a pipe."""
    as_json = run("top", "--once", "--json", host=fake.base_url)
    shown = run("top", host=fake.base_url)

    assert (as_json.code, shown.code) == (0, 0)
    seen = as_json.data
    assert 0 <= seen["cpu"]["utilization"] <= 1
    assert 0 < seen["memory"]["used_bytes"] < seen["memory"]["total_bytes"]
    assert seen["error"] is None
    assert "CPU" in shown.out
    assert "memory" in shown.out


def test_top_without_a_server_still_shows_the_machine() -> None:
    """And says what is wrong."""
    seen = run("top", "--once", "--json", host=ABSENT).data

    assert seen["models"] == []
    assert "nothing answers" in seen["error"]
    assert seen["memory"]["used_bytes"] > 0


def test_the_doctor_finds_a_proxy_that_is_in_the_way(fake: FakeOllama) -> None:
    """And tells nobody its password."""
    ran = run(
        "doctor",
        "--json",
        host=fake.base_url,
        HTTP_PROXY="http://me:secret@127.0.0.1:9",
        NO_PROXY="",
        no_proxy="",
    )

    found = {finding["check"]: finding for finding in ran.data}
    assert ran.code == 1
    assert found["server"]["level"] == "problem"
    assert found["proxy"]["text"] == "calls to 127.0.0.1 go through http://127.0.0.1:9"
    assert "secret" not in ran.out + ran.err


def test_the_doctor_is_content_with_a_working_server(fake: FakeOllama) -> None:
    """Notes are no problems: an absent collector is one of them."""
    ran = run("doctor", host=fake.base_url)
    as_json = run("doctor", "--no-call", "--json", host=fake.base_url)

    assert ran.code == 0, ran.out
    assert "ok  server: Ollama 0.33.3 answers" in ran.out
    assert "ok  call: chat llama3.2: completed" in ran.out
    assert "collector" in {finding["check"] for finding in as_json.data}
    assert "call" not in {finding["check"] for finding in as_json.data}


def test_the_doctor_without_a_server_says_what_to_do() -> None:
    """And looks at the rest."""
    ran = run("doctor", host=ABSENT)

    assert ran.code == 1
    assert "!!  server: nothing answers" in ran.out
    assert "-> start it with `ollama serve`" in ran.out
    assert "proxy" in ran.out


def test_the_version_is_printed() -> None:
    """The package's."""
    import ollameter

    assert run("version").out == f"ollameter {ollameter.__version__}\n"
    assert run("version", "--json").data == {"ollameter": ollameter.__version__}


def test_a_benchmark_sums_up_the_metrics_of_its_calls(fake: FakeOllama, tmp_path: Path) -> None:
    """Saved, reported, and compared with itself: no difference."""
    saved, page, prompts = tmp_path / "run.json", tmp_path / "report.html", tmp_path / "prompts.txt"
    prompts.write_text("# two of them\nWhy?\n\nHow?\n")
    arguments = ("bench", "llama3.2", "-n", "3", "-c", "1,2", "--cold", "1", "--prompts", str(prompts))
    ran = run(*arguments, "--json", "--save", str(saved), "--html", str(page), host=fake.base_url)

    assert ran.code == 0, ran.err
    calls = json.loads(saved.read_text())["calls"]
    assert len(calls) == 1 + 6 + 6
    summaries = ran.data["summaries"]
    assert [(s["concurrency"], s["cold"], s["calls"], s["failed"]) for s in summaries] == [
        (1, True, 1, 0), (1, False, 6, 0), (2, False, 6, 0)
    ]  # fmt: skip
    warm = [call["metrics"] for call in calls if call["concurrency"] == 1 and not call["cold"]]
    mean_load_s = sum(m["load_duration"] for m in warm) / len(warm) / 1e9
    assert summaries[1]["load_s"] == pytest.approx(mean_load_s)
    assert "<h1>ollameter bench</h1>" in page.read_text()
    again = run("bench", "--load", str(saved), "--compare", str(saved), host=fake.base_url)
    assert again.code == 0
    assert again.out.count("no difference") >= 2


def test_calls_that_fail_are_counted_not_hidden(fake: FakeOllama) -> None:
    """The others still count."""
    fake.script("/api/chat", *[error_answer(500, "out of memory")] * 2)
    ran = run("bench", "llama3.2", "-n", "1", "--warm-up", "0", "--json", host=fake.base_url)

    assert ran.code == 0, ran.err
    assert [(s["calls"], s["failed"]) for s in ran.data["summaries"]] == [(3, 2)]


def test_a_benchmark_may_be_bounded_by_time(fake: FakeOllama) -> None:
    """Instead of by a number."""
    ran = run("bench", "llama3.2", "--for", "0.5", "--json", host=fake.base_url)

    assert ran.code == 0, ran.err
    assert ran.data["summaries"][0]["calls"] >= 2


def test_without_its_packages_the_command_names_them(tmp_path: Path) -> None:
    """In one line."""
    (tmp_path / "click.py").write_text("raise ImportError('no click here')\n")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    ran = run("version", PYTHONPATH=path)

    assert ran.code == 1
    assert 'pip install "ollameter[cli]"' in ran.err
    assert len(ran.err.splitlines()) == 1
