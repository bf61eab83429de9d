"""What a machine does to an index, for real: a disk that is full, minutes of publishing and asking at once. The random kills stand in
test_indexing, damaged files in test_store."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ragbot import generations
from ragbot.chatbot import Ragbot
from ragbot.curating import Desk
from ragbot.digests import Files
from ragbot.embedded import ArticleFiles
from ragbot.errors import StoreError
from ragbot.generation import Generation, open_index
from ragbot.generations import current_generation
from ragbot.indexing import IndexReport
from ragbot.manifest import read_description
from ragbot.records import Answer
from ragbot.settings import Settings
from ragbot.web.reindexing import Reindexing

pytestmark = pytest.mark.slow
SOAK_SECONDS = 300
QUESTION = "How long must visitors of the Larkfield garden stay silent?"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with 6 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", folder], capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a file system")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_is_told_and_the_old_index_keeps_serving(small_disk: Path, bare_index: Path, copied_library: Path, index_articles: Callable[..., IndexReport]) -> None:
    """The disk fills up at many places of a build: a filler leaves ever more room, until the build succeeds."""
    index, filler = small_disk / "index", small_disk / "filler"
    shutil.copytree(bare_index, index)
    article = copied_library / "pruning-tomatoes.md"
    article.write_text(article.read_text(encoding="utf-8") + "\nPlants like steady rain best.\n", encoding="utf-8")
    failed = in_memory = 0
    for room in itertools.count(0, 64 * 1024):
        filler.unlink(missing_ok=True)
        for leftover in index.glob("building-*"):
            shutil.rmtree(leftover)
        free = shutil.disk_usage(small_disk).free
        with filler.open("wb") as file:
            file.write(b"\0" * max(0, free - room))
        try:
            report = index_articles(index, copied_library, elsewhere=failed % 8 == 0)
        except StoreError as error:
            failed += 1
            assert "old index keeps serving" in str(error) or "cannot be written" in str(error)
            opened, problems = open_index([current_generation(index)])
            assert opened.name == "gen-000001"
            assert all("full or read-only" in problem for problem in problems)
            in_memory += opened.in_memory
            opened.verify()
            opened.close()
            continue
        assert report.generation == "gen-000002"
        break
    assert failed >= 5, "the disk was never full in the middle of a build"
    Generation(current_generation(index)).verify()
    print(f"{failed} builds on a full disk, the old index sound after each ({in_memory} times in memory); then {room // 1024} kB were enough")


def article_of(version: int) -> str:
    card = "title: Rules of the Larkfield garden\nsummary: House rules.\npublisher: Larkfield\nurl: https://larkfield.example/\nstatus: draft\n"
    words = f"Visitors of the Larkfield garden must stay silent for {version} minutes.\n\n## Silence\n\nThe silence of visitors to the Larkfield garden lasts {version} minutes."
    return f"---\n{card}---\n{words}\n"


def test_minutes_of_publishing_and_asking_at_once(index: Path, copied_library: Path, tmp_path: Path) -> None:
    """No error, and no answer from mixed generations: each names its generation, and holds that generation's words only."""
    there = Settings(sources=copied_library, index=Path(shutil.copytree(index, tmp_path / "index")))
    bot = Ragbot.open(there)
    bot.warm_up()
    desk, reindexing = Desk(there), Reindexing(there)
    published: dict[str, int] = {}
    problems: list[str] = []
    asked: list[tuple[str, int]] = []
    until = time.monotonic() + SOAK_SECONDS

    def ask() -> None:
        while time.monotonic() < until:
            try:
                answer = bot.ask(QUESTION)
                asked.append((answer.index or "", look_at(answer)))
            except Exception as error:
                problems.append(f"{type(error).__name__}: {error}")
            time.sleep(0.01)

    def look_at(answer: Answer) -> int:
        """The version that an answer speaks of, 0 where it does not answer; whatever it quotes stands so in its generation."""
        versions = {int(words) for statement in answer.statements for words in re.findall(r"(\d+) minutes", statement.text)}
        if len(versions) > 1:
            problems.append(f"{answer.index}: versions {versions} in one answer")
        for citation in answer.citations:
            try:
                folder = there.index / (answer.index or "")
                text = ArticleFiles(Files(folder, read_description(folder).files), citation.article).document.text
            except StoreError:
                # Two generations are kept; one that is older was swept away meanwhile.
                continue
            if text[citation.start : citation.end] != citation.quote:
                problems.append(f"{answer.index}: {citation.quote!r} does not stand there")
        return versions.pop() if versions else 0

    askers = [threading.Thread(target=ask) for _ in range(2)]
    for asker in askers:
        asker.start()
    (copied_library / "drafts").mkdir()
    files_before = len(os.listdir("/proc/self/fd"))
    version = 0
    while time.monotonic() < until:
        version += 1
        (copied_library / "drafts" / "larkfield.md").write_text(article_of(version), encoding="utf-8")
        desk.publish("larkfield", "Ada")
        if version % 5 == 0:
            desk.retire("larkfield", "Ada")
            bot.engines.withdraw("larkfield")
        else:
            bot.engines.readmit("larkfield")
        reindexing.request()
        while reindexing.progress.state == "running":
            time.sleep(0.02)
        assert reindexing.progress.state == "idle", reindexing.progress
        published[generations.current_generation(there.index).name] = 0 if version % 5 == 0 else version
    for asker in askers:
        asker.join()
    reindexing.stop()
    assert problems == []
    assert bot.engines.alarms == []
    for name, found in asked:
        assert found in (0, published.get(name, 0)), f"{name} holds version {published.get(name)}, the answer speaks of {found}"
    assert len({found for _, found in asked}) > version // 3
    assert len(os.listdir("/proc/self/fd")) < files_before + 40
    print(f"{version} publications and {len(asked)} questions in {SOAK_SECONDS} s, no error")
