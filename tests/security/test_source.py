"""The library neither evaluates nor unpickles, and starts no shell."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import ollameter

PACKAGE = Path(ollameter.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
MODULES = {
    "pickle",
    "cPickle",
    "_pickle",
    "marshal",
    "shelve",
    "dill",
    "cloudpickle",
    "code",
    "codeop",
    "yaml",
}
CALLS = {"eval", "exec", "compile", "__import__", "literal_eval", "execfile"}


def dangers(tree: ast.AST) -> Iterator[str]:
    """Yield what a file imports or calls that could run what somebody sent."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.partition(".")[0] in MODULES)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in MODULES:
            yield str(node.module)
        elif isinstance(node, ast.Call):
            yield from _dangers_of_call(node)


def _dangers_of_call(call: ast.Call) -> Iterator[str]:
    owner = call.func.value.id if _is_dotted(call.func) else ""  # type: ignore[attr-defined]  # just seen
    name = getattr(call.func, "id", getattr(call.func, "attr", ""))
    if (name in CALLS and owner != "re") or (owner == "os" and name in {"system", "popen"}):
        yield name
    for keyword in call.keywords:
        if keyword.arg == "shell" and getattr(keyword.value, "value", None) is not False:
            yield "shell="


def _is_dotted(function: ast.expr) -> bool:
    return isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_no_file_can_run_what_it_is_sent(file: Path) -> None:
    """By import or by call."""
    assert list(dangers(ast.parse(file.read_text()))) == []


@pytest.mark.parametrize(
    "source",
    ["import pickle", "from yaml import load", "eval(x)", "os.system(x)", "subprocess.run(x, shell=True)",
     "builtins.exec(x)", "__import__(x)", "import marshal as m", "shell(x, shell=y)"],
)  # fmt: skip
def test_the_search_finds_what_it_is_for(source: str) -> None:
    """Each way of it."""
    assert len(list(dangers(ast.parse(source)))) == 1
