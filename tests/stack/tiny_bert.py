"""An embedding model of a few thousand made-up weights, and how a real Ollama is given it."""

from __future__ import annotations

import hashlib
import random
import struct
from collections.abc import Mapping
from typing import Any

import requests

WIDTH = 32
CONTEXT = 64
_INNER = 64
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_WORDS = ("the", "sky", "is", "blue", "grass", "green", "why", "a", "b")
_VOCABULARY = (*_SPECIAL, *(f"\u2581{word}" for word in _WORDS))
_ALIGNMENT = 32

_HEAD: dict[str, Any] = {
    "general.architecture": "bert", "general.name": "tiny-bert", "general.file_type": 0,
    "bert.block_count": 1, "bert.context_length": CONTEXT, "bert.embedding_length": WIDTH,
    "bert.feed_forward_length": _INNER, "bert.attention.head_count": 2,
    "bert.attention.layer_norm_epsilon": 1e-12, "bert.attention.causal": False,
    "bert.pooling_type": 1, "tokenizer.ggml.model": "bert", "tokenizer.ggml.tokens": _VOCABULARY,
    "tokenizer.ggml.token_type": [3] * len(_SPECIAL) + [1] * len(_WORDS),
    "tokenizer.ggml.token_type_count": 2, "tokenizer.ggml.padding_token_id": 0,
    "tokenizer.ggml.unknown_token_id": 1, "tokenizer.ggml.cls_token_id": 2,
    "tokenizer.ggml.bos_token_id": 2, "tokenizer.ggml.seperator_token_id": 3,
    "tokenizer.ggml.eos_token_id": 3, "tokenizer.ggml.mask_token_id": 4,
}  # fmt: skip


def _shapes() -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (WIDTH, len(_VOCABULARY)),
        "token_types.weight": (WIDTH, 2),
        "position_embd.weight": (WIDTH, CONTEXT),
    }
    square = dict.fromkeys(("attn_q", "attn_k", "attn_v", "attn_output"), (WIDTH, WIDTH))
    for name, shape in {**square, "ffn_up": (WIDTH, _INNER), "ffn_down": (_INNER, WIDTH)}.items():
        shapes[f"blk.0.{name}.weight"], shapes[f"blk.0.{name}.bias"] = shape, shape[1:]
    for name in ("token_embd_norm", "blk.0.attn_output_norm", "blk.0.layer_output_norm"):
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = (WIDTH,), (WIDTH,)
    return shapes


def tiny_bert() -> bytes:
    """Return a GGUF file; the same one every time."""
    chance = random.Random(1)
    infos, data = b"", b""
    for name, shape in _shapes().items():
        infos += _text(name) + struct.pack("<I", len(shape))
        infos += b"".join(struct.pack("<Q", size) for size in shape) + struct.pack("<IQ", 0, len(data))
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        is_norm = "norm.weight" in name
        weights = [1.0 if is_norm else chance.gauss(0, 0.3) for _ in range(count)]
        data = _padded(data + struct.pack(f"<{count}f", *weights))
    head = b"GGUF" + struct.pack("<IQQ", 3, len(_shapes()), len(_HEAD))
    return _padded(head + b"".join(_text(k) + _value(v) for k, v in _HEAD.items()) + infos) + data


def give(base_url: str, name: str) -> None:
    """Create the model on a running server; raises when the server refuses it."""
    model = tiny_bert()
    digest = f"sha256:{hashlib.sha256(model).hexdigest()}"
    requests.post(f"{base_url}/api/blobs/{digest}", data=model, timeout=60).raise_for_status()
    body: Mapping[str, Any] = {"model": name, "files": {"tiny.gguf": digest}, "stream": False}
    requests.post(f"{base_url}/api/create", json=body, timeout=60).raise_for_status()


def _text(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def _value(value: Any) -> bytes:
    if isinstance(value, bool):
        return struct.pack("<I?", 7, value)
    if isinstance(value, int):
        return struct.pack("<II", 4, value)
    if isinstance(value, float):
        return struct.pack("<If", 6, value)
    if isinstance(value, str):
        return struct.pack("<I", 8) + _text(value)
    kind, items = (8, map(_text, value)) if isinstance(value[0], str) else (5, _integers(value))
    return struct.pack("<IIQ", 9, kind, len(value)) + b"".join(items)


def _integers(values: Any) -> list[bytes]:
    return [struct.pack("<i", value) for value in values]


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % _ALIGNMENT)
