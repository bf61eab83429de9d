"""index/ as a row of generations: each is built beside the others, and one small file says which is current.

::

    index/CURRENT            the name of the generation that is served
    index/LOCK               held while somebody builds
    index/gen-000007/        never written again once CURRENT names it

A reader sees the old generation or the new one, whole. A build that was killed leaves a folder that no CURRENT names; the next
build sweeps it away.
"""

from __future__ import annotations

import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ragbot.errors import IndexBusyError, IndexMissingError, StoreError
from ragbot.locking import acquire_lock

KEPT = 2
_NAME = re.compile(r"gen-(\d{6,})\Z")


def current_generation(index: Path) -> Path:
    """The folder of the current generation.

    Raises:
        IndexMissingError: nothing was built yet, or CURRENT names a folder that is gone.
    """
    try:
        name = (index / "CURRENT").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        raise IndexMissingError(f"There is no index in {str(index)!r} yet.", "Build it with: ragbot index") from None
    folder = index / name
    if not _NAME.match(name) or not folder.is_dir():
        raise IndexMissingError(f"The index in {str(index)!r} names {name!r}, which is not there.", "Build it anew with: ragbot index --rebuild")
    return folder


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


def switch_to(index: Path, built: Path) -> Path:
    """Makes a finished folder the current generation, durably, and forgets all but the newest two.

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
    draft = index / f"CURRENT.{uuid.uuid4().hex[:8]}"
    draft.write_text(target.name + "\n", encoding="ascii")
    _sync(draft)
    draft.replace(index / "CURRENT")
    _sync(index)
    for old in list_generations(index)[KEPT:]:
        shutil.rmtree(old, ignore_errors=True)
    for leftover in index.glob("CURRENT.*"):
        leftover.unlink(missing_ok=True)
    return target


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
