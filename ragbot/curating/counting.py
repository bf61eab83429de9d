"""The SQLite file of counts and kept questions: made when it is first needed, and where it is damaged set aside, never in the way.

::

    feedback/feedback.sqlite
    feedback/feedback.sqlite.damaged-2026-11-26T170312123456    what was damaged, as it lay there
"""

from __future__ import annotations

import errno
import logging
import os
import re
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, TypeVar

from ragbot.errors import SourceError
from ragbot.locking import acquire_lock

_log = logging.getLogger("ragbot")
DATABASE = "feedback.sqlite"
_TABLES = {
    "counts": "CREATE TABLE IF NOT EXISTS counts (day TEXT, kind TEXT, key TEXT, n INTEGER, PRIMARY KEY (day, kind, key))",
    "questions": "CREATE TABLE IF NOT EXISTS questions (id INTEGER PRIMARY KEY AUTOINCREMENT, day TEXT, question TEXT, why TEXT, nearest TEXT, "
    "draft TEXT, done INTEGER DEFAULT 0)",
}
_COLUMNS = {"counts": ["day", "kind", "key", "n"], "questions": ["id", "day", "question", "why", "nearest", "draft", "done"]}
# A damaged database under another name; it ends in no ``.sqlite``, so that a backup takes it along as the bytes that it is.
_SET_ASIDE = re.compile(re.escape(DATABASE) + r"\.damaged-(\d{4}-\d{2}-\d{2})T\d{12}(-journal|-wal|-shm)?")
# SQLite's own words for a file that is damaged, or none of its own (https://sqlite.org/rescode.html).
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
# What besides may come of a file that another one has taken the place of: its tables are not ours.
_SUSPECT = (*_DAMAGED, sqlite3.SQLITE_ERROR)
# Acts of staff wait for others; a visitor's answer is not held up, and where it could not be counted, the next are not for a while.
SECONDS_TO_ACT, SECONDS_TO_COUNT, SECONDS_WITHOUT_COUNTING = 10.0, 1.0, 30.0
_HELD = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
Found = TypeVar("Found")


class CountsFile:
    """The database in one folder. Safe to share between threads and processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / DATABASE
        self._lock = threading.Lock()
        self._looked_through = False
        self._held_until = 0.0

    def problems(self) -> list[str]:
        """Why nothing can be kept here at all, if so."""
        there = self.folder.exists() and not self.folder.is_dir()
        return [f"Nothing is counted, because {str(self.folder)!r} is no folder. Move it away."] if there else []

    def damage(self) -> list[str]:
        """What is wrong with the file, which stays where it is."""
        try:
            sound = self._is_sound()
        except (OSError, sqlite3.Error) as error:
            return [f"The counts in {str(self.path)!r} cannot be read: {_reason(error)}."]
        return [] if sound else [f"The counts in {str(self.path)!r} are damaged. They are set aside when somebody next asks; take them from a backup then."]

    def set_aside(self) -> list[tuple[Path, date]]:
        """The damaged databases that were set aside, and the days on which they were."""
        return [(path, day) for path, day, beside in self._all_set_aside() if not beside]

    def forget_set_aside(self, before: date | None = None) -> None:
        """Deletes databases that were set aside, all or those of before a day."""
        for path, day, _ in self._all_set_aside():
            if before is None or day < before:
                _delete(path)

    def _all_set_aside(self) -> list[tuple[Path, date, str]]:
        if not self.folder.is_dir():
            return []
        named = [(path, found) for path in sorted(self.folder.iterdir()) if (found := _SET_ASIDE.fullmatch(path.name))]
        return [(path, date.fromisoformat(found.group(1)), found.group(2) or "") for path, found in named]

    def write(self, work: Callable[[sqlite3.Connection], Found], *, hurried: bool = False) -> Found:
        """What ``work`` makes of the database, which is made where there is none; a damaged one is set aside, and another is begun.

        Args:
            hurried: somebody's answer waits for it.

        Raises:
            SourceError: it cannot be written.
        """
        if hurried and time.monotonic() < self._held_until:
            raise SourceError("The counts are held by another program.", "It is tried again in half a minute.", path=self.folder)
        seconds = SECONDS_TO_COUNT if hurried else SECONDS_TO_ACT
        with self._lock:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                if not self.path.exists() or not self._is_sound():
                    self._begin_anew(seconds)
                try:
                    return self._work_on(work, seconds)
                except sqlite3.DatabaseError as error:
                    if not _tells_of(error, _SUSPECT):
                        raise
                    self._begin_anew(seconds)
                    return self._work_on(work, seconds)
            except (OSError, sqlite3.Error) as error:
                if isinstance(error, TimeoutError) or (isinstance(error, sqlite3.DatabaseError) and _tells_of(error, _HELD)):
                    self._held_until = time.monotonic() + SECONDS_WITHOUT_COUNTING
                hint = "Make room on the disk, or make the folder and what is in it writable."
                raise SourceError(f"The counts cannot be written: {_reason(error)}.", hint, path=self.folder) from error

    def _work_on(self, work: Callable[[sqlite3.Connection], Found], seconds: float) -> Found:
        with closing(sqlite3.connect(self.path, timeout=seconds)) as database:
            # What is deleted is overwritten, and no second file keeps a copy of it.
            database.execute("PRAGMA secure_delete = ON")
            for table in _TABLES.values():
                database.execute(table)
            found = work(database)
            database.commit()
            return found

    def _is_sound(self) -> bool:
        """Whether the database can be used, or there is none yet. It is looked through once, and by its first words each time."""
        path = self.path
        if not path.exists():
            return not path.is_symlink()
        if not path.is_file() or path.stat().st_size == 0:
            return False
        if self._looked_through:
            return True
        sound: bool
        try:
            with closing(self._reading()) as database:
                sound = database.execute("PRAGMA integrity_check(1)").fetchone() == ("ok",)
                for table, columns in _COLUMNS.items():
                    there = [name for _, name, *_ in database.execute(f"PRAGMA table_info({table})")]
                    # Tables that are not there yet are made.
                    sound = sound and there in ([], columns)
        except sqlite3.DatabaseError as error:
            if not _tells_of(error, _DAMAGED):
                raise
            sound = False
        self._looked_through = sound
        return sound

    def _begin_anew(self, seconds: float) -> None:
        """Sets a damaged database aside and begins one, under a lock, so that of two processes the second does not set aside what the
        first is just beginning."""
        if not os.access(self.folder, os.W_OK):
            # The lock would be waited for in vain.
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        # It happens once in a long while, and is over in a moment.
        release = acquire_lock(self.folder / ".lock", SECONDS_TO_ACT)
        try:
            self._looked_through = False
            if self.path.exists() and self._is_sound():
                return
            if self.path.exists() or self.path.is_symlink():
                self._put_aside()
            # Made whole before the lock is let go of: one that is empty is a damaged one.
            self._work_on(lambda _: None, seconds)
        finally:
            release()

    def _put_aside(self) -> None:
        aside = self.folder / f"{DATABASE}.damaged-{datetime.now(UTC):%Y-%m-%dT%H%M%S%f}"
        # What SQLite keeps beside a database would be played into the new one.
        for beside in ("-journal", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                (self.folder / f"{DATABASE}{beside}").replace(self.folder / f"{aside.name}{beside}")
        self.path.replace(aside)
        _log.error("%s was damaged; it is now %s, and a new one was begun", DATABASE, aside.name)

    def _reading(self) -> sqlite3.Connection:
        # Where it may be written, SQLite finishes what a killed process has left half done; where not, it is only read.
        return sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=rw", uri=True, timeout=SECONDS_TO_COUNT)

    def read(self, query: str, values: Sequence[object] = ()) -> list[Any]:
        """The rows of a query; none where there is no database. A damaged one is set aside.

        Raises:
            SourceError: it cannot be read just now.
        """
        if not self.path.exists():
            return []
        try:
            with self._lock:
                sound = self._is_sound()
            if not sound:
                self.write(lambda _: None)
                return []
            with closing(self._reading()) as database:
                return database.execute(query, values).fetchall()
        except (OSError, sqlite3.Error) as error:
            if isinstance(error, sqlite3.DatabaseError) and _tells_of(error, _SUSPECT):
                self._looked_through = False
                self.write(lambda _: None)
                return []
            raise SourceError(f"The counts cannot be read: {_reason(error)}.", "All else works. Try again in a moment.", path=self.folder) from error


def _tells_of(error: sqlite3.DatabaseError, codes: Sequence[int]) -> bool:
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in codes


def _reason(error: OSError | sqlite3.Error) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _delete(path: Path) -> None:
    """Deletes a database that was set aside, or the folder that lay in its place; what cannot be deleted stays and is told of."""
    with suppress(OSError):
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
