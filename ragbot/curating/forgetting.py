"""What counts, kept questions and the evaluators' set say of one article, and its removal. Their format is ragbot.curating.missing's."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from ragbot.curating.missing import ASKED, NOWHERE
from ragbot.curating.versions import write_durably
from ragbot.errors import SourceError

WAIT_SECONDS = 10


class Mentions:
    """The mentions of one article in a folder of feedback.

    Raises:
        SourceError: the counts cannot be read or written.
    """

    def __init__(self, folder: Path, article: str) -> None:
        self._asked_file, self._file = folder / ASKED, folder / "feedback.sqlite"
        self._article = article

    def count(self) -> int:
        """How many there are."""
        found = len(self._asked()[1])
        with self._database() as database:
            if database is not None:
                found += database.execute("SELECT COUNT(*) FROM counts WHERE key = ?", (self._article,)).fetchone()[0]
                found += database.execute("SELECT COUNT(*) FROM questions WHERE nearest = ?1 OR draft = ?1", (self._article,)).fetchone()[0]
        return found

    def remove(self) -> int:
        """Removes them, on the disk too; how many. A visitor's question stays and no longer names the article."""
        kept, own = self._asked()
        removed = len(own)
        if own:
            write_durably(self._asked_file, "".join(f"{line}\n" for line in kept).encode())
        with self._database() as database:
            if database is not None:
                database.execute("PRAGMA secure_delete = ON")
                removed += database.execute("DELETE FROM counts WHERE key = ?", (self._article,)).rowcount
                removed += database.execute(
                    "UPDATE questions SET nearest = CASE nearest WHEN ?1 THEN ?2 ELSE nearest END, draft = CASE draft WHEN ?1 THEN NULL ELSE draft END "
                    "WHERE nearest = ?1 OR draft = ?1",
                    (self._article, NOWHERE),
                ).rowcount
                database.commit()
                database.execute("VACUUM")
        return removed

    def _asked(self) -> tuple[list[str], list[str]]:
        """The items of the evaluators' set that stay, and those that ask for this article."""
        lines = self._asked_file.read_text(encoding="utf-8").splitlines() if self._asked_file.exists() else []
        own = [line for line in lines if f'"{self._article}"' in line]
        return [line for line in lines if line not in own], own

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection | None]:
        if not self._file.exists():
            yield None
            return
        try:
            with closing(sqlite3.connect(self._file, timeout=WAIT_SECONDS)) as database:
                yield database
        except sqlite3.Error as error:
            raise SourceError(f"The counts cannot be read or written: {error}.", "Mend the file, or move it away.", path=self._file) from error
