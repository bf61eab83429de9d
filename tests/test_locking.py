"""One holder at a time: in this process, in another one, and after the holder was killed."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ragbot.locking import acquire_lock

HOLD = "import sys, time; from pathlib import Path; from ragbot.locking import acquire_lock; r = acquire_lock(Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"


def test_a_second_holder_waits_as_long_as_it_was_told(tmp_path: Path) -> None:
    lock = tmp_path / "folder" / "LOCK"
    release = acquire_lock(lock)
    for seconds in (0.0, 0.3):
        started = time.monotonic()
        with pytest.raises(TimeoutError, match="LOCK is held by another process"):
            acquire_lock(lock, seconds)
        assert seconds <= time.monotonic() - started < seconds + 0.5
    release()
    acquire_lock(lock)()


def test_who_waits_gets_it_once_it_is_let_go(tmp_path: Path) -> None:
    release = acquire_lock(tmp_path / "LOCK")
    threading.Timer(0.2, release).start()
    started = time.monotonic()
    acquire_lock(tmp_path / "LOCK", 10)()
    assert 0.15 < time.monotonic() - started < 5


def test_another_thread_may_let_go(tmp_path: Path) -> None:
    release = acquire_lock(tmp_path / "LOCK")
    thread = threading.Thread(target=release)
    thread.start()
    thread.join()
    acquire_lock(tmp_path / "LOCK")()


def test_letting_go_twice_does_not_take_the_next_holders_lock(tmp_path: Path) -> None:
    first = acquire_lock(tmp_path / "LOCK")
    first()
    second = acquire_lock(tmp_path / "LOCK")
    first()
    with pytest.raises(TimeoutError):
        acquire_lock(tmp_path / "LOCK")
    second()


def test_a_holder_in_another_process_keeps_it_until_it_is_killed(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "LOCK")], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        with pytest.raises(TimeoutError):
            acquire_lock(tmp_path / "LOCK")
    finally:
        holder.kill()
        holder.communicate()
    acquire_lock(tmp_path / "LOCK", 5)()


def test_many_threads_hold_it_one_after_the_other(tmp_path: Path) -> None:
    inside, most = 0, 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(5):
            release = acquire_lock(tmp_path / "LOCK", 30)
            inside += 1
            most = max(most, inside)
            time.sleep(0.001)
            inside -= 1
            release()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (inside, most) == (0, 1)


@pytest.mark.parametrize("place", ["file/LOCK", "folder", "link"])
def test_where_no_lock_can_be_made_it_is_no_matter_of_waiting(place: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "file")
    started = time.monotonic()
    with pytest.raises(OSError) as caught:
        acquire_lock(tmp_path / place, 30)
    assert not isinstance(caught.value, TimeoutError)
    assert time.monotonic() - started < 5
