"""The header of a GGUF file as plain data: it never reads a weight."""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SCALARS = {
    0: struct.Struct("<B"),
    1: struct.Struct("<b"),
    2: struct.Struct("<H"),
    3: struct.Struct("<h"),
    4: struct.Struct("<I"),
    5: struct.Struct("<i"),
    6: struct.Struct("<f"),
    7: struct.Struct("<?"),
    10: struct.Struct("<Q"),
    11: struct.Struct("<q"),
    12: struct.Struct("<d"),
}
_STRING, _ARRAY = 8, 9
_UINT32, _UINT64 = 4, 10

# llama.cpp's numbers for what most of a file's weights are stored as.
_FILE_TYPES = {
    0: "F32",
    1: "F16",
    2: "Q4_0",
    3: "Q4_1",
    7: "Q8_0",
    8: "Q5_0",
    9: "Q5_1",
    10: "Q2_K",
    11: "Q3_K_S",
    12: "Q3_K_M",
    13: "Q3_K_L",
    14: "Q4_K_S",
    15: "Q4_K_M",
    16: "Q5_K_S",
    17: "Q5_K_M",
    18: "Q6_K",
    32: "BF16",
}


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """What a model file says about itself: its keys as written, and its weights counted."""

    metadata: dict[str, Any]
    parameter_count: int

    @property
    def architecture(self) -> str:
        """Return the name that prefixes the keys of the model's shape."""
        return str(self.metadata["general.architecture"])

    @property
    def quantization(self) -> str:
        """Return the name of the weights' storage type, "unknown" for a number not listed."""
        return _FILE_TYPES.get(self.metadata.get("general.file_type", -1), "unknown")

    def of_architecture(self, key: str) -> Any:
        """Return the value of `<architecture>.<key>`, None when the file has none."""
        return self.metadata.get(f"{self.architecture}.{key}")


def read_header(path: Path) -> GgufHeader:
    """Read a file's metadata and tensor shapes; raise ValueError when it is no GGUF file."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if data[:4] != b"GGUF":
            raise ValueError(f"not a GGUF file: {path.name}")
        return _Cursor(data).header()


class _Cursor:
    """Reads one value after the other; GGUF has no index."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self._at = 8  # magic and version

    def header(self) -> GgufHeader:
        tensors, keys = self._scalar(_UINT64), self._scalar(_UINT64)
        metadata = {self._string(): self._value(self._scalar(_UINT32)) for _ in range(keys)}
        return GgufHeader(metadata, sum(self._tensor_elements() for _ in range(tensors)))

    def _value(self, kind: int) -> Any:
        if kind == _STRING:
            return self._string()
        if kind == _ARRAY:
            item, count = self._scalar(_UINT32), self._scalar(_UINT64)
            return [self._value(item) for _ in range(count)]
        return self._scalar(kind)

    def _scalar(self, kind: int) -> Any:
        form = _SCALARS[kind]
        (value,) = form.unpack_from(self._data, self._at)
        self._at += form.size
        return value

    def _string(self) -> str:
        start = self._at + 8
        self._at = start + self._scalar(_UINT64)
        return self._data[start : self._at].decode("utf-8", "replace")

    def _tensor_elements(self) -> int:
        self._string()
        elements = 1
        for _ in range(self._scalar(_UINT32)):
            elements *= self._scalar(_UINT64)
        self._at += 12  # storage type and offset
        return elements
