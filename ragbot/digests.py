"""The files of a generation, each known by its sha256 and compared with it before anything in it counts.

A file that is read is compared as it is read. One that is read later is looked through once a process, when the generation is opened, so
that damage is told before a question meets it, and compared again when it is read.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ragbot.errors import IndexBrokenError

# hashlib lets go of the interpreter, so that files are looked through side by side.
_THREADS = min(4, os.cpu_count() or 1)
# Which files were whole when they were last looked through: two generations may share them (hard links), and a server that goes over to
# a new one must not look through gigabytes that did not change.
_WHOLE: dict[tuple[int, int, int, int], str] = {}
_MOST_REMEMBERED = 100_000


def broken(folder: Path, why: str) -> IndexBrokenError:
    """The error that tells of a broken generation."""
    return IndexBrokenError(f"The index {folder.name!r} is broken: {why}.", "Mend it with: ragbot index")


def digest_of(data: bytes | memoryview) -> str:
    """The sha256 of bytes."""
    return hashlib.sha256(data).hexdigest()


class Files:
    """The files of one folder.

    Args:
        digests: the sha256 of each file by its path in the folder.
    """

    def __init__(self, folder: Path, digests: Mapping[str, str]) -> None:
        self.folder = folder
        self.digests = digests

    def __contains__(self, name: str) -> bool:
        return name in self.digests

    def read(self, name: str) -> NDArray[np.uint8]:
        """The bytes of a file, which are those that were written.

        Raises:
            IndexBrokenError: it cannot be read, or is not what was written.
        """
        try:
            data: NDArray[np.uint8] = np.fromfile(self.folder / name, dtype=np.uint8)
        except OSError as error:
            raise broken(self.folder, f"{name!r} cannot be read ({error.strerror or 'damaged'})") from error
        if digest_of(data.data) != self.digests.get(name):
            _forget(self.folder / name)
            raise broken(self.folder, f"{name!r} is not what was written")
        return data

    def copy(self, names: Iterable[str], folder: Path) -> None:
        """Copies files into another folder, under the same names.

        Raises:
            IndexBrokenError: one is not what was written.
            OSError: the other folder cannot be written.
        """
        for name in names:
            data = self.read(name)
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data.data)

    def find_damage(self, names: Iterable[str], *, trust_shared: bool = False) -> tuple[str, ...]:
        """Those of the files that are not what was written.

        Args:
            trust_shared: leaves out what another generation holds too (hard links), for whoever has just looked through that one.
        """
        wanted = sorted(names)
        with ThreadPoolExecutor(_THREADS) as threads:
            whole = threads.map(lambda name: self._is_whole(name, trust_shared), wanted)
            return tuple(name for name, sound in zip(wanted, whole, strict=True) if not sound)

    def _is_whole(self, name: str, trust_shared: bool) -> bool:
        path, digest = self.folder / name, self.digests.get(name)
        if digest is None:
            return False
        try:
            stat = path.stat()
            if trust_shared and stat.st_nlink > 1:
                return True
            key = _key(stat)
            if _WHOLE.get(key) == digest:
                return True
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            return False
        if found == digest:
            if len(_WHOLE) >= _MOST_REMEMBERED:
                _WHOLE.clear()
            _WHOLE[key] = found
        return found == digest


def _key(stat: os.stat_result) -> tuple[int, int, int, int]:
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns


def _forget(path: Path) -> None:
    try:
        _WHOLE.pop(_key(path.stat()), None)
    except OSError:
        return
