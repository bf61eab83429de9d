"""Everything that people made, in one file: sources, drafts, history, counts, settings, and, if wanted, the index.

The file is a plain ``tar.gz`` with a manifest of sha256 digests in front, so that it can be checked, and read without ragbot.
"""

from __future__ import annotations

import hashlib
import io
import json
import sqlite3
import tarfile
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from ragbot import generations
from ragbot.curating.missing import FOLDER
from ragbot.errors import BackupError
from ragbot.settings import CONFIG_NAME, Settings

MANIFEST = "ragbot-backup.json"
VERSION = 1
_LEFT_OUT = {".lock", "LOCK", ".DS_Store"}


@dataclass(frozen=True, slots=True)
class BackupReport:
    """How many files a backup holds, and the sha256 of its manifest of sources: equal manifests, equal sources."""

    files: int
    sources_digest: str
    with_index: bool


def write_backup(settings: Settings, path: Path, *, config: Path | None = None, with_index: bool = False) -> BackupReport:
    """Writes a backup; an earlier file of that name stays until the new one is whole.

    Args:
        config: the settings file in force; ./ragbot.toml where None and there is one.
        with_index: takes the current generation along, so that a machine without time to build has one.

    Raises:
        BackupError: it cannot be written.
        IndexMissingError: the index was asked for and there is none.
    """
    contents: dict[str, bytes] = {}
    for file in sorted(settings.sources.rglob("*")):
        relative = file.relative_to(settings.sources)
        if not file.is_file() or file.name in _LEFT_OUT or file.is_symlink() or file.name.endswith(("-journal", "-wal", "-shm")):
            continue
        database = relative.parts[0] == FOLDER and file.suffix == ".sqlite"
        contents[f"sources/{relative.as_posix()}"] = _snapshot(file) if database else file.read_bytes()
    chosen = config or Path(CONFIG_NAME)
    if chosen.is_file():
        contents["ragbot.toml"] = chosen.read_bytes()
    if with_index:
        folder = generations.current_generation(settings.index)
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                contents[f"index/{folder.name}/{file.relative_to(folder).as_posix()}"] = file.read_bytes()
        contents["index/CURRENT"] = f"{folder.name}\n".encode()
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}
    manifest = {"version": VERSION, "made": datetime.now(UTC).isoformat(timespec="seconds"), "files": digests}
    beside = path.with_name(f".{path.name}.part")
    try:
        with tarfile.open(beside, "w:gz") as archive:
            for name, data in {MANIFEST: json.dumps(manifest, indent=1).encode(), **contents}.items():
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode = len(data), 0o644
                archive.addfile(entry, io.BytesIO(data))
        beside.replace(path)
    except OSError as error:
        raise BackupError(f"The backup {str(path)!r} cannot be written: {error.strerror or error}.", "Name another place.") from error
    finally:
        beside.unlink(missing_ok=True)
    return BackupReport(len(contents), _sources_digest(digests), with_index)


def restore_backup(settings: Settings, path: Path, *, config: Path | None = None) -> BackupReport:
    """Restores a backup into folders that are empty or not there; nothing that exists is overwritten.

    Everything is checked before the first file is written.

    Raises:
        BackupError: it is damaged or no backup, or the folders hold something already.
    """
    contents, with_index = _read(path)
    taken = [folder for folder in (settings.sources, settings.index) if folder.is_dir() and any(one.name != ".gitkeep" for one in folder.iterdir())]
    if taken:
        raise BackupError(f"The folder {str(taken[0])!r} is not empty.", "Name empty folders with --sources and --index, or move what is there away.")
    chosen = config or Path(CONFIG_NAME)
    try:
        for name, data in contents.items():
            top, *rest = PurePosixPath(name).parts
            target = chosen if name == "ragbot.toml" else (settings.sources if top == "sources" else settings.index).joinpath(*rest)
            if name == "ragbot.toml" and target.exists():
                # A new machine's own settings go first; the old ones lie beside.
                target = target.with_name(f"{target.name}.restored")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
    except OSError as error:
        raise BackupError(f"The backup cannot be restored: {error.strerror or error}.", "Make room on the disk, empty the folders and try again.") from error
    return BackupReport(len(contents), _sources_digest({name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}), with_index)


def _read(path: Path) -> tuple[dict[str, bytes], bool]:
    contents: dict[str, bytes] = {}
    try:
        with tarfile.open(path, "r:gz") as archive:
            for entry in archive:
                file = archive.extractfile(entry) if entry.isreg() else None
                if file is None:
                    raise BackupError(f"The backup holds {entry.name!r}, which is no plain file.", "It was not made by ragbot backup.")
                contents[entry.name] = file.read()
        manifest = json.loads(contents.pop(MANIFEST))
        expected: dict[str, str] = manifest["files"]
        version = manifest["version"]
    except (OSError, tarfile.TarError, EOFError, KeyError, ValueError, TypeError) as error:
        raise BackupError(f"The backup {str(path)!r} cannot be read.", "It is damaged, or was not made by ragbot backup.") from error
    if version != VERSION:
        raise BackupError("The backup was made by another version of ragbot.", "Restore it with that version.")
    for name in {*contents, *expected}:
        parts = PurePosixPath(name).parts
        outside = PurePosixPath(name).is_absolute() or ".." in parts or "\\" in name or not (name == "ragbot.toml" or parts[0] in ("sources", "index"))
        if outside or name not in contents or hashlib.sha256(contents[name]).hexdigest() != expected.get(name):
            raise BackupError(f"The backup is damaged: {name!r} is not what it was.", "Take another one.")
    return contents, "index/CURRENT" in contents


def _sources_digest(digests: dict[str, str]) -> str:
    """One digest of all sources: of their names and digests, in order."""
    lines = [f"{name} {digest}" for name, digest in sorted(digests.items()) if name.startswith("sources/")]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _snapshot(database: Path) -> bytes:
    """A database as one whole moment, also while somebody writes it."""
    with tempfile.TemporaryDirectory(prefix="ragbot-") as folder:
        copy = Path(folder) / "copy.sqlite"
        source, target = sqlite3.connect(database), sqlite3.connect(copy)
        try:
            source.backup(target)
        finally:
            source.close()
            target.close()
        return copy.read_bytes()
