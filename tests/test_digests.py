"""Files that are compared with their digests: as they are read, once a process, and again after damage."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ragbot import digests
from ragbot.digests import Files, digest_of
from ragbot.errors import IndexBrokenError

NAMES = ("a/one", "a/two", "three")


@pytest.fixture
def files(tmp_path: Path) -> Files:
    (tmp_path / "a").mkdir()
    for name in NAMES:
        (tmp_path / name).write_bytes(name.encode() * 100)
    return Files(tmp_path, {name: digest_of(name.encode() * 100) for name in NAMES})


def flip(path: Path) -> None:
    """Changes a bit as a disk does: nothing else of the file tells of it."""
    stat = path.stat()
    data = bytearray(path.read_bytes())
    data[7] ^= 8
    path.write_bytes(data)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_sound_files_are_read_and_copied(files: Files, tmp_path: Path) -> None:
    assert files.read("three").tobytes() == b"three" * 100
    assert files.find_damage(NAMES) == ()
    files.copy(NAMES, tmp_path / "copy")
    assert Files(tmp_path / "copy", files.digests).find_damage(NAMES) == ()


def test_what_is_damaged_is_named_and_never_read_or_copied(files: Files, tmp_path: Path) -> None:
    (tmp_path / "a/one").unlink()
    flip(tmp_path / "three")
    (tmp_path / "unknown").touch()
    assert files.find_damage([*NAMES, "unknown"]) == ("a/one", "three", "unknown")
    for name in ("a/one", "three", "unknown"):
        with pytest.raises(IndexBrokenError, match=f"{name!r} (cannot be read|is not what was written).*ragbot index"):
            files.read(name)
        with pytest.raises(IndexBrokenError):
            files.copy([name], tmp_path / "copy")


def test_a_file_is_looked_through_once_and_again_where_reading_finds_it_damaged(files: Files, tmp_path: Path) -> None:
    assert files.find_damage(["three"]) == ()
    flip(tmp_path / "three")
    assert files.find_damage(["three"]) == (), "nothing tells that it changed"
    with pytest.raises(IndexBrokenError):
        files.read("three")
    assert files.find_damage(["three"]) == ("three",)


def test_what_is_shared_may_be_trusted(files: Files, tmp_path: Path) -> None:
    os.link(tmp_path / "three", tmp_path / "shared")
    flip(tmp_path / "three")
    flip(tmp_path / "a/one")
    assert files.find_damage(NAMES, trust_shared=True) == ("a/one",)


def test_only_so_many_files_are_remembered(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digests, "_MOST_REMEMBERED", 2)
    monkeypatch.setattr(digests, "_WHOLE", remembered := {})
    assert files.find_damage(NAMES) == ()
    assert len(remembered) <= 2
