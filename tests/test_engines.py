"""A running bot follows whoever switches the index: no question fails, nothing that was taken back is drawn from, nothing is opened twice."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from ragbot import engines as module
from ragbot.chatbot import Ragbot
from ragbot.engines import Engines
from ragbot.errors import IndexBrokenError
from ragbot.generation import open_index
from ragbot.generations import current_generation
from ragbot.guardrails import Policy
from ragbot.guardrails.policies import REVIEWED_POLICY
from ragbot.indexing import IndexReport
from ragbot.library import open_policy
from ragbot.models import Embedder
from ragbot.settings import Settings

MakeSettings = Callable[..., Settings]
Reindex = Callable[[], IndexReport]
GROUNDS, PRUNING = "Do coffee grounds raise the harvest of tomato plants?", "How are vine tomatoes pruned?"


@pytest.fixture
def there(settings: MakeSettings, index: Path, copied_library: Path, tmp_path: Path) -> Settings:
    return settings(sources=copied_library, index=Path(shutil.copytree(index, tmp_path / "index")))


@pytest.fixture
def reindex(there: Settings, index_articles: Callable[..., IndexReport]) -> Reindex:
    """Brings the index up to date as another process would, with the trained classifier that is there."""
    return lambda: index_articles(there.index, there.sources, policy=open_policy(there).digest)


@pytest.fixture
def opened(there: Settings) -> Ragbot:
    return Ragbot.open(there)


@pytest.fixture
def bare(settings: MakeSettings, copied_index: Path, copied_library: Path, embedder: Embedder, tmp_path: Path) -> Engines:
    """Engines over the index without a classifier, with a policy that has rules only."""
    rules = Path(shutil.copytree(REVIEWED_POLICY, tmp_path / "policy", ignore=shutil.ignore_patterns("*.jsonl")))
    return Engines(settings(sources=copied_library, index=copied_index), embedder, Policy(rules), None)


@pytest.fixture
def reindex_bare(bare: Engines, index_articles: Callable[..., IndexReport]) -> Reindex:
    def run() -> IndexReport:
        path = bare._settings.sources / "watering-tomatoes.md"
        path.write_text(f"{path.read_text(encoding='utf-8')}\nMuch rain fell.\n", encoding="utf-8")
        return index_articles(bare._settings.index, bare._settings.sources)

    return run


class Gate:
    """Holds whoever opens an index until it is told to go on, and counts."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.opened: list[str] = []
        self.pass_on = threading.Event()
        monkeypatch.setattr(module, "open_index", self)
        monkeypatch.setattr(module, "OPENING_SECONDS", 0.1)

    def __call__(self, folders: Any) -> Any:
        self.opened.append(folders[0].name)
        # However long the machine takes: what the test waits for is that it is told.
        self.pass_on.wait()
        return open_index(folders)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def follow(engines: Engines, name: str) -> None:
    wait_until(lambda: engines.current().generation.name == name)


def wait_until(holds: Callable[[], bool]) -> None:
    """Waits for what may take long on a busy machine; the limit is only there so that a broken test ends."""
    deadline = time.monotonic() + 300
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def cited(bot: Ragbot, question: str) -> set[str]:
    return {citation.article for citation in bot.ask(question).citations}


DAMAGES: dict[str, Callable[[Path], object]] = {
    "vectors": lambda folder: (folder / "chroma" / "chroma.sqlite3").write_bytes(b"no database" * 1000),
    "manifest": lambda folder: (folder / "manifest.json").write_text("{", encoding="utf-8"),
    "text": lambda folder: edit(folder / "articles" / "coffee-grounds.json", "640 plants", "460 plants"),
}
TAKEN_BACK: dict[str, Callable[[Path], None]] = {
    "retired": lambda path: edit(path, "status: published", "status: retired"),
    "removed": lambda path: path.unlink(),
    "changed": lambda path: edit(path, "Slugs crossed", "Large slugs crossed"),
}


def test_what_another_process_builds_answers_the_next_question(there: Settings, opened: Ragbot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "OPENING_SECONDS", 20.0)
    guard = opened.engines.current().guard
    edit(there.sources / "coffee-grounds.md", "640 plants", "641 plants")
    command = [sys.executable, "-m", "ragbot", "--sources", str(there.sources), "--index", str(there.index), "index"]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    assert "641 plants" in opened.ask(GROUNDS).text
    assert opened.engines.current().guard is guard, "the same policy made it"
    assert opened.engines.alarms == []


@pytest.mark.parametrize("how", TAKEN_BACK)
def test_what_is_taken_back_is_not_drawn_from_while_the_next_is_opened(
    how: str, there: Settings, opened: Ragbot, reindex: Reindex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the moment CURRENT names it; all other questions are answered from the generation before, and none fails."""
    assert "coffee-grounds" in cited(opened, GROUNDS)
    feeding = there.sources / "feeding-tomatoes.md"
    text = feeding.read_text(encoding="utf-8")
    if how != "changed":
        # Its caution points to the article that goes.
        feeding.write_text("\n".join(line for line in text.splitlines() if "see: coffee-grounds" not in line and line != "cautions:"), encoding="utf-8")
    TAKEN_BACK[how](there.sources / "coffee-grounds.md")
    gate, before = Gate(monkeypatch), opened.generation.name
    coming = reindex().generation
    answers = []
    askers = [threading.Thread(target=lambda: answers.append((opened.ask(GROUNDS), opened.ask(PRUNING)))) for _ in range(4)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert len(answers) == 4
    for grounds, pruning in answers:
        assert "coffee-grounds" not in {citation.article for citation in grounds.citations}
        assert pruning.status == "answered" and "pruning-tomatoes" in {citation.article for citation in pruning.citations}
        assert grounds.index == pruning.index == before
    assert gate.opened == [coming], "opened once, for all that asked"
    gate.pass_on.set()
    follow(opened.engines, current_generation(there.index).name)
    assert ("coffee-grounds" in cited(opened, GROUNDS)) is (how == "changed")
    assert gate.opened == [coming]


def test_a_question_that_began_before_does_not_draw_from_what_has_gone_since(there: Settings, opened: Ragbot, reindex: Reindex) -> None:
    engine = opened.engines.current()
    (there.sources / "pruning-tomatoes.md").unlink()
    follow(opened.engines, reindex().generation)
    assert "pruning-tomatoes" in engine.generation.documents
    assert opened._in_time(engine.retriever.retrieve(PRUNING, 8))
    assert "pruning-tomatoes" not in {passage.source.id for passage in opened._in_time(engine.retriever.retrieve(PRUNING, 8))}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_broken_generation_raises_one_alarm_and_is_not_tried_again(
    damage: str, there: Settings, opened: Ragbot, reindex: Reindex, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = opened.generation.name
    (there.sources / "pruning-tomatoes.md").unlink()
    broken = reindex().generation
    DAMAGES[damage](there.index / broken)
    gate = Gate(monkeypatch)
    gate.pass_on.set()
    wait_until(lambda: opened.ask(GROUNDS).index == before and bool(opened.engines.alarms))
    for _ in range(3):
        assert opened.ask(GROUNDS).index == before
        assert "coffee-grounds" in cited(opened, GROUNDS)
    assert len(opened.engines.alarms) == 1
    assert broken in opened.engines.alarms[0]
    assert gate.opened == [broken]
    # What was removed stays out, although the generation that lacks it is broken; the sources tell where its manifest cannot.
    assert "pruning-tomatoes" not in cited(opened, PRUNING)
    # Who puts CURRENT back has everything back; what is built next is followed.
    (there.index / "CURRENT").write_text(f"{before}\n", encoding="ascii")
    assert "pruning-tomatoes" in cited(opened, PRUNING)
    edit(there.sources / "coffee-grounds.md", "640 plants", "641 plants")
    follow(opened.engines, reindex().generation)
    assert "641 plants" in opened.ask(GROUNDS).text
    assert opened.engines.alarms == []


@pytest.mark.parametrize("error", [OSError("the disk is gone"), RuntimeError("a bug"), IndexBrokenError("broken", "Mend it.")], ids=repr)
def test_whatever_goes_wrong_while_opening_is_an_alarm(error: Exception, bare: Engines, reindex_bare: Reindex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "open_index", Mock(side_effect=error))
    reindex_bare()
    assert bare.current().generation.name == "gen-000001"
    wait_until(lambda: bool(bare.alarms))
    assert [bare.current().generation.name for _ in range(3)] == ["gen-000001"] * 3
    assert len(bare.alarms) == 1 and error.args[0] in bare.alarms[0]


def test_a_generation_swept_away_while_it_was_opened_is_no_alarm(bare: Engines, reindex_bare: Reindex, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(monkeypatch)
    reindex_bare()
    assert bare.current().generation.name == "gen-000001"
    for _ in range(2):
        reindex_bare()
    gate.pass_on.set()
    follow(bare, "gen-000004")
    assert bare.alarms == []


def test_withdrawn_articles_stay_out_until_they_are_gone_or_readmitted(bare: Engines, reindex_bare: Reindex) -> None:
    bare.withdraw("pruning-tomatoes")
    # A build that began before still holds it.
    follow(bare, reindex_bare().generation)
    assert bare.is_withdrawn("pruning-tomatoes") and not bare.is_withdrawn("coffee-grounds")
    bare.readmit("pruning-tomatoes")
    assert not bare.is_withdrawn("pruning-tomatoes")
    bare.withdraw("pruning-tomatoes")
    article = bare._settings.sources / "pruning-tomatoes.md"
    text = article.read_text(encoding="utf-8")
    article.unlink()
    follow(bare, reindex_bare().generation)
    assert "pruning-tomatoes" not in bare.current().generation.documents
    article.write_text(text, encoding="utf-8")
    follow(bare, reindex_bare().generation)
    assert "pruning-tomatoes" in bare.current().generation.documents
    assert not bare.is_withdrawn("pruning-tomatoes"), "it was published anew"


def test_an_index_that_is_gone_is_told_once_and_the_engine_in_use_goes_on(bare: Engines) -> None:
    (bare._settings.index / "CURRENT").unlink()
    assert [bare.current().generation.name for _ in range(3)] == ["gen-000001"] * 3
    assert len(bare.alarms) == 1


def test_where_the_current_generation_is_damaged_the_one_before_serves(there: Settings, opened: Ragbot, reindex: Reindex) -> None:
    """From the start; what the current one no longer holds stays out, and once it is mended the bot goes over to it."""
    before = opened.generation.name
    (there.sources / "pruning-tomatoes.md").unlink()
    edit(there.sources / "coffee-grounds.md", "640 plants", "641 plants")
    damaged = reindex().generation
    path = there.index / damaged / "articles" / "feeding-tomatoes.vectors"
    path.write_bytes(path.read_bytes()[:1000])
    bot = Ragbot.open(there)
    for _ in range(2):
        assert bot.ask(GROUNDS).index == before
        assert cited(bot, PRUNING).isdisjoint({"pruning-tomatoes"})
        assert "640 plants" not in bot.ask(GROUNDS).text, "it says 641 by now"
    (alarm,) = bot.engines.alarms
    assert f"{damaged!r} is broken: 'articles/feeding-tomatoes.vectors'" in alarm and "ragbot index" in alarm
    report = reindex()
    assert report.mended == ("articles/feeding-tomatoes.vectors",)
    wait_until(lambda: bot.engines.current().generation.name == report.generation)
    assert "641 plants" in bot.ask(GROUNDS).text
    assert bot.engines.alarms == []


@pytest.mark.parametrize("words", [None, "", "gen-000009", "\udcff"], ids=repr)
def test_where_current_names_nothing_the_newest_sound_generation_serves(words: str | None, there: Settings, reindex: Reindex) -> None:
    edit(there.sources / "coffee-grounds.md", "640 plants", "641 plants")
    newest = reindex().generation
    current = there.index / "CURRENT"
    current.unlink() if words is None else current.write_bytes(words.encode("utf-8", "surrogateescape"))
    bot = Ragbot.open(there)
    assert "641 plants" in bot.ask(GROUNDS).text
    (alarm,) = bot.engines.alarms
    assert "CURRENT" in alarm and "ragbot index" in alarm
    assert reindex().mended == ("CURRENT",)
    assert bot.ask(GROUNDS).index == current_generation(there.index).name == newest
    assert bot.engines.alarms == []


def test_what_is_found_damaged_while_answering_is_set_aside(there: Settings, opened: Ragbot, reindex: Reindex) -> None:
    """Word pieces are read when a question comes to them."""
    edit(there.sources / "coffee-grounds.md", "640 plants", "641 plants")
    newest = reindex().generation
    follow(opened.engines, newest)
    pieces = there.index / newest / "articles" / "pruning-tomatoes.pieces"
    data = bytearray(pieces.read_bytes())
    data[1000] ^= 64
    pieces.write_bytes(data)
    assert "pruning-tomatoes" in cited(opened, PRUNING)
    assert opened.generation.name != newest
    assert "640 plants" not in opened.ask(GROUNDS).text, "it says 641 by now"
    (alarm,) = opened.engines.alarms
    assert "'articles/pruning-tomatoes.pieces' is not what was written" in alarm
    report = reindex()
    assert report.mended == ("articles/pruning-tomatoes.pieces",)
    wait_until(lambda: opened.engines.current().generation.name == report.generation)
    assert "641 plants" in opened.ask(GROUNDS).text
    assert opened.engines.alarms == []


def test_where_no_other_generation_is_sound_the_question_is_told_so(there: Settings, opened: Ragbot) -> None:
    shutil.rmtree(opened.generation.folder / "articles")
    with pytest.raises(IndexBrokenError, match="cannot be read"):
        opened.ask(PRUNING)
    assert len(opened.engines.alarms) == 1


def test_a_generation_that_was_swept_away_while_it_answered_is_no_alarm(there: Settings, opened: Ragbot, reindex: Reindex, monkeypatch: pytest.MonkeyPatch) -> None:
    edit(there.sources / "coffee-grounds.md", "640 plants", "641 plants")
    newest = reindex().generation
    shutil.rmtree(opened.engines._engine.generation.folder)
    monkeypatch.setattr(Engines, "current", lambda engines: engines._engine)
    assert opened.ask(PRUNING).index == newest
    assert opened.engines.alarms == []


def test_the_retriever_follows_the_index_and_what_was_taken_back(there: Settings, opened: Ragbot, reindex: Reindex) -> None:
    retriever = opened.as_retriever(20)

    def found() -> set[str]:
        return {document.metadata["article"] for document in retriever.invoke("tomatoes")}

    assert {"coffee-grounds", "pruning-tomatoes"} <= found()
    opened.engines.withdraw("coffee-grounds")
    assert "coffee-grounds" not in found() and "pruning-tomatoes" in found()
    opened.engines.readmit("coffee-grounds")
    edit(there.sources / "coffee-grounds.md", "640 plants", "641 plants")
    (there.sources / "pruning-tomatoes.md").unlink()
    follow(opened.engines, reindex().generation)
    assert "coffee-grounds" in found() and "pruning-tomatoes" not in found()
    assert any("641 plants" in document.page_content for document in retriever.invoke("coffee grounds"))


def test_an_article_whose_review_is_long_overdue_is_not_retrieved(there: Settings, reindex: Reindex) -> None:
    edit(there.sources / "coffee-grounds.md", "due: 2027-01-05", "due: 2020-01-05")
    edit(there.sources / "coffee-grounds.md", "on: 2026-01-05", "on: 2019-01-05")
    reindex()
    bot = Ragbot.open(there)
    for passages in ({one.source.id for one in bot.search("coffee grounds")}, {one.metadata["article"] for one in bot.as_retriever().invoke("coffee grounds")}):
        assert passages and "coffee-grounds" not in passages


def test_generations_that_were_left_are_closed(bare: Engines, reindex_bare: Reindex) -> None:
    counts = []
    for number in range(20):
        follow(bare, reindex_bare().generation)
        engine = bare.current()
        assert engine.generation.name == f"gen-{number + 2:06d}"
        assert engine.generation.search(engine.generation.chunk_vectors[0], 1)
        del engine
        gc.collect()
        counts.append(len(os.listdir("/proc/self/fd")))
    assert max(counts[10:]) <= max(counts[:5]) + 5, counts


def test_what_was_retired_while_no_server_was_there_stays_out(there: Settings) -> None:
    """The server was killed after an article was retired, before the index had followed."""
    edit(there.sources / "coffee-grounds.md", "status: published", "status: 'retired'")
    bot = Ragbot.open(there)
    assert "coffee-grounds" in bot.generation.documents
    assert "coffee-grounds" not in cited(bot, GROUNDS)
    assert bot.engines.is_withdrawn("coffee-grounds")
    assert not bot.engines.is_withdrawn("pruning-tomatoes")
