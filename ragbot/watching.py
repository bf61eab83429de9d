"""Follows the folder of sources: files dropped, changed or removed by hand are picked up without being asked. The only file that knows watchfiles."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import watchfiles

from ragbot.reading import READERS

# A copy of many files is one change: what comes within this time is taken together.
SETTLING_MILLISECONDS = 800


def watch_sources(folder: Path, changed: Callable[[], None], stop: threading.Event) -> threading.Thread:
    """Calls ``changed`` from a thread of its own, after each change of an article's file, until ``stop`` is set; the thread."""

    def is_article(_: watchfiles.Change, path: str) -> bool:
        file = Path(path)
        return file.parent == folder.resolve() and file.suffix.lower() in READERS and not file.name.startswith(".")

    def work() -> None:
        for _ in watchfiles.watch(folder.resolve(), watch_filter=is_article, debounce=SETTLING_MILLISECONDS, stop_event=stop, recursive=False):
            changed()

    thread = threading.Thread(target=work, name="watch-sources", daemon=True)
    thread.start()
    return thread
