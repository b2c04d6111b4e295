"""What a real Ollama sent, byte for byte, cut at every byte, reads the same."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from ollameter import Chunk, ModelNotFound
from ollameter.messages import Request
from ollameter.wire.ollama import ChunkReader
from ollameter.wire.responses import error_from_response

FOLDER = Path(__file__).parents[1] / "recordings"
RECORDINGS = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
ANSWERS = sorted(RECORDINGS.keys() - {"absent_model", "wrong_option"})


def http(recording: dict[str, Any]) -> tuple[int, bytes]:
    """Return status and body of a recorded answer, its HTTP chunks put together."""
    raw = b"".join(base64.b64decode(piece) for _, piece in recording["pieces"])
    head, _, rest = raw.partition(b"\r\n\r\n")
    status = int(head.split()[1])
    if b"transfer-encoding: chunked" not in head.lower():
        return status, rest
    body = b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        body += rest[: int(size, 16)]
        rest = rest[int(size, 16) + 2 :]
    return status, body


def reader(recording: dict[str, Any]) -> ChunkReader:
    """Return a reader for the answer to the recorded request."""
    asked = recording["request"]
    return ChunkReader(
        Request(
            operation="chat",
            path=recording["path"],
            model=asked["model"],
            stream=asked.get("stream", True),
            body=asked,
        )
    )


def read(recording: dict[str, Any], pieces: list[bytes]) -> tuple[list[Chunk], Any]:
    """Read a body in these pieces."""
    source = reader(recording)
    chunks = [chunk for piece in pieces for chunk in source.feed(piece)]
    return [*chunks, *source.finish()], source.final


def test_there_are_recordings() -> None:
    """Of the current generation, streams and whole answers."""
    assert len(ANSWERS) == 7
    assert {recording["version"] for recording in RECORDINGS.values()} == {"0.33.3"}


@pytest.mark.parametrize("name", ANSWERS)
def test_a_recorded_answer_reads_the_same_however_it_is_cut(name: str) -> None:
    """At every byte, and byte by byte."""
    recording = RECORDINGS[name]
    status, body = http(recording)
    whole = read(recording, [body])

    assert status == 200
    for at in range(len(body) + 1):
        assert read(recording, [body[:at], body[at:]]) == whole
    assert read(recording, [body[i : i + 1] for i in range(len(body))]) == whole


@pytest.mark.parametrize("name", ANSWERS)
def test_a_recorded_answer_says_what_its_last_line_says(name: str) -> None:
    """Text, numbers and reason, against plain JSON."""
    recording = RECORDINGS[name]
    lines = [json.loads(line) for line in http(recording)[1].splitlines()]
    chunks, final = read(recording, [http(recording)[1]])

    texts = [line["message"]["content"] if "message" in line else line["response"] for line in lines]
    assert [chunk.text for chunk in chunks] == texts
    assert final.raw == lines[-1]
    assert final.finish_reason == lines[-1]["done_reason"]
    assert (final.timings.eval_count, final.timings.total_duration) == (
        lines[-1].get("eval_count"),
        lines[-1].get("total_duration"),
    )
    if name == "chat_logprobs":
        assert [chunk.logprobs for chunk in chunks] == [line.get("logprobs") for line in lines]
    if name == "chat_one_token":
        assert final.timings.eval_duration == 1000


def test_recorded_refusals_become_their_errors() -> None:
    """In the server's own words."""
    absent = error_from_response(*http(RECORDINGS["absent_model"]))
    wrong = error_from_response(*http(RECORDINGS["wrong_option"]))

    assert (type(absent), str(absent)) == (ModelNotFound, "model 'absent' not found")
    assert (wrong.status_code, str(wrong)) == (
        500, 'option "temperature" must be of type float32',
    )  # fmt: skip
