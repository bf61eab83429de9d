"""A backup → the folders it was made of. Everything is checked before the first file is written; it is read piece by piece."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from ragbot.backup import MANIFEST, VERSION, BackupReport, digest_of_sources
from ragbot.errors import BackupError
from ragbot.settings import CONFIG_NAME, Settings

MOST_FILES = 1_000_000
MOST_MANIFEST_BYTES = 200_000_000
_PIECE = 1 << 20
_DAMAGED = "It is damaged, or was not made by ragbot backup."


def restore_backup(settings: Settings, path: Path, *, config: Path | None = None) -> BackupReport:
    """Restores a backup into folders that are empty or not there; nothing that exists is overwritten.

    Everything is checked before the first file is written, and where one cannot be written, those before it are taken away again.

    Raises:
        BackupError: it is damaged or no backup, the folders hold something already, or there is no room for it.
    """
    taken = [folder for folder in (settings.sources, settings.index) if folder.is_dir() and any(one.name != ".gitkeep" for one in folder.iterdir())]
    if taken:
        raise BackupError(f"The folder {str(taken[0])!r} is not empty.", "Name empty folders with --sources and --index, or move what is there away.")
    chosen = config or Path(CONFIG_NAME)
    places = {"sources": settings.sources, "index": settings.index, CONFIG_NAME: chosen.parent}
    digests = _check(path, {top: _room(place) for top, place in places.items()})
    # A new machine's own settings go first; the old ones lie beside.
    names = [chosen.name, f"{chosen.name}.restored", *(f"{chosen.name}.restored-{number}" for number in range(2, 1000))]
    config_target = next(target for name in names if not (target := chosen.with_name(name)).exists() and not target.is_symlink())
    written: list[Path] = []
    try:
        for entry, pieces in read_entries(path):
            if entry.name != MANIFEST:
                top, *rest = PurePosixPath(entry.name).parts
                target = config_target if entry.name == CONFIG_NAME else places[top].joinpath(*rest)
                if not (target.name == ".gitkeep" and target.exists()):
                    _write(target, pieces, digests.get(entry.name), 0o600 if target == config_target else 0o666, written)
    except BaseException as error:
        _take_away(written, (settings.sources, settings.index))
        if isinstance(error, OSError):
            hint = "Make room on the disk, empty the folders and try again."
            raise BackupError(f"The backup cannot be restored: {error.strerror or error}.", hint) from error
        raise
    return BackupReport(len(digests), digest_of_sources(digests), "index/CURRENT" in digests)


def _write(target: Path, pieces: Iterator[bytes], digest: str | None, mode: int, written: list[Path]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    sha256 = hashlib.sha256()
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        written.append(target)
        for piece in pieces:
            sha256.update(piece)
            file.write(piece)
    if sha256.hexdigest() != digest:
        raise BackupError("The backup was changed while it was restored.", "Take another one.")


def _take_away(written: list[Path], folders: Sequence[Path]) -> None:
    """Removes what was restored; the folders were empty before."""
    for file in written:
        with suppress(OSError):
            file.unlink(missing_ok=True)
    for made in (one for folder in folders for one in sorted(folder.rglob("*"), reverse=True)):
        with suppress(OSError):
            made.rmdir()


def _check(path: Path, room: dict[str, int]) -> dict[str, str]:
    """The digests of what a backup holds, which are those that its manifest names.

    Args:
        room: how many bytes may be written, by the first part of the name.
    """
    found: dict[str, str] = {}
    manifest = b""
    for entry, pieces in read_entries(path):
        if entry.name == MANIFEST:
            if entry.size > MOST_MANIFEST_BYTES:
                raise BackupError(f"The backup {str(path)!r} cannot be read.", _DAMAGED)
            manifest = b"".join(pieces)
            continue
        if not _is_ours(entry.name) or entry.name in found or len(found) == MOST_FILES:
            raise BackupError(f"The backup holds {entry.name!r}, which does not belong there.", "It was not made by ragbot backup.")
        top = PurePosixPath(entry.name).parts[0]
        room[top] -= entry.size
        if room[top] < 0:
            raise BackupError(f"The disk has no room for what the backup {str(path)!r} holds.", "Make room, or name folders on another disk.")
        sha256 = hashlib.sha256()
        for piece in pieces:
            sha256.update(piece)
        found[entry.name] = sha256.hexdigest()
    try:
        values = json.loads(manifest)
        version, expected = values["version"], dict(values["files"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BackupError(f"The backup {str(path)!r} cannot be read.", _DAMAGED) from error
    if version != VERSION:
        raise BackupError("The backup was made by another version of ragbot.", "Restore it with that version.")
    wrong = sorted(name for name in {*found, *expected} if found.get(name) != expected.get(name))
    if wrong:
        raise BackupError(f"The backup is damaged: {wrong[0]!r} is not what it was.", "Take another one.")
    return found


def _is_ours(name: str) -> bool:
    """Whether a name is one that a backup gives, and leads into the folders that are restored."""
    parts = PurePosixPath(name).parts
    ours = name == CONFIG_NAME or (len(parts) > 1 and parts[0] in ("sources", "index"))
    elsewhere = os.sep == "\\" and ("\\" in name or ":" in name)
    return ours and name == "/".join(parts) and ".." not in parts and "\0" not in name and not elsewhere


def _room(place: Path) -> int:
    """How many bytes there is room for where a folder is, or will be made."""
    return shutil.disk_usage(next(parent for parent in (place.absolute(), *place.absolute().parents) if parent.is_dir())).free


class _Stream(gzip.GzipFile):
    """Unpacks no more than is ``allowed`` until more is allowed: a header may name any length, and tarfile takes it at its word."""

    allowed = _PIECE

    def read(self, size: int | None = -1) -> bytes:
        if size is None or not 0 <= size <= self.allowed:
            raise tarfile.ReadError("too long a header")
        self.allowed -= size
        return super().read(size)


def read_entries(path: Path) -> Iterator[tuple[tarfile.TarInfo, Iterator[bytes]]]:
    """The plain files of an archive, each with its bytes, which are to be read before the next one.

    Raises:
        BackupError: it holds anything else, or is damaged.
    """
    with _telling(path), _Stream(path) as stream, tarfile.open(fileobj=stream, mode="r:") as archive:
        while (entry := archive.next()) is not None:
            # tarfile remembers every entry otherwise.
            archive.members.clear()  # type: ignore[attr-defined]
            if entry.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or entry.sparse is not None or entry.size < 0:
                raise BackupError(f"The backup holds {entry.name!r}, which is no plain file.", "It was not made by ragbot backup.")
            yield entry, _pieces(path, stream, archive, entry)
            stream.allowed = _PIECE
        # The checksum of the whole stream stands at its very end; after the last entry there is only padding.
        stream.allowed = 2 * tarfile.RECORDSIZE
        if stream.read(tarfile.RECORDSIZE).strip(b"\0") or stream.read(1):
            raise tarfile.ReadError("something follows the end")


def _pieces(path: Path, stream: _Stream, archive: tarfile.TarFile, entry: tarfile.TarInfo) -> Iterator[bytes]:
    with _telling(path):
        file = archive.extractfile(entry)
        assert file is not None
        while True:
            stream.allowed = 2 * _PIECE
            if not (piece := file.read(_PIECE)):
                return
            yield piece


@contextmanager
def _telling(path: Path) -> Iterator[None]:
    """Turns whatever a damaged archive makes of its readers into a BackupError."""
    try:
        yield
    except (OSError, EOFError, tarfile.TarError, zlib.error, ValueError, RecursionError, OverflowError) as error:
        why = f": {error.strerror}" if isinstance(error, OSError) and error.strerror else ""
        raise BackupError(f"The backup {str(path)!r} cannot be read{why}.", _DAMAGED) from error
