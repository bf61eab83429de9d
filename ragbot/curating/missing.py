"""What is missing: how often questions found no answer, near which article, and, where an organisation has opted in, their redacted text.

By default only counts are kept, by day: no word of a question ever reaches the disk. With ``keep_questions`` the text of questions
that found no answer, or whose answer was marked as unhelpful, is kept for at most ``keep_questions_days``, with names, numbers and
addresses blacked out; what was said in a crisis is never kept.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Literal

from ragbot.curating.counting import CountsFile
from ragbot.errors import SourceError
from ragbot.models import Embedder
from ragbot.records import Answer
from ragbot.settings import Settings

FOLDER = "feedback"
ASKED = "asked.answers.jsonl"
NOWHERE = "(nothing near)"
# Questions whose vectors are nearer than this on average (cosine distance) ask about the same thing.
SAME_QUESTION = 0.45
# More than staff would ever read; and grouping them takes memory by their square.
MOST_KEPT = 500
Why = Literal["abstained", "unhelpful"]
Kind = Literal["label", "status", "missing"]
_NEVER_KEPT = ("crisis", "medical_emergency", "illicit", "injection")
_REDACTIONS = tuple(
    (re.compile(pattern, re.IGNORECASE if ignoring else 0), words)
    for pattern, words, ignoring in (
        (r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b", "[e-mail]", True),
        (r"\b(?:https?://|www\.)\S+", "[address]", True),
        (r"(?<!\w)@\w+", "[name]", True),
        (r"\b(?:\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4})\b", "[date]", True),
        (r"(?<![\w.])\+?\(?\d[\d ()/.-]{6,}\d\b", "[number]", True),
        (r"\b\d{5,}\b", "[number]", True),
        (r"((?i:\b(?:my name is|i am called|i'm called|called|named|mr|mrs|ms|miss|dr|doctor|prof))\.? )([A-Z]\w+(?: [A-Z]\w+)*)", r"\1[name]", False),
        (r"(?<=[a-z,;] )(?!I\b)[A-Z][a-z]+(?: [A-Z][a-z]+)+", "[name]", False),
        (r"\b\d+ [A-Z]\w+ (?:Street|St|Road|Rd|Avenue|Ave|Lane|Drive|Way)\b", "[address]", False),
    )
)


@dataclass(frozen=True, slots=True)
class Kept:
    """A kept question: its redacted words, why it was kept, the day, the nearest article, and the draft that somebody began for it."""

    id: int
    day: str
    question: str
    why: Why
    nearest: str
    draft: str | None


@dataclass(frozen=True, slots=True)
class Usage:
    """How often an article was cited and marked as helpful or not, and the last day it was cited."""

    cited: int = 0
    last_cited: str | None = None
    helpful: int = 0
    unhelpful: int = 0


class Feedback:
    """Counts and, with opt-in, redacted questions, in one SQLite file. Safe to share between threads and processes."""

    def __init__(self, settings: Settings) -> None:
        self.folder = settings.sources / FOLDER
        self.keeps_questions = settings.keep_questions
        self.days = settings.keep_questions_days
        self._file = CountsFile(self.folder)

    # What the chat page tells.

    def count(self, answer: Answer) -> None:
        """Counts an answer; keeps its question, redacted, where nothing answered it and the organisation has opted in."""
        cited = {citation.article for citation in answer.citations}
        keys = [("label", answer.guardrail.label), ("status", answer.status), *(("cited", article) for article in cited)]
        if answer.status == "abstained":
            keys.append(("missing", _nearest(answer)))

        def count(database: sqlite3.Connection) -> None:
            self._add(database, keys)
            if answer.status == "abstained" and answer.guardrail.label not in _NEVER_KEPT:
                self._keep(database, answer.question, "abstained", _nearest(answer))

        self._file.write(count, hurried=True)

    def mark(self, answer: Answer, helpful: bool) -> None:
        """Counts a thumb up or down for the articles that an answer cited."""
        cited = list(dict.fromkeys(citation.article for citation in answer.citations))

        def mark(database: sqlite3.Connection) -> None:
            self._add(database, [("helpful" if helpful else "unhelpful", article) for article in cited or (NOWHERE,)])
            if not helpful and answer.status != "emergency" and answer.guardrail.label not in _NEVER_KEPT:
                self._keep(database, answer.question, "unhelpful", _nearest(answer))

        self._file.write(mark, hurried=True)

    def _keep(self, database: sqlite3.Connection, question: str, why: Why, nearest: str) -> None:
        if self.keeps_questions:
            words = redact(question)
            same = database.execute("SELECT 1 FROM questions WHERE question = ? AND why = ? AND done = 0", (words, why)).fetchone()
            (kept,) = database.execute("SELECT COUNT(*) FROM questions WHERE done = 0").fetchone()
            if not same and kept < MOST_KEPT:
                database.execute("INSERT INTO questions (day, question, why, nearest) VALUES (?, ?, ?, ?)", (_today(), words, why, nearest))

    # What the staff page shows.

    def usage(self) -> dict[str, Usage]:
        """How each article was used, by its id."""
        found: dict[str, Usage] = {}
        query = """SELECT key, SUM(n * (kind = 'cited')), MAX(CASE kind WHEN 'cited' THEN day END), SUM(n * (kind = 'helpful')),
            SUM(n * (kind = 'unhelpful')) FROM counts WHERE kind IN ('cited', 'helpful', 'unhelpful') GROUP BY key"""
        for key, cited, last, helpful, unhelpful in self._file.read(query):
            found[key] = Usage(cited, last, helpful, unhelpful)
        return found

    def alarms(self) -> list[str]:
        """What staff should know of the database: that a damaged one was set aside, and until when it is there to be mended."""
        told = self._file.problems()
        for path, day in self._file.set_aside():
            until = (day + timedelta(days=self.days)).isoformat()
            told.append(
                f"The counts and kept questions were damaged and set aside on {day} as {path.name} in {str(self.folder)!r}; new ones were begun. Take them "
                f"from a backup, or delete that file; on {until} it is deleted, because it may hold questions."
            )
        return told

    def check(self) -> list[str]:
        """What is wrong with the database; looks through it and changes nothing."""
        return [*self.alarms(), *self._file.damage()]

    def totals(self, kind: Kind, days: int = 30) -> list[tuple[str, int]]:
        """The counts of one kind over the last days, the most frequent first."""
        since = (date.today() - timedelta(days=days)).isoformat()
        return list(self._file.read("SELECT key, SUM(n) FROM counts WHERE kind = ? AND day >= ? GROUP BY key ORDER BY 2 DESC, 1", (kind, since)))

    def questions(self) -> list[Kept]:
        """The kept questions that no article was published for yet, the oldest first; what is too old is deleted before."""
        # Where nothing can be deleted just now, what is too old is not shown at least.
        with suppress(SourceError):
            self.delete_old()
        query = "SELECT id, day, question, why, nearest, draft FROM questions WHERE done = 0 AND day >= ? ORDER BY id"
        return [Kept(*row) for row in self._file.read(query, (self._oldest(),))]

    def grouped(self, embedder: Embedder) -> list[list[Kept]]:
        """The kept questions, those of one meaning together, the largest group first."""
        kept = self.questions()
        if len(kept) < 2:
            return [[one] for one in kept]
        from sklearn.cluster import AgglomerativeClustering

        clustering = AgglomerativeClustering(n_clusters=None, metric="cosine", linkage="average", distance_threshold=SAME_QUESTION)
        groups: dict[int, list[Kept]] = {}
        for one, group in zip(kept, clustering.fit_predict(embedder.encode([one.question for one in kept])), strict=True):
            groups.setdefault(int(group), []).append(one)
        return sorted(groups.values(), key=len, reverse=True)

    def questions_for(self, draft: str) -> list[str]:
        """The kept questions that a draft is to answer."""
        return [str(question) for (question,) in self._file.read("SELECT question FROM questions WHERE draft = ? AND done = 0 ORDER BY id", (draft,))]

    def begin_article(self, ids: Sequence[int], draft: str) -> None:
        """Remembers which draft is to answer these questions."""
        self._file.write(lambda database: database.executemany("UPDATE questions SET draft = ? WHERE id = ?", [(draft, identity) for identity in ids]))

    def published(self, article: str) -> int:
        """Turns the questions that an article was written for into items of the evaluators' set; how many."""
        waiting = list(self._file.read("SELECT id, question FROM questions WHERE draft = ? AND done = 0", (article,)))
        if not waiting:
            return 0
        path = self.folder / ASKED
        with path.open("a", encoding="utf-8") as file:
            for identity, question in waiting:
                item = {"id": f"asked-{identity}", "question": question, "status": ["answered"], "must_cite": [article]}
                file.write(json.dumps(item, ensure_ascii=False) + "\n")
        done = [(identity,) for identity, _ in waiting]
        self._file.write(lambda database: database.executemany("UPDATE questions SET done = 1, question = '' WHERE id = ?", done))
        return len(waiting)

    def delete_old(self) -> None:
        """Deletes questions that were kept for longer than the settings allow, and with them databases that were set aside that long ago."""
        self._file.forget_set_aside(before=date.fromisoformat(self._oldest()))
        if self._file.path.exists():
            self._file.write(lambda database: database.execute("DELETE FROM questions WHERE day < ?", (self._oldest(),)))

    def delete_questions(self, ids: Sequence[int] | None = None) -> int:
        """Deletes kept questions, all where none are named, and then also those that became items of the evaluators' set, and databases
        that were set aside; how many. The bytes in the database are overwritten on the disk."""
        if ids is None:
            (self.folder / ASKED).unlink(missing_ok=True)
            self._file.forget_set_aside()
        if not self._file.path.exists():
            return 0
        if ids is None:
            return self._file.write(lambda database: database.execute("DELETE FROM questions").rowcount)
        return self._file.write(lambda database: sum(database.execute("DELETE FROM questions WHERE id = ?", (identity,)).rowcount for identity in ids))

    def _oldest(self) -> str:
        """The day from which on questions are kept."""
        return (date.today() - timedelta(days=self.days)).isoformat()

    # The file.

    @staticmethod
    def _add(database: sqlite3.Connection, keys: Sequence[tuple[str, str]]) -> None:
        rows = [(_today(), kind, key) for kind, key in keys]
        database.executemany("INSERT INTO counts VALUES (?, ?, ?, 1) ON CONFLICT (day, kind, key) DO UPDATE SET n = n + 1", rows)


def redact(question: str) -> str:
    """A question without e-mail and web addresses, handles, long numbers, dates, and what looks like a person's name."""
    for pattern, words in _REDACTIONS:
        question = pattern.sub(words, question)
    return question


def _nearest(answer: Answer) -> str:
    found = [near.article for near in answer.nearest] or [citation.article for citation in answer.citations]
    return found[0] if found else NOWHERE


def _today() -> str:
    return datetime.now(UTC).date().isoformat()
