"""Where the staff's work waits for its turn: jobs, and the lanes that do them one after another in processes of their own."""

from __future__ import annotations

import queue
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from ragbot.errors import WorkError
from ragbot.working import Tell

MOST_QUEUED = 20
# A process that has had nothing to do for this long is ended, and its memory given back.
IDLE_SECONDS = 300.0
# What was done and never fetched is kept for this long.
KEPT_SECONDS = 600.0
MOST_KEPT = 50

Made = tuple[Mapping[str, Any], bytes]


class Doer(Protocol):
    """What does an order: ragbot.working.Worker, or the work itself."""

    def do(self, order: Mapping[str, Any], data: bytes = b"", tell: Tell = ...) -> Made: ...

    def rest(self) -> None: ...

    def stop(self) -> None: ...


@dataclass(slots=True)
class Job:
    """One order of somebody's: whose it is, where it stands, and what came of it; ``place`` is the address of the page that it makes."""

    owner: str
    order: Mapping[str, Any]
    data: bytes = b""
    place: str = ""
    id: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    state: Literal["queued", "running", "done"] = "queued"
    step: str = ""
    made: Future[Made] = field(default_factory=Future)
    ended: float = 0.0


class Lane:
    """Jobs one after another, in as many processes as there are ``doers``; each is begun when there is work for it."""

    def __init__(self, doers: int, doer: Callable[[], Doer]) -> None:
        self._doers, self._doer = doers, doer
        self._jobs: queue.Queue[Job | None] = queue.Queue()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._working: list[Doer] = []
        self._unfinished = 0
        self._stopped = False

    def submit(self, job: Job) -> None:
        """Takes a job in.

        Raises:
            WorkError: too many are waiting, or the server is about to end.
        """
        with self._lock:
            if self._stopped:
                raise WorkError("The server is about to end.", "Try again in a moment.")
            if self._unfinished >= MOST_QUEUED:
                raise WorkError("Too much work is waiting just now.", "Nothing was changed. Try again in a moment.")
            self._unfinished += 1
            self._jobs.put(job)
            if len(self._threads) < min(self._doers, self._unfinished):
                thread = threading.Thread(target=self._work, name="staff-work", daemon=True)
                self._threads.append(thread)
                thread.start()

    def before(self, job: Job) -> int:
        """How many jobs are waiting before one."""
        waiting = list(self._jobs.queue)
        return waiting.index(job) if job in waiting else 0

    def stop(self, seconds: float) -> None:
        """Takes no more jobs, waits for those under way, and after the seconds ends them."""
        with self._lock:
            self._stopped = True
            threads, doers = list(self._threads), list(self._working)
        for _ in threads:
            self._jobs.put(None)
        until = time.monotonic() + seconds
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
        for doer in doers:
            doer.stop()

    def _work(self) -> None:
        doer = self._doer()
        with self._lock:
            self._working.append(doer)
        while True:
            try:
                job = self._jobs.get(timeout=IDLE_SECONDS)
            except queue.Empty:
                doer.rest()
                continue
            if job is None:
                doer.stop()
                return
            self._run(doer, job)

    def _run(self, doer: Doer, job: Job) -> None:
        job.state = "running"

        def tell(step: Any) -> None:
            job.step = str(step)

        try:
            made = doer.do(job.order, job.data, tell)
        except BaseException as error:  # noqa: BLE001 — whoever waits for the job hears of it, and the lane goes on
            made, problem = None, error
        job.data = b""
        job.ended, job.state = time.monotonic(), "done"
        with self._lock:
            self._unfinished -= 1
        if made is None:
            job.made.set_exception(problem)
        else:
            job.made.set_result(made)


class Jobs:
    """The jobs that somebody may still ask for, by their id."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._lock = threading.Lock()

    def keep(self, job: Job) -> None:
        """Keeps a job that somebody will come back for; what nobody came for is forgotten."""
        with self._lock:
            oldest = time.monotonic() - KEPT_SECONDS
            self._jobs = {key: one for key, one in self._jobs.items() if one.state != "done" or one.ended > oldest}
            for key in [key for key, one in self._jobs.items() if one.state == "done"][: max(0, len(self._jobs) - MOST_KEPT)]:
                del self._jobs[key]
            self._jobs[job.id] = job

    def find(self, identity: str, owner: str) -> Job | None:
        """Somebody's own job, or None."""
        job = self._jobs.get(identity)
        return job if job is not None and job.owner == owner else None

    def find_at(self, place: str, owner: str) -> Job | None:
        """The job by which somebody's page is being made, or was made and not looked at yet."""
        with self._lock:
            return next((job for job in self._jobs.values() if job.place == place and job.owner == owner), None)

    def forget(self, job: Job) -> None:
        """Forgets a job, whose outcome was fetched."""
        with self._lock:
            self._jobs.pop(job.id, None)
