"""The index follows in the background: one run at a time, none lost, whatever goes wrong in one of them."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from ragbot import generations
from ragbot.errors import IndexBusyError, ModelError, StoreError
from ragbot.generations import current_generation
from ragbot.settings import Settings
from ragbot.web import reindexing as module
from ragbot.web.reindexing import Progress, Reindexing

MakeSettings = Callable[..., Settings]


class PanicError(BaseException):
    """What a library in Rust may raise: no Exception."""


class Builds:
    """Stands in for the process that builds: each run waits for its turn, and ends as it is told."""

    def __init__(self) -> None:
        self.begun, self.at_once, self.most_at_once = 0, 0, 0
        self.turn, self.started = threading.Semaphore(0), threading.Semaphore(0)
        self.outcomes: list[BaseException | None] = []

    def do(self, order: Mapping[str, Any], data: bytes = b"", tell: Callable[[Any], None] = lambda step: None) -> tuple[Mapping[str, Any], bytes]:
        self.begun += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        tell(["embedding", 1, 3])
        self.started.release()
        assert self.turn.acquire(timeout=20)
        self.at_once -= 1
        outcome = self.outcomes.pop(0) if self.outcomes else None
        if outcome is not None:
            raise outcome
        return {"generation": "gen-000007"}, b""

    def rest(self) -> None:
        pass

    def stop(self) -> None:
        pass

    def wait_for_start(self) -> None:
        assert self.started.acquire(timeout=20)


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> Builds:
    builds = Builds()
    monkeypatch.setattr(module, "BUSY_PAUSE_SECONDS", 0.05)
    return builds


@pytest.fixture
def reindexing(settings: MakeSettings, builds: Builds) -> Iterator[Reindexing]:
    one = Reindexing(settings(), builder=builds)
    yield one
    builds.turn.release(50)
    one.stop()


def wait_until(holds: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.01)


def test_progress_goes_from_idle_to_running_to_idle(reindexing: Reindexing, builds: Builds) -> None:
    assert reindexing.progress == Progress("idle")
    reindexing.request()
    assert reindexing.progress.state == "running"
    builds.wait_for_start()
    assert reindexing.progress == Progress("running", "embedding", 1, 3)
    builds.turn.release()
    wait_until(lambda: reindexing.progress.state != "running")
    assert reindexing.progress == Progress("idle", generation="gen-000007")


@pytest.mark.parametrize("requests", [1, 2, 20])
def test_requests_while_one_runs_are_one_more_run(requests: int, reindexing: Reindexing, builds: Builds) -> None:
    reindexing.request()
    builds.wait_for_start()
    askers = [threading.Thread(target=reindexing.request) for _ in range(requests)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    builds.turn.release()
    builds.wait_for_start()
    assert reindexing.progress.state == "running"
    builds.turn.release()
    wait_until(lambda: reindexing.progress.state == "idle")
    time.sleep(0.1)
    assert (builds.begun, builds.most_at_once) == (2, 1)


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (StoreError("The disk is full.", "Make room."), "The disk is full. Make room."),
        (ModelError("No weights."), "No weights."),
        (RuntimeError("secret detail"), "Something went wrong that should not have; see the log."),
        (PanicError("secret detail"), "Something went wrong that should not have; see the log."),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_goes_wrong_is_told_and_the_next_request_recovers(outcome: BaseException, words: str, reindexing: Reindexing, builds: Builds) -> None:
    builds.outcomes = [None, outcome]
    builds.turn.release(3)
    for state, problem in (("idle", ""), ("failed", words), ("idle", "")):
        reindexing.request()
        wait_until(lambda: reindexing.progress.state != "running")
        assert reindexing.progress == Progress(state, problem=problem, generation="gen-000007")  # type: ignore[arg-type]


def test_a_failure_is_not_told_while_another_run_is_about_to_begin(reindexing: Reindexing, builds: Builds) -> None:
    builds.outcomes = [StoreError("The disk is full.")]
    told: list[str] = []
    show = reindexing._show
    reindexing._show = lambda step, done, total: (told.append(reindexing.progress.state), show(step, done, total))[0]  # type: ignore[method-assign]
    reindexing.request()
    builds.wait_for_start()
    reindexing.request()
    builds.turn.release()
    builds.wait_for_start()
    assert told == ["running", "running"]
    assert reindexing.progress.problem == ""


def test_an_index_that_another_process_holds_is_tried_again(reindexing: Reindexing, builds: Builds) -> None:
    builds.outcomes = [IndexBusyError("busy"), IndexBusyError("busy"), None]
    builds.turn.release(3)
    reindexing.request()
    wait_until(lambda: builds.begun > 1)
    assert reindexing.progress.state == "running"
    wait_until(lambda: reindexing.progress.state == "idle")
    assert builds.begun == 3


def test_stop_ends_after_the_run_under_way_and_begins_no_other(reindexing: Reindexing, builds: Builds) -> None:
    reindexing.request()
    builds.wait_for_start()
    reindexing.request()
    threading.Timer(0.2, builds.turn.release).start()
    reindexing.stop()
    assert builds.begun == 1
    assert reindexing.progress.state == "idle"
    reindexing.request()
    time.sleep(0.1)
    assert (builds.begun, reindexing.progress.state) == (1, "idle")


def test_stop_does_not_wait_for_a_busy_index(reindexing: Reindexing, builds: Builds, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BUSY_PAUSE_SECONDS", 60)
    builds.outcomes = [IndexBusyError("busy")]
    builds.turn.release()
    reindexing.request()
    builds.wait_for_start()
    time.sleep(0.2)
    stopper = threading.Thread(target=reindexing.stop)
    stopper.start()
    stopper.join(5)
    assert not stopper.is_alive()


def test_stop_before_anything_was_asked_for(settings: MakeSettings) -> None:
    Reindexing(settings()).stop()


def test_a_broken_article_leaves_the_old_generation_serving(
    settings: MakeSettings, index: Path, copied_library: Path, tmp_path: Path
) -> None:
    there = settings(sources=copied_library, index=Path(shutil.copytree(index, tmp_path / "served")))
    article, before = copied_library / "coffee-grounds.md", current_generation(there.index)
    sound = article.read_text(encoding="utf-8")
    reindexing = Reindexing(there)
    try:
        article.write_text(sound.replace("status: published", "status: maybe"), encoding="utf-8")
        reindexing.request()
        wait_until(lambda: reindexing.progress.state != "running")
        assert reindexing.progress.state == "failed"
        assert "coffee-grounds.md:10" in reindexing.progress.problem
        assert current_generation(there.index) == before
        article.write_text(sound.replace("Slugs crossed", "Big slugs crossed"), encoding="utf-8")
        with generations.writing(there.index):
            reindexing.request()
            time.sleep(0.5)
            assert reindexing.progress.state == "running"
        wait_until(lambda: reindexing.progress.state != "running", 60)
        assert reindexing.progress == Progress("idle", generation=current_generation(there.index).name)
        assert current_generation(there.index).name > before.name
    finally:
        reindexing.stop()
