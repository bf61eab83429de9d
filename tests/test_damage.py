"""Two hundred random damages to the files of an index: no wrong answer, no crash, and `ragbot index` mends each.

Half of them befall an index before it is opened, half an index that a bot has opened and answers from. What is asked is what a visitor
would; whatever is quoted must stand in the sources as they are now.
"""

from __future__ import annotations

import collections
import itertools
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ragbot import chatbot
from ragbot.chatbot import Ragbot
from ragbot.errors import IndexBrokenError, IndexMissingError
from ragbot.generation import Generation
from ragbot.generations import current_generation, list_generations
from ragbot.indexing import IndexReport
from ragbot.library import open_policy
from ragbot.models import Embedder
from ragbot.settings import Settings

DAMAGES, PARTS, SEED = 200, 4, 11
GROUNDS, PRUNING = "Do coffee grounds raise the harvest of tomato plants?", "How are vine tomatoes pruned?"
KINDS = ("truncate", "empty", "delete", "flip a bit", "swap")


@dataclass(frozen=True)
class Library:
    """Sources, an index of two generations over them, the newer one current, and what brings such an index up to date."""

    settings: Settings
    bring_up_to_date: Callable[[Path], IndexReport]

    def holds(self, article: str, quote: str) -> bool:
        return quote in (self.settings.sources / f"{article}.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def two(library: Path, index: Path, index_articles: Callable[..., IndexReport], tmp_path_factory: pytest.TempPathFactory) -> Library:
    base = tmp_path_factory.mktemp("two")
    settings = Settings(sources=Path(shutil.copytree(library, base / "sources")), index=Path(shutil.copytree(index, base / "index")))
    digest, guard = open_policy(settings).digest, Generation(current_generation(index)).guard
    article = settings.sources / "coffee-grounds.md"
    article.write_text(article.read_text(encoding="utf-8").replace("640 plants", "641 plants"), encoding="utf-8")

    def bring_up_to_date(folder: Path) -> IndexReport:
        # Training takes a minute; that it is asked for, and only then, stands in test_indexing.
        return index_articles(folder, settings.sources, policy=digest, train_guard=lambda known: guard)

    bring_up_to_date(settings.index)
    assert len(list_generations(settings.index)) == 2
    return Library(settings, bring_up_to_date)


def wound(path: Path, kind: str, other: Path, rng: random.Random) -> bool:
    """Damages a file; False where that changes nothing."""
    data = bytearray(path.read_bytes())
    if kind == "delete":
        path.unlink()
        return True
    if kind == "swap":
        held = other.read_bytes()
        path.write_bytes(held)
        other.write_bytes(data)
        return held != bytes(data)
    if kind == "flip a bit" and data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif kind == "truncate" and data:
        del data[rng.randrange(len(data)) :]
    else:
        data.clear()
    changed = bytes(data) != path.read_bytes()
    path.write_bytes(data)
    return changed


def ask(bot: Ragbot, two: Library) -> None:
    for question in (PRUNING, GROUNDS):
        answer = bot.ask(question)
        for citation in answer.citations:
            assert two.holds(citation.article, citation.quote), f"{citation.quote!r} does not stand in {citation.article}"
        assert not any("640" in statement.text for statement in answer.statements), "what it said before"
        assert question != PRUNING or any(citation.article == "pruning-tomatoes" for citation in answer.citations), "what is sound is not answered"


def plan(folder: Path, rng: random.Random) -> Iterator[tuple[str, str, str]]:
    """A file, what is done to it, and another file: each file of the index first, then any."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file() and path.name != "LOCK")
    yield from ((name, rng.choice(KINDS), rng.choice([one for one in names if one != name])) for name in names)
    while True:
        name = rng.choice(names)
        yield name, rng.choice(KINDS), rng.choice([one for one in names if one != name])


def test_every_file_is_damaged_at_least_once(two: Library) -> None:
    names = [name for name, _, _ in itertools.islice(plan(two.settings.index, random.Random(SEED)), DAMAGES)]
    there = {path.relative_to(two.settings.index).as_posix() for path in two.settings.index.rglob("*") if path.is_file()}
    assert {*names} == there - {"LOCK"}


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_no_damage_gives_a_wrong_answer_and_each_is_mended(
    part: int, two: Library, embedder: Embedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    damages = list(itertools.islice(plan(two.settings.index, random.Random(SEED)), DAMAGES))
    rng = random.Random(SEED + part)
    monkeypatch.setattr(chatbot, "Embedder", lambda folder: embedder)
    counts: collections.Counter[str] = collections.Counter()
    for number, (name, kind, other) in list(enumerate(damages))[part * DAMAGES // PARTS : (part + 1) * DAMAGES // PARTS]:
        index = Path(shutil.copytree(two.settings.index, tmp_path / "index"))
        settings = two.settings.model_copy(update={"index": index})
        where = f"damage {number}: {kind} {name} {other if kind == 'swap' else ''}"
        print(where)
        running = Ragbot.open(settings) if number % 2 else None
        changed = wound(index / name, kind, index / other, rng)
        counts[kind] += 1
        # A swap may damage both generations, and then nothing may be answered.
        both = kind == "swap" and len({path.split("/")[0] for path in (name, other)} - {"CURRENT"}) == 2
        try:
            bot = running or Ragbot.open(settings)
            ask(bot, two)
        except (IndexBrokenError, IndexMissingError) as error:
            assert both and "ragbot index" in str(error), where
            counts["refused, for both generations were damaged"] += 1
        else:
            serving = (list_generations(two.settings.index)[0].name, "CURRENT")
            touched = changed and (name.startswith(serving) or (kind == "swap" and other.startswith(serving)))
            # A generation that was opened before is in memory, but for the word pieces.
            assert running is not None or bool(bot.engines.alarms) is touched, f"{where}: {bot.engines.alarms}"
            counts["told, and answered"] += bool(bot.engines.alarms)
        two.bring_up_to_date(index)
        bot = Ragbot.open(settings)
        ask(bot, two)
        assert any("641" in statement.text for statement in bot.ask(GROUNDS).statements) and bot.engines.alarms == [], where
        shutil.rmtree(index)
    print(f"{sum(counts[kind] for kind in KINDS)} damages: {dict(counts)}")
