"""One holder at a time, across processes. The only file that knows filelock."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from filelock import FileLock, Timeout


def acquire_lock(path: Path, seconds: float = 0) -> Callable[[], None]:
    """Holds the lock file, which is made where there is none; what is returned lets go of it.

    Raises:
        TimeoutError: somebody else holds it for longer than the seconds.
        OSError: the file cannot be made.
    """
    # Whoever holds what is returned may let go, in whichever thread; by default filelock would do nothing in another one.
    lock = FileLock(path, thread_local=False)
    try:
        lock.acquire(timeout=seconds)
    except Timeout:
        raise TimeoutError(f"{path} is held by another process") from None
    return lock.release
