"""Reading small files: whole, again and again, or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ollameter.host.proc import KeptFile, close_kept_files, read_proc

LONG = b"0123456789abcdef" * 10_000


def test_a_long_file_is_read_to_its_end(tmp_path: Path) -> None:
    """As the connections of a busy machine are."""
    (tmp_path / "tcp").write_bytes(LONG)

    assert read_proc(str(tmp_path / "tcp")) == LONG
    assert KeptFile(str(tmp_path / "tcp")).read() == LONG


@pytest.mark.parametrize("name", ["absent", "."])
def test_what_cannot_be_read_is_none(tmp_path: Path, name: str) -> None:
    """Missing, or refused once it is open: a folder does that."""
    before = len(os.listdir("/proc/self/fd"))

    assert read_proc(str(tmp_path / name)) is None
    assert KeptFile(str(tmp_path / name)).read() is None
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_kept_file_is_opened_once_and_says_what_is_new(tmp_path: Path) -> None:
    """Closing it is not the end of it."""
    path = tmp_path / "stat"
    path.write_bytes(b"one")
    file = KeptFile(str(path))
    first, descriptor = file.read(), file._descriptor
    path.write_bytes(b"another")
    second = file.read()
    kept = file._descriptor
    close_kept_files()

    assert (first, second, file.read()) == (b"one", b"another", b"another")
    assert kept == descriptor
    file.close()
    file.close()
