"""The header of a model file, read without the file's weights."""

import struct
from pathlib import Path

import pytest

from ollameter.embedded.gguf import GgufHeader, read_header
from ollameter.embedded.model import find_model_file


def text(value: str) -> bytes:
    """Return a GGUF string."""
    return struct.pack("<Q", len(value)) + value.encode()


def test_every_type_of_value_is_read_and_weights_are_counted(tmp_path: Path) -> None:
    """Two keys of a small file written by hand, and two tensors of 6 and 4 weights."""
    file = tmp_path / "small.gguf"
    keys = [
        text("general.architecture") + struct.pack("<I", 8) + text("tiny"),
        text("tiny.context_length") + struct.pack("<IQ", 10, 2**40),
        text("tiny.scale") + struct.pack("<If", 6, 0.5),
        text("tiny.flags") + struct.pack("<IIQ", 9, 7, 2) + b"\x01\x00",
        text("general.file_type") + struct.pack("<II", 4, 7),
    ]
    tensors = [
        text("a") + struct.pack("<IQQIQ", 2, 2, 3, 0, 0),
        text("b") + struct.pack("<IQIQ", 1, 4, 0, 64),
    ]
    file.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 2, len(keys)) + b"".join(keys + tensors))

    header = read_header(file)

    assert header == GgufHeader(
        metadata={
            "general.architecture": "tiny",
            "tiny.context_length": 2**40,
            "tiny.scale": 0.5,
            "tiny.flags": [True, False],
            "general.file_type": 7,
        },
        parameter_count=10,
    )
    assert (header.architecture, header.quantization) == ("tiny", "Q8_0")
    assert header.of_architecture("context_length") == 2**40
    assert header.of_architecture("embedding_length") is None


def test_the_bundled_model_says_what_it_is() -> None:
    """A hundred thousand strings, in a moment."""
    header = read_header(find_model_file())

    assert (header.architecture, header.quantization) == ("llama", "Q4_1")
    assert header.of_architecture("context_length") == 8192
    assert header.parameter_count == 134_515_008


def test_another_file_is_refused_by_name(tmp_path: Path) -> None:
    """Four bytes tell."""
    file = tmp_path / "picture.png"
    file.write_bytes(b"\x89PNG and so on")

    with pytest.raises(ValueError, match=r"not a GGUF file: picture\.png"):
        read_header(file)
