"""Brings the index up to date beside a running server, in a process of its own: reading, splitting and embedding articles takes whole
cores for as long as it lasts. The bot goes over to the new generation by itself."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from ragbot.errors import IndexBusyError, RagbotError
from ragbot.library import build_index
from ragbot.models import Embedder
from ragbot.settings import Settings
from ragbot.web.queueing import Doer
from ragbot.working import Bounds, BrokenWorkError, Tell, Worker, place_of

_log = logging.getLogger("ragbot")
BUSY_PAUSE_SECONDS = 2.0
# A process that holds the embedding model and has had nothing to do for this long is ended.
IDLE_SECONDS = 120.0
# Building an index for the first time takes about a second an article on one core, and there may be thousands.
BOUNDS = Bounds(memory_megabytes=None, seconds=6 * 3600)


def open_work(setup: Mapping[str, Any]) -> Building:
    """The work of the child, over the settings in ``setup``."""
    return Building(Settings(**setup["settings"]))


class Building:
    """Builds the index when it is told to, and keeps the embedding model for the next time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._embedder: Embedder | None = None

    def __call__(self, _: Mapping[str, Any], __: bytes, tell: Tell) -> tuple[Mapping[str, Any], bytes]:
        self._embedder = self._embedder or Embedder(self._settings.embedding_model)
        report = build_index(self._settings, progress=lambda step, done, total: tell([step, done, total]), embedder=self._embedder)
        return {"generation": report.generation}, b""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where indexing stands: ``done`` of ``total`` in ``step`` while it runs; ``problem`` where the last run failed, and the old index serves on."""

    state: Literal["idle", "running", "failed"] = "idle"
    step: str = ""
    done: int = 0
    total: int = 0
    problem: str = ""
    generation: str = ""


class Reindexing:
    """One run at a time; requests that come while it runs are one more run after it.

    Args:
        switched: called after each run, so that the bot goes over to the new generation before somebody asks.
        builder: what builds, in place of a process of its own.
    """

    def __init__(self, settings: Settings, switched: Callable[[], object] = lambda: None, builder: Doer | None = None) -> None:
        setup = {"settings": settings.model_copy(update={"staff": {}}).model_dump(mode="json")}
        self._builder = builder or Worker("ragbot.web.reindexing:open_work", setup, BOUNDS)
        self._switched = switched
        self._wanted = threading.Condition()
        self._waiting = False
        self._stopping = False
        self._thread: threading.Thread | None = None
        self.progress = Progress()

    def request(self) -> None:
        """Asks for a run; returns at once."""
        with self._wanted:
            if self._stopping:
                return
            self._waiting = True
            if self.progress.state != "running":
                self.progress = Progress("running", "waiting", generation=self.progress.generation)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="reindexing", daemon=True)
                self._thread.start()
            self._wanted.notify()

    def stop(self, seconds: float | None = None) -> None:
        """Ends after the run that is under way, for which it waits no longer than the seconds; what was asked for meanwhile is not begun."""
        with self._wanted:
            self._stopping = True
            self._wanted.notify()
        if self._thread is not None:
            self._thread.join(seconds)
        self._builder.stop()

    def _work(self) -> None:
        while True:
            with self._wanted:
                while not self._waiting and not self._stopping:
                    if not self._wanted.wait(IDLE_SECONDS):
                        self._builder.rest()
                if self._stopping:
                    return
                self._waiting = False
            self._run()

    def _run(self) -> None:
        try:
            report, _ = self._builder.do({"do": "build"}, tell=lambda step: self._show(*step))
        except IndexBusyError:
            # Another process is at it; what it builds may be older than what was asked for.
            with self._wanted:
                self._wanted.wait_for(lambda: self._stopping, BUSY_PAUSE_SECONDS)
                self._waiting = True
        except RagbotError as error:
            # The words, which may hold what somebody wrote, are for staff; the log holds kinds and places.
            path, line = getattr(error, "path", None), getattr(error, "line", None)
            where = f" ({Path(path).name}{f':{line}' if line else ''})" if path is not None else ""
            _log.error("the index was not brought up to date: %s%s", type(error).__name__, where)
            self._finish("failed", problem=str(error), generation=self.progress.generation)
        except BaseException as error:  # noqa: BLE001 — an edge of its own: the thread has to live on; the next run may be well
            kind, place = (error.kind, error.place) if isinstance(error, BrokenWorkError) else (type(error).__name__, place_of(error))
            _log.error("the index was not brought up to date: %s at %s", kind, place)
            self._finish("failed", problem="Something went wrong that should not have; see the log.", generation=self.progress.generation)
        else:
            self._switched()
            self._finish("idle", generation=str(report["generation"]))

    def _finish(self, state: Literal["idle", "failed"], *, generation: str, problem: str = "") -> None:
        """Tells how a run ended, unless another one is about to begin."""
        with self._wanted:
            again = self._waiting and not self._stopping
            self.progress = Progress("running", "waiting", generation=generation) if again else Progress(state, problem=problem, generation=generation)

    def _show(self, step: str, done: int, total: int) -> None:
        self.progress = replace(self.progress, state="running", step=step, done=done, total=total)
