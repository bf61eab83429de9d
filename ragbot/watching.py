"""Follows the folder of sources: files dropped, changed or removed by hand are picked up without being asked. The only file that knows watchfiles."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

import watchfiles

from ragbot.reading import READERS

_log = logging.getLogger("ragbot")
# A copy of many files is one change: what comes within this time after the one before is taken together, so that a file that is
# still being written is not read; but a folder that is never still is not waited for without end.
SETTLING_MILLISECONDS = 800
LONGEST_MILLISECONDS = 10_000
# The folder itself may be put in another one's place, as a restored backup is; nothing tells of that.
LOOK_MILLISECONDS = 2000


def watch_sources(folder: Path, changed: Callable[[], None], stop: threading.Event) -> threading.Thread:
    """Calls ``changed`` from a thread of its own, after each change of an article's file, until ``stop`` is set; the thread."""

    def work() -> None:
        missed = told = False
        while not stop.is_set():
            try:
                _follow(folder, changed, stop, missed)
                told = False
            except (OSError, RuntimeError) as error:
                # The folder is not there just now, or the system has no watch left to give.
                if not told:
                    _log.error("the folder of sources cannot be followed: %s", error)
                told = True
                stop.wait(LOOK_MILLISECONDS / 1000)
            missed = True

    thread = threading.Thread(target=work, name="watch-sources", daemon=True)
    thread.start()
    return thread


def _follow(folder: Path, changed: Callable[[], None], stop: threading.Event, missed: bool) -> None:
    """Calls ``changed`` after each change until ``stop`` is set, or another folder has taken the place of this one.

    Args:
        missed: there may have been changes while nobody looked.

    Raises:
        OSError, RuntimeError: the folder cannot be followed.
    """
    watched, before = folder.resolve(), folder.stat()

    def is_article(_: watchfiles.Change, path: str) -> bool:
        file = Path(path)
        return file.parent == watched and file.suffix.lower() in READERS and not file.name.startswith(".") and file.name != "README.md"

    following = watchfiles.watch(
        watched,
        watch_filter=is_article,
        step=SETTLING_MILLISECONDS,
        debounce=LONGEST_MILLISECONDS,
        rust_timeout=LOOK_MILLISECONDS,
        yield_on_timeout=True,
        stop_event=stop,
        recursive=False,
    )
    for changes in following:
        if changes or missed:
            changed()
            missed = False
        now = folder.stat()
        if (now.st_dev, now.st_ino) != (before.st_dev, before.st_ino):
            return
