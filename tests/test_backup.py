"""One file that holds everything: what comes back, what is never overwritten, what a bad disk leaves behind."""

from __future__ import annotations

import itertools
import os
import shutil
import sqlite3
import stat
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from ragbot.backup import REGISTER, write_backup
from ragbot.chatbot import Ragbot
from ragbot.curating import Desk
from ragbot.curating.missing import Feedback
from ragbot.errors import BackupError, IndexMissingError
from ragbot.generation import Generation
from ragbot.generations import current_generation
from ragbot.guardrails.policies import LABELS, REVIEWED_POLICY, Policy
from ragbot.library import build_index
from ragbot.locking import acquire_lock
from ragbot.records import Answer
from ragbot.restoring import restore_backup
from ragbot.settings import Settings

MakeSettings = Callable[..., Settings]
TOML = b"[ragbot]\nkeep_questions = true\n[ragbot.staff]\nAda = '$argon2id$...'\n"
QUESTIONS = ["Do coffee grounds raise the harvest of tomato plants?", "How are vine tomatoes pruned?", "Who won the match?"]


@pytest.fixture
def there(settings: MakeSettings, copied_library: Path, bot: Ragbot, answer_to: Callable[..., Answer]) -> Settings:
    """Sources with everything that people make: drafts, acts, versions, an original, counts and kept questions."""
    there = settings(sources=copied_library, keep_questions=True)
    desk, feedback = Desk(there), Feedback(there)
    desk.add_file(b"<html><title>Slugs at night</title><p>Slugs eat lettuce at night, and nobody sees them.</p></html>", "slugs.html", "Ada")
    desk.begin_edit("pruning-tomatoes", "Bo")
    desk.publish("pruning-tomatoes", "Bo")
    desk.retire("coffee-grounds", "Ada")
    desk.restore("coffee-grounds", "Ada")
    for question in QUESTIONS:
        feedback.count(bot.ask(question))
    feedback.mark(answer_to(QUESTIONS[0], "coffee-grounds"), helpful=False)
    (there.sources / "retractions.csv").write_text("doi\n", encoding="utf-8")
    (there.sources / "notes\\on-journal").write_bytes(b"\x00\xff")
    (there.sources.parent / "ragbot.toml").write_bytes(TOML)
    return there


@pytest.fixture
def few_examples(tmp_path: Path) -> Path:
    """The reviewed policy with three examples a label, so that training takes no time."""
    folder = Path(shutil.copytree(REVIEWED_POLICY, tmp_path / "policy", ignore=shutil.ignore_patterns("examples")))
    few = [one.model_dump_json() for label in LABELS for one in [one for one in Policy().examples if one.label == label][:3]]
    (folder / "examples").mkdir()
    (folder / "examples" / "few.jsonl").write_text("\n".join(few), encoding="utf-8")
    return folder


@pytest.fixture
def saved(there: Settings) -> Path:
    path = there.sources.parent / "backup.tar.gz"
    write_backup(there, path, config=there.sources.parent / "ragbot.toml")
    return path


@pytest.fixture
def empty(settings: MakeSettings, tmp_path: Path) -> Settings:
    return settings(sources=tmp_path / "new" / "sources", index=tmp_path / "new" / "index")


def held(folder: Path) -> dict[str, bytes | list[str]]:
    """What lies in a folder; a database as its statements, because SQLite counts the copies it makes in the file's head."""
    found: dict[str, bytes | list[str]] = {}
    for file in (file for file in folder.rglob("*") if file.is_file() and file.name not in {".lock", REGISTER}):
        name = file.relative_to(folder).as_posix()
        if file.suffix == ".sqlite":
            with closing(sqlite3.connect(file)) as database:
                found[name] = list(database.iterdump())
        else:
            found[name] = file.read_bytes()
    return found


def test_everything_comes_back_on_an_empty_machine(there: Settings, empty: Settings, tmp_path: Path) -> None:
    config, saved = tmp_path / "ragbot.toml", tmp_path / "backup.tar.gz"
    written = write_backup(there, saved, config=config)
    restored = restore_backup(empty, saved, config=empty.sources.parent / "ragbot.toml")
    assert restored == written
    assert restored.files == len(held(there.sources)) + 1
    assert held(empty.sources) == held(there.sources)
    assert {"drafts/slugs-at-night.md", "history/acts.jsonl", "feedback/feedback.sqlite", "notes\\on-journal"} <= held(empty.sources).keys()
    assert (empty.sources.parent / "ragbot.toml").read_bytes() == TOML
    # What was restored can be saved again, and is the same still.
    assert write_backup(empty, tmp_path / "again.tar.gz", config=config).sources_digest == written.sources_digest
    desk, before = Desk(empty), Desk(there)
    assert desk.history.acts() == before.history.acts()
    assert all(desk.history.version(act.after.article) for act in desk.history.acts("coffee-grounds") if act.after.article)
    assert (origin := desk.origin("slugs-at-night")) is not None and b"nobody sees" in desk.history.original(origin)
    assert [one.question for one in Feedback(empty).questions()] == [one.question for one in Feedback(there).questions()]
    assert Feedback(empty).usage()["coffee-grounds"].unhelpful == 1
    assert {stat.S_IMODE(path.stat().st_mode) for path in (saved, empty.sources.parent / "ragbot.toml")} == {0o600}


def test_the_index_built_from_a_backup_is_the_one_before(there: Settings, empty: Settings, saved: Path, few_examples: Path, tmp_path: Path) -> None:
    there, empty = (one.model_copy(update={"policy": few_examples}) for one in (there, empty))
    build_index(there)
    restore_backup(empty, saved, config=tmp_path / "restored.toml")
    build_index(empty)
    assert Generation(current_generation(empty.index)).manifest == Generation(current_generation(there.index)).manifest
    before, after = Ragbot.open(there), Ragbot.open(empty)
    said = [before.ask(question) for question in QUESTIONS]
    assert [(one.status, one.text, one.citations) for one in map(after.ask, QUESTIONS)] == [(one.status, one.text, one.citations) for one in said]
    assert any(one.citations for one in said)
    # The very same index, taken along, opens and answers without a build.
    other = empty.model_copy(update={"sources": tmp_path / "third" / "sources", "index": tmp_path / "third" / "index"})
    assert write_backup(there, tmp_path / "whole.tar.gz", with_index=True).with_index
    assert restore_backup(other, tmp_path / "whole.tar.gz", config=tmp_path / "third.toml").with_index
    third = Ragbot.open(other)
    assert third.engines.alarms == []
    assert [one.citations for one in map(third.ask, QUESTIONS)] == [one.citations for one in said]


def test_a_backup_made_while_counts_are_written_and_people_act_is_whole(
    there: Settings, empty: Settings, tmp_path: Path, answer_to: Callable[..., Answer]
) -> None:
    feedback, desk, done, failed = Feedback(there), Desk(there), threading.Event(), []
    numbers = itertools.count()

    def write() -> None:
        try:
            while not done.is_set():
                feedback.mark(answer_to(f"Why do slugs come at night {next(numbers)}?", "coffee-grounds"), helpful=False)
                desk.save("pruning-tomatoes", f"{desk.article_text('pruning-tomatoes')}\nSteady rain {len(failed)}.\n", "Ada")
                desk.discard("pruning-tomatoes", "Ada")
        except Exception as error:
            failed.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(6):
            write_backup(there, tmp_path / "backup.tar.gz")
            new = empty.model_copy(update={"sources": tmp_path / f"new-{number}", "index": tmp_path / "none"})
            restore_backup(new, tmp_path / "backup.tar.gz", config=tmp_path / f"{number}.toml")
            with closing(sqlite3.connect(new.sources / "feedback" / "feedback.sqlite")) as database:
                assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
                counted = database.execute("SELECT SUM(n) FROM counts WHERE kind = 'unhelpful'").fetchone()[0]
                assert database.execute("SELECT COUNT(*) FROM questions WHERE why = 'unhelpful'").fetchone()[0] == counted
            last = Desk(new).history.acts("pruning-tomatoes")[-1]
            assert Desk(new)._state("pruning-tomatoes") == last.after, "the record and the articles are of two moments"
    finally:
        done.set()
        writer.join()
    assert failed == []


@pytest.mark.parametrize("taken", ["sources", "index"])
def test_nothing_that_exists_is_overwritten(taken: str, saved: Path, empty: Settings) -> None:
    folder: Path = getattr(empty, taken)
    folder.mkdir(parents=True)
    (folder / "mine").write_text("mine", encoding="utf-8")
    with pytest.raises(BackupError, match=f"{taken}' is not empty"):
        restore_backup(empty, saved)
    assert held(empty.sources.parent) == {f"{taken}/mine": b"mine"}


def test_settings_that_exist_stay_and_the_old_ones_lie_beside(saved: Path, empty: Settings, tmp_path: Path) -> None:
    mine = {name: name.encode() for name in ("own.toml", "own.toml.restored")}
    for name, data in mine.items():
        (tmp_path / name).write_bytes(data)
    for folder in (empty.sources, empty.index):
        folder.mkdir(parents=True)
        (folder / ".gitkeep").touch()
    restore_backup(empty, saved, config=tmp_path / "own.toml")
    assert {name: (tmp_path / name).read_bytes() for name in mine} == mine
    assert (tmp_path / "own.toml.restored-2").read_bytes() == TOML


@pytest.mark.parametrize("place", ["nowhere/backup.tar.gz", "sources/README.md/backup.tar.gz", ".", "full", "sources/backup.tar.gz", "x" * 300])
def test_where_a_backup_cannot_be_written_it_says_so(place: str, there: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (there.sources / "README.md").touch()
    (tmp_path / "full").mkdir()
    before = held(tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BackupError):
        write_backup(there, Path(place))
    assert held(tmp_path) == before


@pytest.mark.parametrize("step", ["ragbot.backup.os.fsync", "ragbot.backup._Hashing.read", "ragbot.backup.Path.replace"])
def test_a_disk_error_leaves_the_earlier_backup(step: str, saved: Path, there: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    before, names = saved.read_bytes(), sorted(os.listdir(saved.parent))
    with monkeypatch.context() as patch:
        patch.setattr(step, fail)
        with pytest.raises(BackupError, match="No space left"):
            write_backup(there, saved)
    assert saved.read_bytes() == before
    assert sorted(os.listdir(saved.parent)) == names


def test_a_disk_error_while_restoring_leaves_empty_folders(saved: Path, empty: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = os.open
    monkeypatch.setattr("ragbot.restoring.os.open", lambda path, *rest: opened("/dev/full" if str(path).endswith("acts.jsonl") else path, *rest[:1]))
    with pytest.raises(BackupError, match="cannot be restored"):
        restore_backup(empty, saved, config=tmp_path / "none.toml")
    assert held(empty.sources) == {}
    assert not (tmp_path / "none.toml").exists()
    monkeypatch.undo()
    assert restore_backup(empty, saved, config=tmp_path / "none.toml").files


def test_what_cannot_be_saved_whole_is_told(there: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "backup.tar.gz"
    with pytest.raises(IndexMissingError):
        write_backup(there, path, with_index=True)
    with pytest.raises(BackupError, match="no folder of sources"):
        write_backup(there.model_copy(update={"sources": tmp_path / "typo"}), path)
    monkeypatch.setattr("ragbot.backup.WAIT_SECONDS", 0.1)
    release = acquire_lock(there.sources / "history" / ".lock")
    with pytest.raises(BackupError, match="Somebody is changing the sources"):
        write_backup(there, path)
    release()
    (there.sources / "feedback" / "feedback.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(BackupError, match=r"feedback\.sqlite' cannot be read"):
        write_backup(there, path)
    assert not path.exists()


def test_articles_and_histories_behind_links_are_saved_as_files(there: Settings, empty: Settings, tmp_path: Path) -> None:
    (there.sources / "history").rename(tmp_path / "elsewhere")
    (there.sources / "history").symlink_to(tmp_path / "elsewhere")
    (there.sources / "round").symlink_to(there.sources)
    (there.sources / "linked.md").symlink_to(there.sources / "coffee-grounds.md")
    (there.sources / "gone.md").symlink_to(tmp_path / "nowhere")
    write_backup(there, tmp_path / "backup.tar.gz")
    restore_backup(empty, tmp_path / "backup.tar.gz", config=tmp_path / "none.toml")
    assert not any(path.is_symlink() for path in empty.sources.rglob("*"))
    assert (empty.sources / "linked.md").read_bytes() == (there.sources / "coffee-grounds.md").read_bytes()
    assert Desk(empty).history.acts() == Desk(there).history.acts()
