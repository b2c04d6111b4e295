"""Bytes a server might send, made up cheaply from a seed: the same seed, the same bytes."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from random import Random
from typing import Any

from tests.wire.test_recordings import RECORDINGS, http

BODIES = [http(recording)[1] for recording in RECORDINGS.values()]
KEYS = (
    "message", "response", "done", "error", "content", "thinking", "tool_calls", "function", "name",
    "arguments", "id", "model", "models", "version", "done_reason", "logprobs", "created_at", "eval_count",
    "eval_duration", "prompt_eval_count", "total_duration", "load_duration", "details", "model_info",
    "digest", "size", "size_vram", "capabilities", "status", "completed", "total",
)  # fmt: skip
TOKENS = (
    b"{", b"}", b"[", b"]", b'"', b":", b",", b"\n", b"\r\n", b"\\u0000", b"\\ud800", b"\\", b"null",
    b"true", b"false", b"-0", b"1e999", b"0.5", b"9" * 25, b" ", b"\x00", b"\xff",
    b"\xc2\x85", b"\xe2\x80\xa8",
    b'{"message":{"content":"x"},"done":false}\n', b'{"response":"x","done":true}\n', b"<html>",
    b'"done":true', b'"error":', *(f'"{key}":'.encode() for key in KEYS),
)  # fmt: skip


def made_up(random: Random) -> bytes:
    """Return the bytes of some body."""
    return random.choice(_MAKERS)(random)


def cuts(random: Random, data: bytes) -> list[bytes]:
    """Return the bytes in pieces, as a network might hand them out."""
    edges = sorted(random.randrange(len(data) + 1) for _ in range(random.randrange(1, 8)))
    return [data[a:b] for a, b in zip([0, *edges], [*edges, len(data)], strict=True)]


def _noise(random: Random) -> bytes:
    return random.randbytes(random.randrange(200))


def _soup(random: Random) -> bytes:
    return b"".join(random.choices(TOKENS, k=random.randrange(1, 30)))


def _changed(random: Random) -> bytes:
    """Return a recorded body with a few bytes flipped, cut out, doubled, or put in."""
    body = bytearray(random.choice(BODIES))
    for _ in range(random.randrange(1, 6)):
        at, length = random.randrange(len(body) + 1), random.randrange(1, 40)
        change = random.randrange(5)
        if change == 0 and at < len(body):
            body[at] ^= 1 << random.randrange(8)
        elif change == 1:
            del body[at : at + length]
        elif change == 2:
            body[at:at] = body[at : at + length]
        elif change == 3:
            body[at:at] = random.choice(TOKENS)
        else:
            other = random.choice(BODIES)
            body[at:] = other[random.randrange(len(other)) :]
    return bytes(body)


def _altered(random: Random) -> bytes:
    """Return a recorded body with one value in one of its lines replaced by something else."""
    lines = [json.loads(line) for line in random.choice(BODIES).splitlines()]
    where = random.choice(lines)
    key = random.choice([*where, random.choice(KEYS)])
    if isinstance(where.get(key), dict):
        where = where[key]
        key = random.choice([*where, random.choice(KEYS)])
    where[key] = _value(random, 2)
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def _near_json(random: Random) -> bytes:
    """Return lines of JSON with the right keys and the wrong things in them."""
    lines = [_object(random, 3) for _ in range(random.randrange(1, 4))]
    end = random.choice((b"\n", b"\r\n", b"", b"\n\n"))
    return b"".join(json.dumps(line).encode() + end for line in lines)


def _object(random: Random, depth: int) -> dict[str, Any]:
    return {random.choice(KEYS): _value(random, depth - 1) for _ in range(random.randrange(1, 6))}


def _value(random: Random, depth: int) -> Any:
    if depth > 0 and random.random() < 0.5:
        inner = [_object(random, depth) for _ in range(random.randrange(3))]
        return inner if random.random() < 0.4 else (inner or [{}])[0]
    return random.choice(_SCALARS)


_SCALARS: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 7, 2**63, -(2**70), 0.5, -0.0, 1e308, math.inf, math.nan, "", "x", "stop",
    "\u0000", "\u0085\u2028", "\ud800", '{"error":"x"}', '{"a":', "ü" * 50, [], {}, [[]],
)  # fmt: skip
_MAKERS: tuple[Callable[[Random], bytes], ...] = (
    _noise, _soup, _changed, _changed, _near_json, _near_json, _altered, _altered,
)  # fmt: skip
