"""Follows the folder of sources: files dropped, changed or removed by hand are picked up without being asked. The only file that knows watchfiles."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

import watchfiles

from ragbot.reading import READERS

_log = logging.getLogger("ragbot")
# A copy of many files is one change: it is told of when nothing has come for this long, so that a file that is still being
# written is not read; but a folder that is never still is not waited for without end.
SETTLING_MILLISECONDS = 800
LONGEST_MILLISECONDS = 10_000


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
                stop.wait(SETTLING_MILLISECONDS / 1000)
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

    def is_article(path: str) -> bool:
        file = Path(path)
        return file.parent == watched and file.suffix.lower() in READERS and not file.name.startswith(".") and file.name != "README.md"

    # When the first change came that nobody was told of. A file that is written on and on is one change to watchfiles, so that its own
    # way of waiting would not wait for it.
    since = time.monotonic() if missed else None
    following = watchfiles.watch(
        watched, watch_filter=None, rust_timeout=SETTLING_MILLISECONDS, yield_on_timeout=True, stop_event=stop, recursive=False
    )
    for changes in following:
        if since is None and any(is_article(path) for _, path in changes):
            since = time.monotonic()
        if since is not None and (not changes or time.monotonic() - since > LONGEST_MILLISECONDS / 1000):
            changed()
            since = None
        # The folder itself may be put in another one's place, as a restored backup is; nothing tells of that.
        now = folder.stat()
        if (now.st_dev, now.st_ino) != (before.st_dev, before.st_ino):
            return
