"""Counts whose file is damaged, in the way, locked or read-only: it is set aside, nothing is lost, and everything else works."""

from __future__ import annotations

import logging
import os
import re
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ragbot.backup import write_backup
from ragbot.curating.missing import Feedback
from ragbot.errors import SourceError
from ragbot.records import Answer
from ragbot.settings import Settings

MakeSettings = Callable[..., Settings]
AnswerTo = Callable[..., Answer]


@pytest.fixture
def there(settings: MakeSettings, copied_library: Path) -> Settings:
    return settings(sources=copied_library, keep_questions=True)


@pytest.fixture
def database(there: Settings, answer_to: AnswerTo) -> Path:
    """One that holds counts of 300 articles and 40 questions."""
    feedback = Feedback(there)
    for number in range(40):
        feedback.count(answer_to(f"Do CANARY slugs eat hosta {number}?"))
    path = feedback.folder / "feedback.sqlite"
    with closing(sqlite3.connect(path)) as database:
        database.executemany("INSERT INTO counts VALUES ('2026-11-01', 'cited', ?, 3)", [(f"article-{number}",) for number in range(300)])
        database.commit()
    return path


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def ends_in_garbage(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:4096] + bytes(range(256)) * (len(data) // 256 - 16))


def replaced_by_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "note").write_text("words", encoding="utf-8")


def other_tables(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE counts (something TEXT)")
        database.commit()


def with_a_strange_journal(path: Path) -> None:
    path.write_bytes(b"garbage" * 1000)
    path.with_name(path.name + "-journal").write_bytes(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + bytes(4000))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "truncated": truncated, "garbage": lambda path: path.write_bytes(b"garbage" * 5000), "ends in garbage": ends_in_garbage, "short": lambda path: path.write_bytes(b"SQLite format 3\0"),
    "empty": lambda path: path.write_bytes(b""), "a folder": replaced_by_a_folder, "other tables": other_tables, "a strange journal": with_a_strange_journal,
    "a dead link": lambda path: (path.unlink(), path.symlink_to(path.with_name("nowhere") / "at-all")),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("warm", [False, True], ids=["at the start", "while it runs"])
@pytest.mark.parametrize("first", ["looked", "counted"])
def test_what_is_damaged_is_set_aside_and_told_of(damage: Callable[[Path], object], warm: bool, first: str, there: Settings, database: Path, answer_to: AnswerTo) -> None:
    feedback = Feedback(there)
    if warm:
        assert feedback.usage()["article-7"].cited == 3
    damage(database)
    lies = database.read_bytes() if database.is_file() else None
    if first == "looked":
        assert feedback.usage() == {}
        assert feedback.questions() == []
    feedback.count(answer_to("A question?", "coffee-grounds"))
    assert feedback.usage()["coffee-grounds"].cited == 1
    aside = [path for path in database.parent.iterdir() if re.fullmatch(r"feedback\.sqlite\.damaged-[0-9T-]+", path.name)]
    assert len(aside) == 1
    # In a database of somebody else's a table may have been begun before it was known as such.
    assert aside[0].is_dir() or aside[0].is_symlink() or damage is other_tables or aside[0].read_bytes() == lies
    assert not database.with_name(database.name + "-journal").exists()
    # Any process tells of it, and goes on telling.
    for other in (feedback, Feedback(there)):
        (alarm,) = other.alarms()
        assert aside[0].name in alarm
    assert feedback.usage()["coffee-grounds"].cited == 1


def test_what_was_set_aside_is_taken_along_by_a_backup_and_forgotten_in_time(there: Settings, database: Path, tmp_path: Path) -> None:
    truncated(database)
    feedback = Feedback(there)
    feedback.usage()
    (aside,) = database.parent.glob("*.damaged-*")
    aside.with_name(f"{aside.name}-journal").write_bytes(b"what lay beside it")
    assert write_backup(there, tmp_path / "backup.tar.gz").files > 3
    assert len(list(database.parent.glob("*.damaged-*"))) == 2
    feedback.delete_old()
    assert len(feedback.alarms()) == 1
    old = f"{datetime.now(UTC) - timedelta(days=there.keep_questions_days + 1):%Y-%m-%dT%H%M%S%f}"
    for path in database.parent.glob("*.damaged-*"):
        path.rename(path.with_name(re.sub(r"damaged-[0-9T-]{10,}\d", f"damaged-{old}", path.name)))
    feedback.delete_old()
    assert feedback.alarms() == []
    assert not list(database.parent.glob("*.damaged-*"))


def test_to_forget_all_questions_is_to_forget_those_set_aside(there: Settings, database: Path) -> None:
    truncated(database)
    feedback = Feedback(there)
    assert feedback.questions() == []
    feedback.delete_questions()
    assert feedback.alarms() == []
    assert not [path for path in there.sources.rglob("*") if path.is_file() and b"CANARY" in path.read_bytes()]


def test_two_processes_set_one_damaged_file_aside_once(there: Settings, database: Path, answer_to: AnswerTo) -> None:
    database.write_bytes(b"garbage" * 1000)
    ready = threading.Barrier(6)

    def count(feedback: Feedback) -> None:
        ready.wait()
        feedback.count(answer_to("A question?", "coffee-grounds"))

    threads = [threading.Thread(target=count, args=(Feedback(there),)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(Feedback(there).alarms()) == 1
    assert Feedback(there).usage()["coffee-grounds"].cited == 6


def test_a_locked_file_holds_nobody_up_for_long_and_nothing_is_set_aside(there: Settings, database: Path, answer_to: AnswerTo) -> None:
    feedback = Feedback(there)
    feedback.usage()
    with closing(sqlite3.connect(database)) as other:
        other.execute("BEGIN EXCLUSIVE")
        started = time.monotonic()
        for _ in range(20):
            with pytest.raises(SourceError, match="locked|held by another"):
                feedback.count(answer_to("A question?"))
        assert time.monotonic() - started < 5
        with pytest.raises(SourceError, match="cannot be read: database is locked"):
            feedback.usage()
    assert feedback.usage()["article-7"].cited == 3
    assert feedback.alarms() == []


@pytest.fixture
def read_only(there: Settings, database: Path) -> Iterator[Path]:
    """The folder of the counts, which nobody can write."""
    folder = database.parent
    if os.geteuid() != 0:
        folder.chmod(0o500)
        database.chmod(0o400)
        yield folder
        folder.chmod(0o700)
        return
    if subprocess.run(["mount", "--bind", folder, folder], capture_output=True, check=False).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_what_cannot_be_written_is_still_read(read_only: Path, there: Settings, answer_to: AnswerTo) -> None:
    feedback = Feedback(there)
    assert feedback.usage()["article-7"].cited == 3
    assert len(feedback.questions()) == 40
    with pytest.raises(SourceError, match="cannot be written"):
        feedback.count(answer_to("A question?"))
    assert feedback.alarms() == []


def test_a_file_where_the_folder_should_be_is_told_of(there: Settings, answer_to: AnswerTo) -> None:
    (there.sources / "feedback").write_text("words", encoding="utf-8")
    feedback = Feedback(there)
    assert (feedback.usage(), feedback.questions()) == ({}, [])
    with pytest.raises(SourceError, match="cannot be written"):
        feedback.count(answer_to("A question?"))
    assert "is no folder" in feedback.alarms()[0]


def test_no_word_of_a_question_reaches_the_log(there: Settings, database: Path, answer_to: AnswerTo, caplog: pytest.LogCaptureFixture) -> None:
    ends_in_garbage(database)
    with caplog.at_level(logging.DEBUG):
        Feedback(there).count(answer_to("Do CANARY slugs eat?"))
    assert "was damaged" in caplog.text
    assert "CANARY" not in caplog.text
