"""What a docstring says of a function and of its parameters, in any of three common styles."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from textwrap import dedent

_DETAILS = re.compile(r"^(?::\w|[A-Z][\w ]*:$|\w[^\n]*\n-{3,}$)", re.MULTILINE)
_GOOGLE = re.compile(r"^(?:Args|Arguments|Parameters):\n((?:[ \t]+\S.*\n?|[ \t]*\n)+)", re.MULTILINE)
_GOOGLE_ENTRY = re.compile(r"\*{0,2}(\w+)[ \t]*(?:\([^\n]*?\))?:[ \t]*(.*)", re.DOTALL)
_NUMPY = re.compile(r"^Parameters\n-{3,}\n(.*?)(?=^\w[^\n]*\n-{3,}$|\Z)", re.MULTILINE | re.DOTALL)
_NUMPY_ENTRY = re.compile(r"\*{0,2}(\w+)[^\n]*(.*)", re.DOTALL)
_REST_ENTRY = re.compile(
    r"^:(?:param|parameter|arg|argument)[ \t]+(?:[^:\n]*[ \t])?\*{0,2}(\w+):(.*?)(?=^:|^[ \t]*$|\Z)",
    re.MULTILINE | re.DOTALL,
)


def read_docstring(text: str | None) -> tuple[str, dict[str, str]]:
    """Return what a function does, and a description of each parameter that has one.

    Understands Google's `Args:`, NumPy's underlined `Parameters` and reST's `:param name:`.
    """
    whole = inspect.cleandoc(text or "")
    what = _DETAILS.split(whole, maxsplit=1)[0]
    found = [
        *_entries(_GOOGLE.search(whole), _GOOGLE_ENTRY),
        *_entries(_NUMPY.search(whole), _NUMPY_ENTRY),
        *_REST_ENTRY.findall(whole),
    ]
    return _one_line(what), {name: _one_line(said) for name, said in found if said.strip()}


def _entries(section: re.Match[str] | None, entry: re.Pattern[str]) -> Iterator[tuple[str, str]]:
    """Yield the parameters of a section: each begins where a line is not indented."""
    block = dedent(section[1]) if section else ""
    for text in re.split(r"^(?=\S)", block, flags=re.MULTILINE):
        if match := entry.match(text):
            yield match[1], match[2]


def _one_line(text: str) -> str:
    return " ".join(text.split())
