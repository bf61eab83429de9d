"""An article is deleted everywhere it is kept, and what is said to be gone is gone: the bytes are searched here by other means."""

from __future__ import annotations

import gc
import io
import json
import shutil
import subprocess
import tarfile
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from ragbot import generations
from ragbot.backup import recorded_backups, write_backup
from ragbot.chatbot import Ragbot
from ragbot.cli import run
from ragbot.curating import Desk
from ragbot.curating.missing import Feedback
from ragbot.erasing import Erasing
from ragbot.errors import SourceError
from ragbot.generations import current_generation, list_generations
from ragbot.library import build_index
from ragbot.models import Embedder
from ragbot.records import Answer
from ragbot.settings import Settings

ID = "larkfield"
# Words that stand nowhere else: in the article, in an earlier version, in its draft, in what it was imported from.
WORDS = ("quixotic marmalade", "vermilion umbrella", "sleepy cartographer", "ochre metronome")
PAGE = f"<html><title>Larkfield</title><p>The gardener keeps a {WORDS[3]} in the shed behind the roses.</p></html>".encode()
QUESTION = "What colour is the umbrella of the Larkfield garden?"


def text_of(words: str) -> str:
    card = "title: Rules of Larkfield\nsummary: House rules.\npublisher: Larkfield\nurl: https://larkfield.example/\nstatus: draft\n"
    return f"---\n{card}---\nVisitors of the Larkfield garden bring a {words} with them.\n\nThe {words} of the Larkfield garden is looked after by nobody.\n"


@pytest.fixture
def there(settings: Callable[..., Settings], index: Path, copied_library: Path, tmp_path: Path, embedder: Embedder, answer_to: Callable[..., Answer]) -> Settings:
    """Sources in which an article lies everywhere that one can lie, and two generations of the index that hold it."""
    there = settings(sources=copied_library, index=Path(shutil.copytree(index, tmp_path / "index")), keep_questions=True)
    desk, feedback = Desk(there), Feedback(there)
    with suppress(SourceError):
        desk.add_file(PAGE, "larkfield.html", "Ada")
    for words in WORDS[:2]:
        desk.save(ID, text_of(words), "Ada")
        desk.publish(ID, "Ada")
        build_index(there, embedder=embedder)
    desk.save(ID, text_of(WORDS[2]), "Ada")
    feedback.count(answer_to(QUESTION, ID))
    feedback.mark(answer_to(QUESTION, ID), helpful=False)
    feedback.begin_article([feedback.questions()[0].id], ID)
    feedback.published(ID)
    desk.retire("coffee-grounds", "Bo")
    desk.restore("coffee-grounds", "Bo")
    return there


def holding(*folders: Path) -> set[str]:
    """The files that hold one of the words; by grep, which knows nothing of ragbot."""
    options = [option for word in WORDS for option in ("-e", word)]
    done = subprocess.run(["grep", "-rlaF", *options, *map(str, folders)], capture_output=True, text=True, check=False)
    return {Path(line).name for line in done.stdout.splitlines()}


def test_an_article_is_erased_everywhere(there: Settings, embedder: Embedder) -> None:
    assert len(holding(there.sources, there.index)) >= 8
    before = len(list_generations(there.index))
    history = Desk(there).history
    others = [act for act in history.acts() if act.article != ID]
    erasing = Erasing(there, ID)
    assert {place.name: place.found for place in erasing.places} == {
        "article": 1, "draft": 1, "versions": 6, "originals": 1, "generations of the index": before, "record of acts": 6, "counts and kept questions": 4,
    }  # fmt: skip
    erasure = erasing.run("Ada")
    assert erasure.complete, erasure
    assert all(place.removed == place.found for place in erasure.places)
    assert erasure.files_searched > 20 and erasure.pieces >= 4 and erasure.left == ()
    assert holding(there.sources, there.index) == set()
    assert [path for folder in (there.sources, there.index) for path in folder.rglob(f"*{ID}*")] == []
    # What stays is that it was erased; and everything of the others.
    (act,) = history.acts(ID)
    assert (act.action, act.by, act.origin, act.after.article) == ("erased", "Ada", None, None)
    assert [act for act in history.acts() if act.article != ID] == others
    assert all(history.version(act.after.article) for act in others if act.after.article)
    assert Feedback(there).usage().get(ID) is None
    assert [folder.name for folder in list_generations(there.index)] == [current_generation(there.index).name]
    bot = Ragbot.open(there)
    assert ID not in bot.generation.documents and bot.generation.gaps == 0
    assert bot.ask("How are vine tomatoes pruned?").status == "answered"
    with pytest.raises(SourceError, match="There is no article 'larkfield'"):
        Erasing(there, ID)


def test_it_is_erased_under_a_running_bot(there: Settings) -> None:
    bot = Ragbot.open(there)
    assert ID in {passage.source.id for passage in bot.search(QUESTION)}
    left = bot.engines.current().generation.folder
    held = weakref.ref(bot.engines.current())
    stop, problems, answers = threading.Event(), [], 0

    def ask() -> None:
        nonlocal answers
        while not stop.is_set():
            try:
                bot.ask(QUESTION)
                answers += 1
            except Exception as error:
                problems.append(error)

    asker = threading.Thread(target=ask)
    asker.start()
    Erasing(there, ID).run("Ada")
    done = answers
    while answers < done + 3 and not problems:
        time.sleep(0.01)
    stop.set()
    asker.join()
    assert problems == [] and not left.exists()
    assert bot.generation.folder == current_generation(there.index)
    assert ID not in {passage.source.id for passage in bot.search(QUESTION)}
    assert bot.engines.alarms == []
    gc.collect()
    assert held() is None, "the engine before is let go of"


def test_backups_on_record_are_searched_and_named(there: Settings, tmp_path: Path) -> None:
    for name in ("sources.tar.gz", "everything.tar.gz", "gone.tar.gz"):
        write_backup(there, tmp_path / name, with_index=name.startswith("everything"))
    write_backup(there, tmp_path / "gone.tar.gz")
    (tmp_path / "gone.tar.gz").unlink()
    (tmp_path / "damaged.tar.gz").write_bytes(b"")
    assert recorded_backups(there) == [tmp_path / f"{name}.tar.gz" for name in ("sources", "everything", "gone")]
    with tarfile.open(tmp_path / "sources.tar.gz") as archive:
        assert not any("backups.jsonl" in name for name in archive.getnames()), "on another machine it means nothing"
    erasure = Erasing(there, ID).run("Ada")
    assert not erasure.complete and erasure.left == ()
    assert [told.split("'")[1] for told in erasure.elsewhere] == [str(tmp_path / f"{name}.tar.gz") for name in ("sources", "everything")]
    assert all("ragbot backup" in told for told in erasure.elsewhere)
    # One made afterwards holds nothing of it.
    for name in ("sources", "everything"):
        (tmp_path / f"{name}.tar.gz").unlink()
    write_backup(there, tmp_path / "after.tar.gz", with_index=True)
    unpacked = tmp_path / "unpacked"
    with tarfile.open(tmp_path / "after.tar.gz") as archive:
        archive.extractall(unpacked, filter="data")
    assert holding(unpacked) == set()


def git(folder: Path, *arguments: str) -> str:
    options = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false")
    return subprocess.run(["git", "-C", str(folder), *options, *arguments], check=True, capture_output=True, text=True).stdout


def test_the_history_of_a_git_repository_is_named(there: Settings) -> None:
    git(there.sources.parent, "init", "--quiet")
    git(there.sources.parent, "add", "sources")
    git(there.sources.parent, "commit", "--quiet", "--message", "All")
    erasure = Erasing(there, ID).run("Ada")
    (told,) = erasure.elsewhere
    assert "in 2 commits" in told and "git filter-repo --invert-paths" in told
    assert f"--path sources/{ID}.md" in told and f"--path sources/drafts/{ID}.md" in told and told.count("--path sources/history/versions/") == 6
    assert "Erased: larkfield" in git(there.sources, "log", "--format=%s")


def test_names_before_a_renaming_are_told_as_well(there: Settings) -> None:
    git = ["git", "-C", str(there.sources), "-c", "user.name=Ada", "-c", "user.email=ada@larkfield.example"]
    (there.sources / f"{ID}.md").rename(there.sources / "older-name.md")
    for command in (["init", "-q"], ["add", "older-name.md"], ["commit", "-qm", "One"], ["mv", "older-name.md", f"{ID}.md"], ["commit", "-qm", "Two"]):
        subprocess.run([*git, *command], check=True, capture_output=True)
    erasure = Erasing(there, ID).run("Ada")
    assert any("older-name.md" in one and f"{ID}.md" in one for one in erasure.elsewhere)


def test_where_the_history_is_a_link_the_report_is_whole(there: Settings, tmp_path: Path) -> None:
    moved = shutil.move(there.sources / "history", tmp_path / "elsewhere")
    (there.sources / "history").symlink_to(moved)
    assert Erasing(there, ID).run("Ada").left == ()


def test_an_article_that_is_a_link_is_named_where_it_leads(there: Settings, tmp_path: Path) -> None:
    target = shutil.move(there.sources / f"{ID}.md", tmp_path / "kept.md")
    (there.sources / f"{ID}.md").symlink_to(target)
    erasure = Erasing(there, ID).run("Ada")
    assert not erasure.complete and any("kept.md" in one for one in erasure.elsewhere)


@pytest.mark.parametrize("word", ["policy", "created", "files", "documents"])
def test_a_word_of_the_manifest_is_no_article(word: str, there: Settings) -> None:
    with pytest.raises(SourceError, match="There is no article"):
        Erasing(there, word)


def test_what_people_put_among_the_sources_is_named_and_stays(there: Settings) -> None:
    note = there.sources / "notes.txt"
    note.write_text(f"He wrote: visitors of the Larkfield garden bring a {WORDS[1]} with them!", encoding="utf-8")
    stray = there.sources / "history" / "versions" / f"{'0' * 64}.md"
    stray.write_text(text_of(WORDS[0]), encoding="utf-8")
    erasure = Erasing(there, ID).run("Ada")
    assert erasure.left == (str(note),) and not erasure.complete
    assert not stray.exists(), "a version that no act knows"
    assert holding(there.sources, there.index) == {"notes.txt"}


def test_it_goes_on_where_it_was_interrupted(there: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def kill(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr("ragbot.erasing.build_index", kill)
        Erasing(there, ID).run("Ada")
    assert holding(there.index)
    assert Erasing(there, ID).run("Ada").complete
    assert holding(there.sources, there.index) == set()


@pytest.mark.parametrize("identity", ["../secrets", "", "README", "nothing-like-it"])
def test_what_is_no_article_is_told(identity: str, there: Settings) -> None:
    with pytest.raises(SourceError):
        Erasing(there, identity)


def test_an_article_that_another_one_points_to_stays(there: Settings) -> None:
    before = sorted(there.sources.rglob("*"))
    with pytest.raises(SourceError, match="caution of 'feeding-tomatoes' points to 'coffee-grounds'"):
        Erasing(there, "coffee-grounds").run("Ada")
    assert sorted(there.sources.rglob("*")) == before


def test_without_an_index_the_sources_are_erased(there: Settings) -> None:
    shutil.rmtree(there.index)
    assert Erasing(there, ID).run("Ada").complete
    assert holding(there.sources) == set()
    assert not there.index.exists()


@pytest.fixture
def command(there: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    monkeypatch.chdir(tmp_path)
    return ["--sources", str(there.sources), "--index", str(there.index), "sources", "erase", ID]


def test_the_command_asks_first_and_prints_what_it_did(command: list[str], there: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert run(command) == 2
    assert "cannot be undone" in capsys.readouterr().err
    assert (there.sources / f"{ID}.md").exists()
    assert run([*command, "--yes", "--by", "Ada", "--json"]) == 0
    said: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert said["complete"] and said["left"] == [] and said["files_searched"] > 20
    assert {place["name"] for place in said["places"]} >= {"article", "versions", "originals", "generations of the index"}
    assert run([*command, "--yes"]) == 2
    assert "There is no article" in capsys.readouterr().err
    assert generations.current_generation(there.index)
