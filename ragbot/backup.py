"""Everything that people made, written to one file: sources, drafts, history, counts, settings, and, if wanted, the index.

The file is a plain ``tar.gz`` with a manifest of sha256 digests at its end, so that it can be checked, and read without ragbot. It is
written piece by piece, and may be larger than the memory. ragbot.restoring reads it.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import sqlite3
import tarfile
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from ragbot import generations
from ragbot.curating.desk import HISTORY, WAIT_SECONDS
from ragbot.curating.missing import FOLDER
from ragbot.errors import BackupError
from ragbot.locking import acquire_lock
from ragbot.settings import CONFIG_NAME, Settings

_log = logging.getLogger("ragbot")
MANIFEST = "ragbot-backup.json"
VERSION = 1
# Which backups were made here: it means nothing on another machine.
REGISTER = "backups.jsonl"
_LEFT_OUT = {".lock", "LOCK", ".DS_Store", REGISTER}
# What SQLite keeps beside a database; the snapshot of the database holds it already.
_BESIDE_DATABASES = tuple(f".{kind}-{beside}" for kind in ("sqlite", "sqlite3") for beside in ("journal", "wal", "shm"))


@dataclass(frozen=True, slots=True)
class BackupReport:
    """How many files a backup holds, and the sha256 of its manifest of sources: equal manifests, equal sources."""

    files: int
    sources_digest: str
    with_index: bool


def write_backup(settings: Settings, path: Path, *, config: Path | None = None, with_index: bool = False) -> BackupReport:
    """Writes a backup, which only its owner may read; an earlier file of that name stays until the new one is whole.

    Args:
        config: the settings file in force; ./ragbot.toml where None and there is one.
        with_index: takes the current generation along, so that a machine without time to build has one.

    Raises:
        BackupError: it cannot be written, or something cannot be read.
        IndexMissingError: the index was asked for and there is none.
    """
    if not settings.sources.is_dir():
        raise BackupError(f"There is no folder of sources {str(settings.sources)!r}.", "Name it with --sources DIR or RAGBOT_SOURCES.")
    if not path.name or os.path.isdir(path):  # noqa: PTH112 — Path.is_dir raises where a name is too long
        raise BackupError(f"{str(path)!r} is a folder.", "Name the file to write.")
    if path.resolve().is_relative_to(settings.sources.resolve()):
        raise BackupError(f"The backup {str(path)!r} would lie in the folder of sources, and each backup in the next one.", "Name another place.")
    generation = generations.current_generation(settings.index) if with_index else None
    beside = path.with_name(f".{path.name[-200:]}.{uuid.uuid4().hex[:8]}")
    try:
        # Settings hold password hashes, counts may hold kept questions.
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            with tarfile.open(fileobj=file, mode="w:gz") as archive, tempfile.TemporaryDirectory(prefix="ragbot-") as folder:
                writing = _Writing(archive, Path(folder))
                writing.add_sources(settings.sources)
                chosen = config or Path(CONFIG_NAME)
                if chosen.is_file():
                    writing.add_file(CONFIG_NAME, chosen)
                if generation is not None:
                    writing.add_generation(generation)
                manifest = {"version": VERSION, "made": datetime.now(UTC).isoformat(timespec="seconds"), "files": writing.digests}
                writing.add(MANIFEST, io.BytesIO(data := json.dumps(manifest, indent=1).encode()), len(data))
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        _record(settings, path)
    except OSError as error:
        raise BackupError(f"The backup {str(path)!r} cannot be written: {error.strerror or error}.", "Make room, name another place, or try again.") from error
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
    digests = {name: digest for name, digest in writing.digests.items() if name != MANIFEST}
    return BackupReport(len(digests), digest_of_sources(digests), with_index)


def _record(settings: Settings, path: Path) -> None:
    """Remembers where a backup lies, so that ``ragbot sources erase`` can look into it."""
    register = settings.sources / HISTORY / REGISTER
    try:
        register.parent.mkdir(exist_ok=True)
        with register.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"path": str(path.resolve()), "made": datetime.now(UTC).isoformat(timespec="seconds")}, ensure_ascii=False) + "\n")
    except OSError as error:
        _log.warning("the backup was written and not put on record: %s", error)


def recorded_backups(settings: Settings) -> list[Path]:
    """Where backups were written that hold these sources, each once; some may be gone."""
    try:
        lines = (settings.sources / HISTORY / REGISTER).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    found = []
    for line in lines:
        with suppress(ValueError, KeyError, TypeError):
            found.append(Path(json.loads(line)["path"]))
    return list(dict.fromkeys(found))


class _Writing:
    """A backup while it is written: the archive, a folder for snapshots of databases, the digests of what it holds already."""

    def __init__(self, archive: tarfile.TarFile, folder: Path) -> None:
        self._archive = archive
        self._folder = folder
        self.digests: dict[str, str] = {}

    def add_sources(self, sources: Path) -> None:
        """Adds what people may change while nobody can, and then what is kept under its digest and only ever added to."""
        kept = [(HISTORY, "versions"), (HISTORY, "originals")]
        with _undisturbed(sources):
            self._add_all(sources, [relative for relative in _files(sources) if relative.parts[:2] not in kept])
        self._add_all(sources, [relative for relative in _files(sources) if relative.parts[:2] in kept])

    def _add_all(self, sources: Path, files: list[Path]) -> None:
        for relative in files:
            database = relative.parts[0] == FOLDER and relative.suffix == ".sqlite"
            # Somebody may remove a file by hand meanwhile; then it is none of the sources any more.
            with suppress(FileNotFoundError):
                self.add_file(f"sources/{relative.as_posix()}", sources / relative, database=database)

    def add_generation(self, generation: Path) -> None:
        for relative in _files(generation):
            # A look at whether the disk can be written leaves hidden files there for a moment.
            if not relative.name.startswith("."):
                # Its database is never written again either, and is known by its digest.
                self.add_file(f"index/{generation.name}/{relative.as_posix()}", generation / relative)
        self.add("index/CURRENT", io.BytesIO(data := f"{generation.name}\n".encode()), len(data))

    def add_file(self, name: str, file: Path, *, database: bool = False) -> None:
        if database:
            _snapshot(file, copy := self._folder / uuid.uuid4().hex)
        with (copy if database else file).open("rb") as data:
            self.add(name, data, os.fstat(data.fileno()).st_size)
        if database:
            copy.unlink()

    def add(self, name: str, data: IO[bytes], size: int) -> None:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = size, 0o600
        hashing = _Hashing(data)
        self._archive.addfile(entry, hashing)  # type: ignore[arg-type]  # all it asks for is read()
        self.digests[name] = hashing.sha256.hexdigest()


class _Hashing:
    """Reads, and digests what was read."""

    def __init__(self, data: IO[bytes]) -> None:
        self._data = data
        self.sha256 = hashlib.sha256()

    def read(self, size: int) -> bytes:
        piece = self._data.read(size)
        self.sha256.update(piece)
        return piece


@contextmanager
def _undisturbed(sources: Path) -> Iterator[None]:
    """Holds the sources like an act at the desk does, so that the record and the articles are those of one moment."""
    history = sources / HISTORY
    if not history.is_dir() or not os.access(history, os.W_OK):
        # Nobody has ever acted here; or nobody can who is no more than this.
        yield
        return
    try:
        release = acquire_lock(history / ".lock", WAIT_SECONDS)
    except TimeoutError:
        raise BackupError("Somebody is changing the sources just now.", "Try again in a moment.") from None
    try:
        yield
    finally:
        release()


def _files(folder: Path) -> list[Path]:
    """The files below a folder, relative to it, by name; behind a link as well, where the history may lie on another disk.

    Raises:
        OSError: a folder cannot be listed.
    """

    def fail(error: OSError) -> None:
        raise error

    found: list[Path] = []
    seen: set[Path] = set()
    for parent, folders, names in os.walk(folder, onerror=fail, followlinks=True):
        here = Path(parent)
        if here.resolve() in seen:
            folders.clear()
            continue
        seen.add(here.resolve())
        wanted = [name for name in names if name not in _LEFT_OUT and not name.endswith(_BESIDE_DATABASES)]
        found += [(here / name).relative_to(folder) for name in wanted if (here / name).is_file()]
    return sorted(found)


def _snapshot(database: Path, copy: Path) -> None:
    """A database as one whole moment, also while somebody writes it."""
    try:
        with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
    except sqlite3.Error as error:
        raise BackupError(f"The database {str(database)!r} cannot be read: {error}.", "Mend it, or move it away.") from error


def digest_of_sources(digests: dict[str, str]) -> str:
    """One digest of all sources: of their names and digests, in order."""
    lines = [f"{name} {digest}" for name, digest in sorted(digests.items()) if name.startswith("sources/")]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
