"""Work in processes of their own, with bounds on memory and time: what breaks or dawdles there holds up nothing here.

The one owner of child processes that do a server's work. A child gives way to everything else on the machine, uses one core, sees none
of the server's secrets, and ends with it. It is handed orders one at a time and answers each::

    order, data  →  Work(setup)(order, data, tell)  →  reply, data

Orders and replies are JSON, because what comes back was made of strangers' files and must never be more than data.
"""

from __future__ import annotations

import json
import os
import queue
import resource
import select
import signal
import struct
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import IO, Any

from ragbot import errors
from ragbot.errors import RagbotError, WorkError

MEGABYTE = 1_000_000
# Whoever is served comes first: of a contested core the work gets about a tenth (sched(7): weight 110 against 1024).
NICE = 10
# Of what a child sees of the environment: where programs, caches and the clock's zone are. No key, no password, no setting.
_SEEN = ("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "TZ", "LANG", "PYTHONPATH", "LD_LIBRARY_PATH", "HF_HOME", "SSL_CERT_FILE", "SYSTEMROOT")
# One core a child: two that each take all of them would leave none.
_ONE_CORE = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "RAYON_NUM_THREADS"), "1")
_HEAD = struct.Struct(">II")
# Replies come from a process that read a stranger's file; one that is larger is none of ours.
MOST_REPLY_BYTES, MOST_DATA_BYTES = 4 * MEGABYTE, 64 * MEGABYTE
PATIENCE = 5
_START = "from ragbot.working import serve_orders; serve_orders()"

Tell = Callable[[Any], None]
Work = Callable[[Mapping[str, Any], bytes, Tell], tuple[Mapping[str, Any], bytes]]


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one order may cost: megabytes of memory, and seconds of a core; on a busy machine it may last ``PATIENCE`` times as long. None is
    without bound."""

    memory_megabytes: int | None = 2_500
    seconds: int | None = 120


class BrokenWorkError(Exception):
    """Something that should not have happened in a child: its kind and place, and no word of what it worked on."""

    def __init__(self, kind: str, place: str) -> None:
        super().__init__(f"{kind} at {place}")
        self.kind = kind
        self.place = place


def environment(*, alone: bool = False) -> dict[str, str]:
    """What a child sees of this process's environment; one that works ``alone`` on a stranger's file sees where programs are and no more."""
    seen = ("PATH", "SYSTEMROOT") if alone else _SEEN
    return {name: os.environ[name] for name in seen if name in os.environ} | {"LANG": "C.UTF-8", "TOKENIZERS_PARALLELISM": "false"} | _ONE_CORE


def give_way() -> None:
    """Lets everything else on the machine go first, and be killed last where memory runs out."""
    with suppress(OSError):
        os.nice(NICE)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("700", encoding="ascii")


def place_of(error: BaseException) -> str:
    """Where something was raised, as file and line: all that a log needs, and no word of what was worked on."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "an unknown place"


class Worker:
    """A child that does one kind of work, order by order. It is started with the first one, and anew after one that it did not survive.

    Args:
        work: ``module:name`` of what makes the work: called in the child with ``setup``, it gives a ``Work``.
        setup: JSON values.
    """

    def __init__(self, work: str, setup: Mapping[str, Any], bounds: Bounds) -> None:
        self._start = {"work": work, "setup": dict(setup), "bounds": asdict(bounds)}
        self._bounds = bounds
        self._child: subprocess.Popen[bytes] | None = None
        self._busy = threading.Lock()

    def do(self, order: Mapping[str, Any], data: bytes = b"", tell: Tell = lambda step: None) -> tuple[Mapping[str, Any], bytes]:
        """The reply to an order; waits for it.

        Args:
            tell: called with what the child says of how far it is.

        Raises:
            RagbotError: what the work itself raised.
            WorkError: it took longer or more memory than it may, or its process ended.
            BrokenWorkError: something went wrong in it that should not have.
        """
        with self._busy:
            child = self._running()
            until = None if self._bounds.seconds is None else time.monotonic() + PATIENCE * self._bounds.seconds
            try:
                assert child.stdin is not None
                assert child.stdout is not None
                write_frame(child.stdin, order, data)
                while True:
                    reply, made = _read_reply(child.stdout, until)
                    if "step" not in reply:
                        break
                    tell(reply["step"])
            except (OSError, EOFError, ValueError) as error:
                raise self._why_it_ended(child, late=isinstance(error, TimeoutError)) from None
            if reply.get("ends"):
                self._end()
            return _understood(reply), made

    def _why_it_ended(self, child: subprocess.Popen[bytes], *, late: bool) -> WorkError:
        """Ends a child that does not answer, and tells why it did not."""
        with suppress(subprocess.TimeoutExpired):
            late = late or child.wait(1) == -signal.SIGXCPU
        self._end()
        if late:
            return WorkError(f"This took more than {self._bounds.seconds} seconds of work and was stopped.", "Nothing was changed. Split the text.")
        return WorkError("The process that worked on this ended before it was done.", "Split the text, or try again.")

    def stop(self) -> None:
        """Ends the child at once, and whatever it is doing."""
        child = self._child
        if child is not None:
            _kill(child)
        with self._busy:
            self._end()

    def rest(self) -> None:
        """Ends the child if it has nothing to do, so that it holds no memory; the next order starts another."""
        if self._busy.acquire(blocking=False):
            try:
                self._end()
            finally:
                self._busy.release()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is None or self._child.poll() is not None:
            self._end()
            # A process group of its own, so that Ctrl-C in a terminal reaches the server alone; the session stays the same, because
            # Linux weighs niceness within a session only where it groups processes by it.
            self._child = subprocess.Popen(
                [sys.executable, "-c", _START], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment(), process_group=0
            )
            assert self._child.stdin is not None
            write_frame(self._child.stdin, self._start, b"")
        return self._child

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        _kill(child)
        child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()


def _kill(child: subprocess.Popen[bytes]) -> None:
    """Kills a child and what it has started."""
    if child.returncode is None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)


def write_frame(pipe: IO[bytes], said: Mapping[str, Any], data: bytes) -> None:
    """Writes one order or reply with its data."""
    words = json.dumps(said, ensure_ascii=False).encode("utf-8", "surrogatepass")
    pipe.write(_HEAD.pack(len(words), len(data)) + words)
    pipe.write(data)
    pipe.flush()


def _read_reply(pipe: IO[bytes], until: float | None) -> tuple[dict[str, Any], bytes]:
    """Errors: TimeoutError, EOFError, ValueError where it is none."""
    words, data = _HEAD.unpack(_read_exactly(pipe, _HEAD.size, until))
    if words > MOST_REPLY_BYTES or data > MOST_DATA_BYTES:
        raise ValueError("a reply that is too large")
    reply = json.loads(_read_exactly(pipe, words, until).decode("utf-8", "surrogatepass"))
    if not isinstance(reply, dict):
        raise ValueError("no reply")
    return reply, _read_exactly(pipe, data, until)


def _read_exactly(pipe: IO[bytes], count: int, until: float | None) -> bytes:
    read = bytearray()
    descriptor = pipe.fileno()
    while len(read) < count:
        if until is not None and not select.select([descriptor], [], [], max(0.0, until - time.monotonic()))[0]:
            raise TimeoutError
        piece = os.read(descriptor, min(count - len(read), 1 << 20))
        if not piece:
            raise EOFError
        read += piece
    return bytes(read)


def _understood(reply: Mapping[str, Any]) -> Mapping[str, Any]:
    """The reply, or what it says went wrong, raised here as it was there."""
    if "broke" in reply:
        raise BrokenWorkError(str(reply["broke"])[:80], str(reply.get("place", ""))[:80])
    if "problem" not in reply:
        return reply
    kind = getattr(errors, str(reply["problem"]), None)
    message, hint = str(reply["message"]), str(reply["hint"])
    if not (isinstance(kind, type) and issubclass(kind, RagbotError)):
        raise WorkError(message, hint)
    if "path" in reply:
        line = reply.get("line")
        raise kind(message, hint, path=str(reply["path"]), line=line if isinstance(line, int) else None)  # type: ignore[call-arg]
    raise kind(message, hint)


# The child.


def serve_orders() -> None:
    """The child: reads what it is for, then orders, from stdin, and answers each on stdout, until there are no more or the server is gone."""
    # Whatever a library prints must not pass for a reply.
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    give_way()
    orders: queue.SimpleQueue[tuple[Mapping[str, Any], bytes]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, orders), daemon=True).start()
    start, _ = orders.get()
    bounds = Bounds(**start["bounds"])
    work: Work | None = None
    while True:
        order, data = orders.get()
        ends = False
        made: Mapping[str, Any]
        try:
            if work is None:
                module, name = start["work"].split(":")
                made_by: Callable[[Mapping[str, Any]], Work] = getattr(import_module(module), name)
                work = made_by(start["setup"])
                bound_memory(bounds.memory_megabytes)
            bound_seconds(bounds.seconds)
            made, data = work(order, data, lambda step: write_frame(replies, {"step": step}, b""))
        except RagbotError as error:
            made, data = _told(error), b""
        except MemoryError:
            made, data, ends = _told(WorkError(f"This needs more than {bounds.memory_megabytes} MB of memory.", "Split the text.")), b"", True
        except RecursionError:
            made, data = _told(WorkError("The text is nested too deeply.", "Write it more plainly.")), b""
        except BaseException as error:  # noqa: BLE001 — an edge of its own: the server tells of it by kind and place, and goes on
            made, data, ends = {"broke": type(error).__name__, "place": place_of(error)}, b"", True
        write_frame(replies, dict(made) | ({"ends": True} if ends else {}), data)


def _listen(pipe: IO[bytes], orders: queue.SimpleQueue[tuple[Mapping[str, Any], bytes]]) -> None:
    """Takes orders in as they come, so that the end of the server is noticed in the middle of one."""
    while True:
        head = pipe.read(_HEAD.size)
        if len(head) < _HEAD.size:
            os._exit(0)
        words, data = _HEAD.unpack(head)
        order, with_it = pipe.read(words), pipe.read(data)
        if len(order) < words or len(with_it) < data:
            os._exit(0)
        orders.put((json.loads(order.decode("utf-8", "surrogatepass")), with_it))


def bound_memory(megabytes: int | None) -> None:
    """Bounds what this process may hold of its own; what files it maps, such as libraries, does not count."""
    if megabytes is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (megabytes * MEGABYTE, megabytes * MEGABYTE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def bound_seconds(seconds: int | None) -> None:
    """Bounds the time that this process may work from now on; it is killed with SIGXCPU then. What it starts has its own time."""
    if seconds is not None:
        used = resource.getrusage(resource.RUSAGE_SELF)
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + 1 + seconds, hard))


def _told(error: RagbotError) -> dict[str, Any]:
    told: dict[str, Any] = {"problem": type(error).__name__, "message": error.message, "hint": error.hint}
    path = getattr(error, "path", None)
    return told if path is None else told | {"path": str(path), "line": getattr(error, "line", None)}
