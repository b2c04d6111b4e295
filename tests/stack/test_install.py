"""The installer without a single real build: what is kept, what is not, and what it says."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.stack import install as installer
from tests.stack.bench import Bench, BuildError
from tests.stack.cache import cache_folder, cpu_flags
from tests.stack.install import entry, install
from tests.stack.recipes import HERE, Recipe, recipes
from tests.stack.versions import VersionsError, read_versions


def recipe(build: Callable[[Bench], None], **changes: object) -> Recipe:
    """Make a recipe that needs no tool and depends on nothing."""
    fields = {"name": "thing", "version": "1.0", "inputs": (), "tools": (), "build": build}
    return Recipe(**{**fields, **changes})  # type: ignore[arg-type]  # the fields, by name


def build_a_file(bench: Bench) -> None:
    """Leave one file in the prefix."""
    (bench.prefix / "made").write_text("whole")


def build_in_vain(bench: Bench) -> None:
    """Leave a file, print 50 lines and fail."""
    build_a_file(bench)
    bench.run("sh", "-c", "seq 1 50; exit 3")


def never_build(bench: Bench) -> None:
    """Fail the test that comes here."""
    pytest.fail("was built again")


def test_every_recipe_has_a_version() -> None:
    """The versions file and the recipes know the same servers."""
    versions = read_versions()

    servers = {"ollama", "ollama-legacy", "collector", "prometheus", "jaeger"}
    assert set(recipes()) == {*servers, "compose-schema"}
    assert {name: made.version for name, made in recipes().items()} == {
        name: versions[name]["version"] for name in recipes()
    }


def test_a_version_that_is_no_string_is_named(tmp_path: Path) -> None:
    """TOML reads a bare 1.10 as a number and would lose the zero."""
    path = tmp_path / "versions.toml"
    path.write_text("[jaeger]\nversion = 1.10\n")

    with pytest.raises(VersionsError, match=r"versions.toml: \[jaeger\] version must be a string"):
        read_versions(path)


@pytest.mark.parametrize(("text", "complaint"), [("a = 1", r"\[a\] must be a table"), ("[", "Invalid")])
def test_a_broken_versions_file_says_so(tmp_path: Path, text: str, complaint: str) -> None:
    """The error starts with the file's name, whatever is wrong in it."""
    path = tmp_path / "versions.toml"
    path.write_text(text)

    with pytest.raises(VersionsError, match=f"versions.toml: .*{complaint}"):
        read_versions(path)


def test_the_collectors_modules_have_the_version_of_the_versions_file() -> None:
    """A release of the collector is one set of modules: none may stay behind."""
    version = read_versions()["collector"]["version"]
    lines = (HERE / "builder.yaml").read_text().splitlines()

    assert f"  version: {version}" in lines
    modules = [line for line in lines if "gomod:" in line]
    assert modules
    assert all(line.endswith(f" v{version}") for line in modules)


def test_jaegers_wrapper_requires_the_version_of_the_versions_file() -> None:
    """The wrapper module is the one place where Jaeger's version stands a second time."""
    version = read_versions()["jaeger"]["version"]

    assert f"github.com/jaegertracing/jaeger v{version} " in (HERE / "jaeger/go.mod").read_text()


def test_the_cache_is_where_the_environment_says() -> None:
    """Ours first, then the user's cache folder, then its usual place."""
    chosen = {"OLLAMETER_CACHE": "/chosen", "XDG_CACHE_HOME": "/xdg"}

    assert cache_folder(chosen) == Path("/chosen")
    assert cache_folder({"XDG_CACHE_HOME": "/xdg"}) == Path("/xdg/ollameter")
    assert cache_folder({}) == Path.home() / ".cache" / "ollameter"


def test_another_processor_is_another_entry(tmp_path: Path) -> None:
    """Ollama is compiled for the processor at hand: on a lesser one it would crash."""
    here, there = (recipe(build_a_file, inputs=(flags,)) for flags in ("sse avx", "sse"))

    assert entry(here, tmp_path).key != entry(there, tmp_path).key
    assert entry(here, tmp_path).key.startswith("thing-1.0-")


def test_the_order_of_processor_flags_does_not_matter(tmp_path: Path) -> None:
    """Kernels list the same flags in different orders."""
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nflags\t\t: sse fpu avx\n")

    assert cpu_flags(cpuinfo) == "avx fpu sse"
    assert cpu_flags(tmp_path / "absent")


def test_what_is_built_is_kept_and_not_built_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second call finds the first one's result, and each prints one line."""
    first = install(recipe(build_a_file), tmp_path)
    second = install(recipe(never_build), tmp_path)

    assert first == second
    assert (first / "made").read_text() == "whole"
    built, cached = capsys.readouterr().out.splitlines()
    assert built.startswith("thing 1.0: built in ")
    assert cached.startswith("thing 1.0: cached in ")


def test_a_failed_build_leaves_no_entry_and_shows_the_commands_end(tmp_path: Path) -> None:
    """Half a prefix never counts; the last 40 lines of the failing command tell why."""
    failing = recipe(build_in_vain)

    with pytest.raises(BuildError) as caught:
        install(failing, tmp_path)

    assert str(caught.value).splitlines() == [
        "sh -c 'seq 1 50; exit 3': exit code 3",
        *(str(number) for number in range(11, 51)),
    ]
    assert not entry(failing, tmp_path).is_complete
    assert {path.suffix for path in tmp_path.iterdir()} == {".lock", ".log"}


def test_an_interrupted_build_leaves_no_entry(tmp_path: Path) -> None:
    """Ctrl-C goes through, after the unfinished folder is gone."""

    def interrupted(bench: Bench) -> None:
        build_a_file(bench)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        install(recipe(interrupted), tmp_path)

    assert {path.suffix for path in tmp_path.iterdir()} == {".lock", ".log"}


KILLED_WHILE_BUILDING = """
import os, signal, sys
from pathlib import Path
from tests.stack.install import install
from tests.stack.test_install import build_a_file, recipe

def killed(bench):
    build_a_file(bench)
    (bench.prefix / "left-over").touch()
    os.kill(os.getpid(), signal.SIGKILL)

install(recipe(killed), Path(sys.argv[1]))
"""


def test_a_killed_build_is_started_afresh(tmp_path: Path) -> None:
    """What a killed process left behind is neither an entry nor a lock nor part of the next."""
    root = HERE.parents[1]
    dead = subprocess.run(
        [sys.executable, "-c", KILLED_WHILE_BUILDING, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(root)},
        check=False,
    )
    assert dead.returncode == -9
    assert not entry(recipe(build_a_file), tmp_path).is_complete

    prefix = install(recipe(build_a_file), tmp_path)

    assert [path.name for path in prefix.iterdir()] == ["made"]


def test_two_at_once_build_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Who comes second waits for the lock and finds the thing built."""
    is_building, may_finish = threading.Event(), threading.Event()

    def slowly(bench: Bench) -> None:
        is_building.set()
        assert may_finish.wait(10)
        build_a_file(bench)

    first = threading.Thread(target=install, args=(recipe(slowly), tmp_path))
    second = threading.Thread(target=install, args=(recipe(never_build), tmp_path))
    first.start()
    assert is_building.wait(10)
    second.start()
    may_finish.set()
    first.join(10)
    second.join(10)

    assert entry(recipe(build_a_file), tmp_path).is_complete
    second_said, first_said = sorted(capsys.readouterr().out.splitlines())
    assert first_said.startswith("thing 1.0: built in ")
    assert second_said.startswith("thing 1.0: built by another process in ")


def test_a_missing_tool_is_named_before_anything_is_done(tmp_path: Path) -> None:
    """Minutes of downloads must not precede the news that there is no compiler."""
    needy = recipe(never_build, tools=("sh", "no-such-compiler|nor-this-one"))

    with pytest.raises(BuildError, match=r"needs no-such-compiler\|nor-this-one: not on PATH"):
        install(needy, tmp_path)


def test_the_command_fails_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A failing build ends the command with status 1; what was asked for after it is not tried."""
    known = {"thing": recipe(build_in_vain), "other": recipe(never_build, name="other")}
    monkeypatch.setattr(installer, "recipes", lambda: known)
    monkeypatch.setenv("OLLAMETER_CACHE", str(tmp_path))

    assert installer.main(["thing", "other"]) == 1

    said = capsys.readouterr().out.splitlines()
    assert said[0] == "thing 1.0: failed: sh -c 'seq 1 50; exit 3': exit code 3"
    assert len(said) == 41
