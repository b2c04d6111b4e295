"""Whether a prompt reached the model whole, judged by its token count: a suspicion, never certain.

Ollama cuts an over-long prompt without a word. v0.24 then counts exactly the context length; later
servers leave between half of it and all of it, and of a chat drop whole messages first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

_CHARACTERS_WORTH_A_LOOK = 3  # a token: text with more may have more words than tokens
_DENSEST_BYTES = 8  # a token: natural text of any language has fewer on average
_SMALLEST_CONTEXT = 2048  # tokens, of those that are usual

Body = Mapping[str, Any]


class Turn(msgspec.Struct, frozen=True):
    """What is remembered of a chat, to see whether the next one goes on from it."""

    messages: int
    first: int
    last: int
    think: Any
    tokens: int


def prompt_truncated(body: Body, count: int | None, context_length: int | None) -> bool | None:
    """Return whether the prompt that `count` tokens came of was probably cut.

    True: the count has reached the context length (the one in force, else `num_ctx` as sent); or
    there was more text than fits a context (2,048 when unknown) and the count is below its words,
    each of which takes a token or more; or the count is half a context or more and stands for more
    than 8 bytes a token. None: no count; or the context length is unknown and the count may be
    what a cut has left (1,024 or more). False otherwise: a text without blanks can be cut
    unnoticed, and so can a chat that lost but a little of itself.
    """
    if count is None:
        return None
    if body.get("truncate") is False and body.get("shift") is False:
        return False  # the server refuses what is too long
    texts, is_one = _texts(body)
    limit = context_length or _asked_length(body)
    if is_one and limit is not None and count >= limit:
        return True
    characters = sum(map(len, texts))
    is_much = characters > (limit or _SMALLEST_CONTEXT) and characters > _CHARACTERS_WORTH_A_LOOK * count
    if is_much and _exceeds(texts, count):
        return True
    if is_one and context_length is not None and 2 * count >= context_length and _is_dense(texts, count):
        return True
    return False if context_length is not None or 2 * count < _SMALLEST_CONTEXT else None


def turn_of(body: Body, count: int | None) -> Turn | None:
    """Return what to remember of a chat; None for what is none, or was not counted."""
    messages = body.get("messages")
    if not messages or count is None or "tools" in body:
        return None
    return Turn(len(messages), _mark(messages[0]), _mark(messages[-1]), body.get("think"), count)


def fell(before: Turn, now: Turn, body: Body) -> bool:
    """Return whether a conversation has grown while its tokens became fewer.

    Not when it holds thinking: templates leave that of earlier turns out.
    """
    if now.tokens >= before.tokens or now.messages <= before.messages:
        return False
    messages = body["messages"]
    goes_on = (before.first, before.last, before.think) == (
        now.first, _mark(messages[before.messages - 1]), now.think,
    )  # fmt: skip
    return goes_on and not any(map(_thinks, messages))


def _texts(body: Body) -> tuple[list[str], bool]:
    """Return what was sent, and whether it is one prompt: several inputs are counted together."""
    if "messages" in body:
        return [message.get("content") or "" for message in body["messages"]], True
    sent = body.get("input")
    if isinstance(sent, list | tuple):
        return [text for text in sent if isinstance(text, str)], len(sent) == 1
    named = sent if isinstance(sent, str) else body.get("prompt")
    return [text for text in (named, body.get("system"), body.get("suffix")) if text], True


def _asked_length(body: Body) -> int | None:
    options = body.get("options")
    asked = options.get("num_ctx") if options else None
    return asked if type(asked) is int and asked > 0 else None


def _exceeds(texts: list[str], count: int) -> bool:
    """Return whether there are more words than tokens: no usual tokenizer joins words."""
    return sum(len(text.split()) for text in texts) > count


def _is_dense(texts: list[str], count: int) -> bool:
    return sum(len(text.encode("utf-8", "replace")) for text in texts) > _DENSEST_BYTES * count


def _mark(message: Mapping[str, Any]) -> int:
    return hash(message.get("content") or "")


def _thinks(message: Mapping[str, Any]) -> bool:
    return bool(message.get("thinking")) or "<think" in (message.get("content") or "")
