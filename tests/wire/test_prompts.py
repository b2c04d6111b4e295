"""Suspected truncation: what real servers counted, and what must never be suspected."""

from __future__ import annotations

from typing import Any

import pytest

from ollameter.wire.prompts import fell, prompt_truncated, turn_of

SENTENCE = "The quick brown fox jumps over the lazy dog near the river bank. "


def generate(text: str, **fields: Any) -> dict[str, Any]:
    """Return the body of a generation."""
    return {"model": "m", "prompt": text, **fields}


def chat(*texts: str, **fields: Any) -> dict[str, Any]:
    """Return the body of a chat whose roles alternate."""
    roles = ("user", "assistant")
    messages = [{"role": roles[i % 2], "content": text} for i, text in enumerate(texts)]
    return {"model": "m", "messages": messages, **fields}


# Counted by Ollama 0.33.3 with smollm2:135m at num_ctx 1024.
@pytest.mark.parametrize(
    ("sentences", "count", "expected"),
    [(10, 150, False), (40, 570, False), (60, 850, False), (80, 514, True), (300, 514, True)],
)
@pytest.mark.parametrize("context_length", [1024, None])
def test_what_a_real_server_counted_is_judged_rightly(
    sentences: int, count: int, expected: bool, context_length: int | None
) -> None:
    """With the context length as `/api/ps` tells it, and with nothing but what was asked for."""
    body = generate(SENTENCE * sentences, options={"num_ctx": 1024})

    assert prompt_truncated(body, count, context_length) is expected


def test_a_chat_that_lost_its_oldest_messages_is_suspected() -> None:
    """Twenty-one messages of 65 words, of which 998 tokens were left: as a real server counted."""
    assert prompt_truncated(chat(*[SENTENCE * 5] * 21), 998, 1024) is True


def test_a_document_that_was_dropped_whole_is_suspected() -> None:
    """What is left is short: the last question."""
    assert prompt_truncated(chat(SENTENCE * 1000, "Yes?", "What is it about?"), 30, 4096) is True


@pytest.mark.parametrize("body", [generate("x" * 9000), chat("x" * 9000)])
def test_a_count_at_the_context_length_is_suspected(body: dict[str, Any]) -> None:
    """So v0.24 cuts."""
    assert prompt_truncated(body, 2048, 2048) is True
    assert prompt_truncated(body, 2047, 2048) is False
    assert prompt_truncated(body | {"options": {"num_ctx": 2048}}, 2048, None) is True


def test_text_without_blanks_is_suspected_by_its_bytes() -> None:
    """Chinese has 3 bytes a character and about as many a token; 11 a token were never written."""
    assert prompt_truncated(generate("天空为什么是蓝色的" * 1000), 2300, 4096) is True
    assert prompt_truncated(generate("天空为什么是蓝色的" * 200), 1400, 4096) is False


@pytest.mark.parametrize(
    ("body", "count"),
    [
        (generate("Why is the sky blue?"), 11),
        (generate("one two three four five six seven eight nine ten"), 4),  # a fake server's count
        (chat("Why is the sky blue?"), 36),
        (chat(""), 5),
        (generate("x" * 5000), 900),
        (chat("what?", images=["aGk="]), 700),
    ],
)
def test_a_short_prompt_is_not_suspected(body: dict[str, Any], count: int) -> None:
    """With the context length or without."""
    assert prompt_truncated(body, count, 4096) is False
    assert prompt_truncated(body, count, None) is False


def test_what_cannot_be_judged_is_unknown() -> None:
    """Without a count; or a count that a cut may have left of a context of unknown length."""
    assert prompt_truncated(generate("x"), None, 4096) is None
    assert prompt_truncated(generate(SENTENCE * 200), 2830, None) is None
    assert prompt_truncated(generate(SENTENCE * 200), 2830, 4096) is False


def test_a_server_that_must_refuse_has_not_cut() -> None:
    """Both have to be off: with `shift` alone a server since v0.30 still cuts."""
    body = generate("x" * 9000, truncate=False)

    assert prompt_truncated(body | {"shift": False}, 2048, 2048) is False
    assert prompt_truncated(body, 2048, 2048) is True


def test_the_inputs_of_an_embedding_are_counted_together() -> None:
    """Their sum may exceed the context; fewer tokens than words are suspicious all the same."""
    many = {"model": "m", "input": ["some words"] * 2000}

    assert prompt_truncated(many, 8000, 512) is False
    assert prompt_truncated({"model": "m", "input": [SENTENCE * 300]}, 512, 512) is True
    assert prompt_truncated({"model": "m", "input": [SENTENCE * 300] * 4}, 2048, 512) is True
    assert prompt_truncated({"model": "m", "input": "some words"}, 4, 512) is False


def test_all_that_is_sent_with_a_prompt_counts() -> None:
    """`system` and `suffix` take tokens as well."""
    body = generate("Go.", system=SENTENCE * 150, suffix=SENTENCE * 150)

    assert prompt_truncated(body, 1026, 2048) is True


def test_a_num_ctx_that_is_no_number_is_ignored() -> None:
    """It came through `extra`, unchecked."""
    assert prompt_truncated(generate("hi", options={"num_ctx": "many"}), 9, None) is False
    assert prompt_truncated(generate("hi", options={"num_ctx": True}), 9, None) is False


def has_fallen(before: dict[str, Any], count: int, now: dict[str, Any], now_count: int) -> bool:
    """Return what is said of a chat that came after another."""
    first, second = turn_of(before, count), turn_of(now, now_count)
    assert first is not None
    assert second is not None
    return fell(first, second, now)


def test_a_conversation_that_grows_while_its_tokens_fall_is_suspected() -> None:
    """The same beginning, more messages, fewer tokens."""
    before, now = chat("a"), chat("a", "b", "c")

    assert has_fallen(before, 3000, now, 1800)
    assert not has_fallen(before, 3000, now, 3000)
    assert not has_fallen(before, 3000, chat("a"), 1800)


@pytest.mark.parametrize(
    "now",
    [
        chat("z", "b", "c"),
        chat("a", "b", "c", think=True),
        {"messages": [{"content": "a"}, {"thinking": "hm"}, {"content": "c"}]},
        chat("a", "<think>hm</think>b", "c"),
    ],
)
def test_another_conversation_or_one_with_thinking_is_not_compared(now: dict[str, Any]) -> None:
    """Templates leave the thinking of earlier turns out, so that tokens may become fewer."""
    assert not has_fallen(chat("a"), 3000, now, 1800)


def test_a_middle_that_was_edited_is_another_conversation() -> None:
    """The last message of before must still stand in its place."""
    assert not has_fallen(chat("a", "b", "c"), 3000, chat("a", "b", "x", "d", "e"), 1800)


@pytest.mark.parametrize(
    ("body", "count"), [(generate("x"), 4), (chat("x"), None), (chat("x", tools=[]), 4)]
)
def test_only_plain_counted_chats_are_remembered(body: dict[str, Any], count: int | None) -> None:
    """Tools change the prompt from call to call."""
    assert turn_of(body, count) is None
