"""The builders make Ollama's shapes, and the manual clock only moves forward."""

from __future__ import annotations

import threading

import msgspec
import pytest

from ollameter.testing import (
    ManualClock,
    chat_lines,
    error_answer,
    error_line,
    generate_lines,
    json_answer,
    whole_chat,
    whole_generate,
)


def test_a_streamed_chat_is_thinking_texts_tools_and_a_done_line() -> None:
    """Numbers can be changed, added and left out."""
    lines = chat_lines("a", thinking=["t"], tool_calls=[{}], model="m", eval_count=None, peak=1)

    assert [line["message"] for line in lines] == [
        {"role": "assistant", "content": "", "thinking": "t"},
        {"role": "assistant", "content": "a"},
        {"role": "assistant", "content": "", "tool_calls": [{}]},
        {"role": "assistant", "content": ""},
    ]
    assert [line["done"] for line in lines] == [False, False, False, True]
    assert ("eval_count" in lines[-1], lines[-1]["peak"], lines[-1]["model"]) == (False, 1, "m")


def test_a_streamed_generation_can_think_too() -> None:
    """The done line has no text of its own."""
    lines = generate_lines("a", "b", thinking=["t"], done_reason="length")

    assert [(line["response"], line.get("thinking")) for line in lines] == [
        ("", "t"), ("a", None), ("b", None), ("", None),
    ]  # fmt: skip
    assert lines[-1]["done_reason"] == "length"


@pytest.mark.parametrize("lines", [chat_lines("a"), generate_lines("a")])
def test_the_numbers_add_up(lines: list[dict[str, int]]) -> None:
    """The phases are within the total, which is shorter than any call."""
    done = lines[-1]
    parts = done["load_duration"] + done["prompt_eval_duration"] + done["eval_duration"]

    assert parts <= done["total_duration"] < 200_000
    assert done["prompt_eval_cached_count"] < done["prompt_eval_count"]


def test_a_whole_answer_is_one_object_with_its_length() -> None:
    """Chat and generate; a message may say more."""
    chat, generation = whole_chat("x", message={"thinking": "y"}), whole_generate("x", eval_count=9)

    assert chat.framing == generation.framing == "length"
    assert msgspec.json.decode(chat.body or b"")["message"] == {
        "role": "assistant", "content": "x", "thinking": "y",
    }  # fmt: skip
    told = msgspec.json.decode(generation.body or b"")
    assert (told["response"], told["done"], told["eval_count"]) == ("x", True, 9)


def test_errors_are_worded_as_ollama_words_them() -> None:
    """As an answer with its status and headers, or as the line after status 200."""
    busy = error_answer(503, "busy", Retry_After="1")

    assert (busy.status, busy.body, busy.headers["Retry-After"]) == (503, b'{"error":"busy"}', "1")
    assert busy.headers["Content-Type"] == "application/json; charset=utf-8"
    assert error_line("no luck") == {"error": "no luck"}
    assert json_answer({"a": 1}, 201).body == b'{"a":1}'


def test_a_manual_clock_moves_both_clocks_together() -> None:
    """Tenths of a second add up."""
    clock = ManualClock(unix_ns=5)
    for _ in range(3):
        clock.advance(0.1)

    assert (clock.seconds(), clock.unix_ns()) == (0.3, 300_000_005)


@pytest.mark.parametrize("seconds", [-0.1, float("nan"), float("inf")])
def test_a_manual_clock_never_goes_back(seconds: float) -> None:
    """Nor anywhere that is no time."""
    clock = ManualClock()
    clock.advance(0)
    with pytest.raises(ValueError, match="seconds: expected at least 0"):
        clock.advance(seconds)

    assert clock.seconds() == 0


def test_any_thread_may_move_a_manual_clock() -> None:
    """Nothing is lost."""
    clock = ManualClock()

    def advance() -> None:
        for _ in range(500):
            clock.advance(1)

    threads = [threading.Thread(target=advance) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert clock.seconds() == 4000
