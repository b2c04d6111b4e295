"""Feeds made-up bytes to wire/: `python -m tests.soak.fuzz --inputs 1000000 [--seed N]`.

Nothing but our own errors may come out, and the same whatever the pieces the bytes arrive in.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable
from random import Random, SystemRandom
from typing import Any

from ollameter import OllameterError
from ollameter.messages import Chunk, Request
from ollameter.wire import models
from ollameter.wire.ollama import ChunkReader
from ollameter.wire.responses import decode_object, error_from_response
from tests.soak.inputs import cuts, made_up

_TYPES = {"invalid_response", "stream_error", "stream_truncated"}
_READERS: tuple[Callable[[dict[str, Any]], Any], ...] = (
    models.listed_models,
    models.running_models,
    models.model_details,
    models.model_names,
    models.version_text,
)


def fuzz(seed: int, inputs: int) -> Counter[str]:
    """Try so many inputs; return how often what came of them.

    Raises `AssertionError` that names seed and number of the input that went wrong.
    """
    came: Counter[str] = Counter()
    for number in range(inputs):
        random = Random(f"{seed}/{number}")
        try:
            came[random.choice(_TARGETS)(random, made_up(random))] += 1
        except Exception as error:
            raise AssertionError(f"seed {seed}, input {number}: {error!r}") from error
    return came


def _as_answer(random: Random, data: bytes) -> str:
    """Read an answer, whole and in pieces: what comes of it must be the same."""
    path, stream = random.choice(("/api/chat", "/api/generate")), random.random() < 0.7
    at_once, in_pieces = (_read(path, stream, given) for given in ([data], cuts(random, data)))
    if at_once != in_pieces:
        raise AssertionError(f"{data!r} in pieces: {in_pieces}, at once: {at_once}")
    return at_once[1]


def _read(path: str, stream: bool, pieces: Iterable[bytes]) -> tuple[list[Chunk], str]:
    request = Request(operation="chat", path=path, model="m", stream=stream, body={})
    reader, chunks = ChunkReader(request), list[Chunk]()
    try:
        for data in pieces:
            for chunk in reader.feed(data):
                chunks.append(chunk)
                if reader.final:
                    return chunks, "completed"
        chunks.extend(reader.finish())
    except OllameterError as error:
        if error.error_type not in _TYPES:
            raise AssertionError(f"an error of type {error.error_type}") from error
        return chunks, error.error_type
    return chunks, "completed"


def _as_error_body(random: Random, data: bytes) -> str:
    """Read the body of an error: it is always told, in bounded words."""
    status = random.choice((301, 400, 404, 429, 500, 502, 503))
    error = error_from_response(status, data, location=None, retry_after=data[:9].decode("latin-1"))
    if error.error_type != str(status) or not 0 < len(str(error)) <= 2100:
        raise AssertionError(f"{error!r} for {status}")
    return "error told"


def _as_object(random: Random, data: bytes) -> str:
    """Read the answer to a question about models."""
    try:
        random.choice(_READERS)(decode_object(data))
    except OllameterError as error:
        return f"object: {error.error_type}"
    return "object read"


_TARGETS = (_as_answer, _as_answer, _as_answer, _as_error_body, _as_object)


def main() -> None:
    """Try as many inputs as asked for, and say what came of them."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--inputs", type=int, default=1_000_000)
    arguments.add_argument("--seed", type=int, default=SystemRandom().randrange(2**32))
    asked = arguments.parse_args()
    logging.getLogger("ollameter.wire").setLevel(logging.ERROR)  # it tells of each number that is none
    begun = time.monotonic()
    came = fuzz(asked.seed, asked.inputs)
    took_s = time.monotonic() - begun
    print(f"fuzz: {came.total()} inputs, seed {asked.seed}, {took_s:.0f} s: nothing but our own errors")  # noqa: T201  # what it is run for
    for what, count in came.most_common():
        print(f"  {count:>9} {what}")  # noqa: T201  # likewise


if __name__ == "__main__":
    main()
