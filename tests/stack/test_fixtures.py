"""How badly the real servers are wanted: required, cached or off."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.stack import fixtures
from tests.stack.bench import Bench
from tests.stack.fixtures import WANTED, prefix_of
from tests.stack.recipes import Recipe


def refuse(bench: Bench) -> None:
    """Fail as a build does."""
    bench.run("false")


@pytest.fixture(autouse=True)
def _empty_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OLLAMETER_CACHE", str(tmp_path))


@pytest.mark.parametrize("wanted", ["cached", ""])
def test_a_server_that_is_not_built_is_skipped_with_the_command(
    monkeypatch: pytest.MonkeyPatch, wanted: str
) -> None:
    """The reason can be pasted into a terminal."""
    monkeypatch.setenv(WANTED, wanted)

    with pytest.raises(pytest.skip.Exception) as caught:
        prefix_of("jaeger")

    assert caught.value.msg == "jaeger is not built: run `python tests/stack/install.py jaeger`"


def test_off_skips_even_what_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks into the cache."""
    monkeypatch.setenv(WANTED, "off")

    with pytest.raises(pytest.skip.Exception, match=f"{WANTED}=off"):
        prefix_of("ollama")


def test_a_required_server_that_cannot_be_built_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where real servers are required none is skipped silently."""
    monkeypatch.setenv(WANTED, "required")
    broken = Recipe("jaeger", "0", (), (), refuse)
    monkeypatch.setattr(fixtures, "recipes", lambda: {"jaeger": broken})

    with pytest.raises(pytest.fail.Exception, match="jaeger cannot be built: false: exit code 1"):
        prefix_of("jaeger")


def test_a_required_server_is_built(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The first test that needs it pays for the build."""
    monkeypatch.setenv(WANTED, "required")
    quick = Recipe("jaeger", "0", (), (), lambda bench: None)
    monkeypatch.setattr(fixtures, "recipes", lambda: {"jaeger": quick})

    assert prefix_of("jaeger").parent == tmp_path


def test_a_misspelt_wish_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """`require` must not quietly mean `cached`."""
    monkeypatch.setenv(WANTED, "require")

    with pytest.raises(pytest.fail.Exception, match="must be required, cached or off"):
        prefix_of("ollama")
