"""Archives that are damaged, foreign or hostile are refused before anything is written, and in bounded memory."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import shutil
import tarfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ragbot.backup import MANIFEST, write_backup
from ragbot.curating import Desk
from ragbot.errors import BackupError
from ragbot.restoring import restore_backup
from ragbot.settings import Settings

MakeSettings = Callable[..., Settings]


@pytest.fixture
def saved(settings: MakeSettings, copied_library: Path, tmp_path: Path) -> Path:
    desk = Desk(settings(sources=copied_library))
    desk.retire("coffee-grounds", "Ada")
    write_backup(settings(sources=copied_library), tmp_path / "backup.tar.gz", config=tmp_path / "none.toml")
    return tmp_path / "backup.tar.gz"


@pytest.fixture
def empty(settings: MakeSettings, tmp_path: Path) -> Settings:
    return settings(sources=tmp_path / "new" / "sources", index=tmp_path / "new" / "index")


def archive_of(path: Path, contents: dict[str, bytes], *, change: Callable[[tarfile.TarInfo], Any] = lambda entry: None, **manifest: Any) -> Path:
    """An archive whose manifest is in order, whatever else it holds."""
    values = {"version": 1, "files": {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}} | manifest
    with tarfile.open(path, "w:gz") as archive:
        for name, data in {MANIFEST: json.dumps(values).encode(), **contents}.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            if name != MANIFEST:
                change(entry)
            archive.addfile(entry, io.BytesIO(data))
    return path


def refused(path: Path, empty: Settings, match: str = "backup") -> None:
    with pytest.raises(BackupError, match=match):
        restore_backup(empty, path, config=empty.sources.parent / "ragbot.toml")
    assert not empty.sources.parent.exists(), "something was written before it was refused"


@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_cut_backup_is_refused(kept: float, saved: Path, empty: Settings) -> None:
    data = saved.read_bytes()
    saved.write_bytes(data[: min(int(len(data) * kept), len(data) - 1)])
    refused(saved, empty)


def test_a_flipped_bit_is_refused_wherever_it_is(saved: Path, empty: Settings) -> None:
    data = saved.read_bytes()
    # The first 30 bytes are gzip's own head: the time and the name of the file, which nobody reads.
    for place in range(30, len(data), len(data) // 150):
        saved.write_bytes(data[:place] + bytes([data[place] ^ (1 << place % 8)]) + data[place + 1 :])
        refused(saved, empty)
    saved.write_bytes(data)
    assert restore_backup(empty, saved).files


@pytest.mark.parametrize(
    "name", ["../evil", "sources/../../evil", "/etc/evil", "sources", "sources/./x.md", "sources//x.md", "evil", "index/../../x", "sources/a\0b"]
)
def test_names_that_lead_elsewhere_are_refused(name: str, empty: Settings, tmp_path: Path) -> None:
    refused(archive_of(tmp_path / "evil.tar.gz", {"sources/x.md": b"words", name: b"evil"}), empty)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE, tarfile.CONTTYPE])
def test_what_is_no_plain_file_is_refused(kind: bytes, empty: Settings, tmp_path: Path) -> None:
    def change(entry: tarfile.TarInfo) -> None:
        entry.type, entry.linkname = kind, "/etc/passwd"

    refused(archive_of(tmp_path / "evil.tar.gz", {"sources/x.md": b""}, change=change), empty, "no plain file")


@pytest.mark.parametrize(
    "manifest",
    [{"version": 2}, {"version": None}, {"files": {}}, {"files": []}, {"files": "words"}, {"files": None}, {"files": {"sources/x.md": "0" * 64}}],
    ids=str,
)
def test_a_manifest_that_does_not_fit_is_refused(manifest: dict[str, Any], empty: Settings, tmp_path: Path) -> None:
    refused(archive_of(tmp_path / "other.tar.gz", {"sources/x.md": b"words"}, **manifest), empty)


@pytest.mark.parametrize(
    "data", [b"", b"words", gzip.compress(b""), gzip.compress(b"words" * 1000), gzip.compress(bytes(10**6)), b"PK\3\4" + bytes(600)], ids=range(6)
)
def test_what_is_no_backup_is_refused(data: bytes, empty: Settings, tmp_path: Path) -> None:
    (tmp_path / "foreign.tar.gz").write_bytes(data)
    refused(tmp_path / "foreign.tar.gz", empty, "cannot be read")
    refused(tmp_path / "nowhere.tar.gz", empty, "No such file")


def test_a_file_in_twice_is_refused(empty: Settings, tmp_path: Path) -> None:
    path = archive_of(tmp_path / "twice.tar.gz", {"sources/x.md": b"one", "sources/y.md": b"two"}, change=lambda entry: setattr(entry, "name", "sources/x.md"))
    refused(path, empty)


def test_memory_is_bounded_and_what_has_no_room_is_refused(
    saved: Path, copied_library: Path, empty: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large original goes through in pieces; so does a bomb, and a header that claims more than it may."""
    with (copied_library / "history" / "large.pdf").open("wb") as file:
        file.truncate(60_000_000)
    tracemalloc.start()
    try:
        write_backup(empty.model_copy(update={"sources": copied_library}), tmp_path / "large.tar.gz")
        restore_backup(empty, tmp_path / "large.tar.gz", config=tmp_path / "none.toml")
        shutil.rmtree(empty.sources.parent)
        long_name = archive_of(
            tmp_path / "name.tar.gz", {"sources/x.md": b""}, change=lambda entry: setattr(entry, "pax_headers", {"comment": "0" * 50_000_000})
        )
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        refused(long_name, empty)
        monkeypatch.setattr("ragbot.restoring.shutil.disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 0, 50_000_000))  # type: ignore[attr-defined]
        refused(tmp_path / "large.tar.gz", empty, "no room")
        assert tracemalloc.get_traced_memory()[1] - before < 12_000_000
    finally:
        tracemalloc.stop()
