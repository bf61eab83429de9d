"""index/ as a row of generations: each is built beside the others, and one small file says which is current.

::

    index/CURRENT            the name of the generation that is served, and the beginning of its sha256
    index/LOCK               held while somebody builds
    index/gen-000007/        never written again once CURRENT names it

A reader sees the old generation or the new one, whole. A build that was killed leaves a folder that no CURRENT names; the next
build sweeps it away.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from ragbot.errors import IndexBusyError, IndexMissingError, StoreError
from ragbot.locking import acquire_lock

KEPT = 2
_NAME = re.compile(r"gen-(\d{6,})\Z")


def current_generation(index: Path) -> Path:
    """The folder of the current generation.

    Raises:
        IndexMissingError: nothing was built yet, or CURRENT is damaged, or names a folder that is gone.
    """
    try:
        name, *check = (index / "CURRENT").read_text(encoding="ascii").split()
    except (OSError, UnicodeDecodeError, ValueError):
        if list_generations(index):
            raise IndexMissingError(f"{str(index / 'CURRENT')!r} is missing or damaged.", "Write it again with: ragbot index") from None
        raise IndexMissingError(f"There is no index in {str(index)!r} yet.", "Build it with: ragbot index") from None
    folder = index / name
    # A person may write the bare name.
    if not _NAME.match(name) or check not in ([], [_check(name)]) or not folder.is_dir():
        raise IndexMissingError(f"{str(index / 'CURRENT')!r} names {name!r}, which is not there.", "Write it again with: ragbot index")
    return folder


def list_candidates(index: Path) -> tuple[list[Path], str | None]:
    """The folders that may be served, the current one first and then the newest, and what is wrong with CURRENT, if anything is.

    Raises:
        IndexMissingError: there is no generation at all.
    """
    folders = list_generations(index)
    try:
        current = current_generation(index)
    except IndexMissingError as error:
        if not folders:
            raise
        return folders, str(error)
    return [current, *(folder for folder in folders if folder != current)], None


def _check(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:16]


def list_generations(index: Path) -> list[Path]:
    """The folders of all generations, the newest first, whether current or not."""
    if not index.is_dir():
        return []
    found = [(int(match.group(1)), path) for path in index.iterdir() if (match := _NAME.match(path.name)) and path.is_dir()]
    return [path for _, path in sorted(found, reverse=True)]


@contextmanager
def writing(index: Path) -> Iterator[None]:
    """Holds the index for writing.

    Raises:
        IndexBusyError: somebody else holds it.
        StoreError: the folder cannot be written.
    """
    try:
        index.mkdir(parents=True, exist_ok=True)
        # filelock answers a folder that cannot be written by waiting for ever, so it is asked first.
        probe = index / f".probe-{uuid.uuid4().hex}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise StoreError(
            f"The index folder {str(index)!r} cannot be written: {error.strerror}.", "Make it writable or name another with --index DIR."
        ) from error
    try:
        release = acquire_lock(index / "LOCK")
    except TimeoutError:
        raise IndexBusyError(f"The index in {str(index)!r} is being written by another process.", "Wait until it is done and try again.") from None
    try:
        yield
    finally:
        release()


def begin_generation(index: Path) -> Path:
    """A new empty folder, not yet named like a generation; leftovers of killed builds are swept away. Only while ``writing``."""
    for leftover in index.glob("building-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    folder = index / f"building-{uuid.uuid4().hex[:8]}"
    folder.mkdir()
    return folder


def switch_to(index: Path, built: Path, *, broken: Collection[Path] = ()) -> Path:
    """Makes a finished folder the current generation, durably, and forgets all but the newest two of those that are not broken.

    Everything is on the disk before CURRENT names it, and CURRENT is replaced in one step.
    """
    # Counted before the sweep: a number that was ever seen is not given again.
    newest = next(iter(list_generations(index)), None)
    _sweep_unnamed(index)
    number = int(newest.name.split("-")[1]) + 1 if newest else 1
    for path in sorted(built.rglob("*")):
        # A file that another generation shares was brought to the disk with that one.
        if path.is_dir() or path.stat().st_nlink == 1:
            _sync(path)
    _sync(built)
    target = index / f"gen-{number:06d}"
    built.rename(target)
    name_current(index, target)
    sound = [folder for folder in list_generations(index) if folder not in broken]
    for old in [*broken, *sound[KEPT:]]:
        shutil.rmtree(old, ignore_errors=True)
    for leftover in index.glob("CURRENT.*"):
        leftover.unlink(missing_ok=True)
    return target


def name_current(index: Path, folder: Path) -> None:
    """Lets CURRENT name a generation, durably. Only while ``writing``."""
    draft = index / f"CURRENT.{uuid.uuid4().hex[:8]}"
    draft.write_text(f"{folder.name} {_check(folder.name)}\n", encoding="ascii")
    _sync(draft)
    draft.replace(index / "CURRENT")
    _sync(index)


def forget_all_but_current(index: Path) -> list[Path]:
    """Removes all other generations and what killed builds left; what was removed. Only while ``writing``."""
    current = current_generation(index)
    others = [*(folder for folder in list_generations(index) if folder != current), *index.glob("building-*")]
    for folder in others:
        shutil.rmtree(folder)
    return others


def _sweep_unnamed(index: Path) -> None:
    """Removes generations newer than the current one: their builder was killed before CURRENT named them."""
    try:
        current = current_generation(index).name
    except IndexMissingError:
        return
    for folder in list_generations(index):
        if folder.name > current:
            shutil.rmtree(folder, ignore_errors=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
