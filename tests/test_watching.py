"""Files of the articles that come, change and go are told of, once they have settled; nothing else is."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ragbot import watching
from ragbot.watching import watch_sources

Act = Callable[[Path], None]
SETTLING = 0.3


class Watched:
    """A folder that is followed, and how often it was told that it changed."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.stop, self.calls = folder, threading.Event(), 0
        self.thread = watch_sources(folder, self._count, self.stop)

    def _count(self) -> None:
        self.calls += 1

    def get_ready(self) -> None:
        """Waits until the folder is followed indeed: a probe is changed until somebody hears of it."""
        deadline = time.monotonic() + 20
        while not self.calls:
            assert time.monotonic() < deadline, "the folder is not followed"
            (self.folder / "probe.md").write_text(str(time.monotonic()), encoding="utf-8")
            time.sleep(2 * SETTLING)
        time.sleep(SETTLING)
        self.calls = 0

    def settle(self) -> None:
        time.sleep(3 * SETTLING)


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    monkeypatch.setattr(watching, "SETTLING_MILLISECONDS", int(1000 * SETTLING))
    folder = tmp_path / "sources"
    for name in ("drafts", "history", "feedback"):
        (folder / name).mkdir(parents=True)
    (folder / "there.md").write_text("words", encoding="utf-8")
    one = Watched(folder)
    one.get_ready()
    yield one
    one.stop.set()
    one.thread.join(10)


def save_by_rename(folder: Path) -> None:
    (folder / ".there.md.swp").write_text("new words", encoding="utf-8")
    (folder / ".there.md.swp").replace(folder / "there.md")


def save_with_a_copy(folder: Path) -> None:
    (folder / "there.md").rename(folder / "there.md~")
    (folder / "there.md").write_text("new words", encoding="utf-8")
    (folder / "there.md~").unlink()


def write_slowly(folder: Path) -> None:
    with (folder / "slow.md").open("w", encoding="utf-8") as file:
        for _ in range(8):
            file.write("words ")
            file.flush()
            time.sleep(0.1)


def copy_many(folder: Path) -> None:
    for number in range(8):
        (folder / f"copy-{number}.md").write_text("words", encoding="utf-8")
        time.sleep(0.1)


@pytest.mark.parametrize(
    "act",
    [
        lambda folder: (folder / "new.md").write_text("words", encoding="utf-8"),
        lambda folder: (folder / "NEW.MD").write_text("words", encoding="utf-8"),
        lambda folder: (folder / "there.md").write_text("new words", encoding="utf-8"),
        lambda folder: (folder / "there.md").unlink(),
        lambda folder: (folder / "there.md").rename(folder / "elsewhere.md"),
        lambda folder: (folder / "there.md").rename(folder / "drafts" / "there.md"),
        save_by_rename,
        save_with_a_copy,
        write_slowly,
        copy_many,
    ],
    ids=["dropped", "capitals", "changed", "removed", "renamed", "moved-away", "saved-by-rename", "saved-with-a-copy", "written-slowly", "many"],
)
def test_a_change_of_articles_is_told_once(act: Act, watched: Watched) -> None:
    act(watched.folder)
    watched.settle()
    assert watched.calls == 1


def test_what_is_no_article_is_told_to_nobody(watched: Watched) -> None:
    for name in (
        "drafts/new.md",
        "history/acts.jsonl",
        "history/versions.md",
        "feedback/feedback.sqlite",
        ".hidden.md",
        ".there.md.swp",
        "README.md",
        "notes.txt",
        "x.md~",
        "retractions.csv",
    ):
        (watched.folder / name).write_text("words", encoding="utf-8")
    (watched.folder / "drafts" / "new.md").unlink()
    (watched.folder / "notes.txt").unlink()
    watched.settle()
    assert watched.calls == 0


def test_a_folder_that_is_never_still_is_told_of_all_the_same(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    watched.stop.set()
    watched.thread.join(10)
    monkeypatch.setattr(watching, "LONGEST_MILLISECONDS", 1000)
    busy = Watched(watched.folder)
    busy.get_ready()
    until = time.monotonic() + 3
    while time.monotonic() < until:
        (watched.folder / "there.md").write_text(str(time.monotonic()), encoding="utf-8")
        time.sleep(0.05)
    assert busy.calls
    busy.stop.set()
    busy.thread.join(10)


def test_a_folder_put_in_the_place_of_another_is_followed(watched: Watched, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    shutil.copytree(watched.folder, tmp_path / "restored")
    watched.folder.rename(tmp_path / "old")
    with caplog.at_level(logging.ERROR):
        time.sleep(1)
    assert sum("cannot be followed" in record.message for record in caplog.records) == 1
    (tmp_path / "restored").rename(watched.folder)
    time.sleep(2)
    assert watched.calls == 1, "what changed while nobody looked was not told of"
    (watched.folder / "there.md").write_text("new words", encoding="utf-8")
    watched.settle()
    assert watched.calls == 2


@pytest.mark.parametrize("there", [True, False])
def test_stop_ends_the_thread(there: bool, tmp_path: Path) -> None:
    folder = tmp_path if there else tmp_path / "nowhere"
    one = Watched(folder)
    time.sleep(0.3)
    assert one.thread.is_alive()
    assert one.thread.daemon
    one.stop.set()
    one.thread.join(5)
    assert not one.thread.is_alive()
    assert one.calls == 0
