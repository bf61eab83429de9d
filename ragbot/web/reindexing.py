"""Brings the index up to date in the background, under a running server: the bot goes over to the new generation by itself."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from ragbot.errors import IndexBusyError, RagbotError
from ragbot.library import build_index
from ragbot.models import Embedder
from ragbot.settings import Settings

_log = logging.getLogger("ragbot")
BUSY_PAUSE_SECONDS = 2.0


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
        embedder: gives the loaded embedding model of the bot, if there is one.
        switched: called after each run, so that the bot goes over to the new generation before somebody asks.
    """

    def __init__(self, settings: Settings, embedder: Callable[[], Embedder | None], switched: Callable[[], object] = lambda: None) -> None:
        self._settings = settings
        self._embedder = embedder
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

    def _work(self) -> None:
        while True:
            with self._wanted:
                while not self._waiting and not self._stopping:
                    self._wanted.wait()
                if self._stopping:
                    return
                self._waiting = False
            self._run()

    def _run(self) -> None:
        try:
            report = build_index(self._settings, progress=self._show, embedder=self._embedder())
        except IndexBusyError:
            # Another process is at it; what it builds may be older than what was asked for.
            with self._wanted:
                self._wanted.wait_for(lambda: self._stopping, BUSY_PAUSE_SECONDS)
                self._waiting = True
        except RagbotError as error:
            _log.error("the index was not brought up to date: %s", error)
            self._finish("failed", problem=str(error), generation=self.progress.generation)
        except BaseException:  # noqa: BLE001 — an edge of its own: the thread has to live on, also where Chroma's core panics; the next run may be well
            _log.exception("the index was not brought up to date")
            self._finish("failed", problem="Something went wrong that should not have; see the log.", generation=self.progress.generation)
        else:
            self._switched()
            self._finish("idle", generation=report.generation)

    def _finish(self, state: Literal["idle", "failed"], *, generation: str, problem: str = "") -> None:
        """Tells how a run ended, unless another one is about to begin."""
        with self._wanted:
            again = self._waiting and not self._stopping
            self.progress = Progress("running", "waiting", generation=generation) if again else Progress(state, problem=problem, generation=generation)

    def _show(self, step: str, done: int, total: int) -> None:
        self.progress = replace(self.progress, state="running", step=step, done=done, total=total)
