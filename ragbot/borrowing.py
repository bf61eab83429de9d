"""Folders of this process alone in the folder for temporary files; those of processes that were killed are swept away by the next one."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from ragbot.locking import acquire_lock

PREFIX = "ragbot-index-"
_LOCK = "LOCK"
# A folder is locked a moment after it is made.
_YOUNG_SECONDS = 60


def borrow_folder() -> tuple[Path, Callable[[], None]]:
    """An empty folder, and what gives it back.

    Raises:
        OSError: none can be made.
    """
    sweep_folders()
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    release = acquire_lock(folder / _LOCK)

    def give_back() -> None:
        release()
        shutil.rmtree(folder, ignore_errors=True)

    return folder, give_back


def sweep_folders() -> list[Path]:
    """Removes the folders whose process is gone; those that are in use stay, and are given."""
    in_use: list[Path] = []
    try:
        folders = list(Path(tempfile.gettempdir()).glob(f"{PREFIX}*"))
    except OSError:
        return in_use
    for folder in folders:
        with suppress(OSError):
            # Others may put anything there.
            if folder.is_symlink() or (hasattr(os, "getuid") and folder.stat().st_uid != os.getuid()):
                continue
            if time.time() - folder.stat().st_mtime < _YOUNG_SECONDS:
                in_use.append(folder)
                continue
            try:
                acquire_lock(folder / _LOCK)()
            except TimeoutError:
                in_use.append(folder)
            else:
                shutil.rmtree(folder, ignore_errors=True)
    return in_use
