from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ragbot import generations
from ragbot.errors import IndexBusyError, IndexMissingError, StoreError
from ragbot.generations import begin_generation, current_generation, list_generations, switch_to, writing


def build(index: Path, words: str) -> Path:
    """A generation that holds one file, made the way that indexing makes one."""
    with writing(index):
        folder = begin_generation(index)
        (folder / "chroma").mkdir()
        (folder / "chroma" / "words.txt").write_text(words, encoding="utf-8")
        return switch_to(index, folder)


def words_in(folder: Path) -> str:
    return (folder / "chroma" / "words.txt").read_text(encoding="utf-8")


def names(index: Path) -> list[str]:
    return sorted(path.name for path in index.iterdir())


def run(program: str, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=60, check=False, **options
    )


@pytest.mark.parametrize("current", [None, "", "gen-000009\n", "../elsewhere", "building-1234", "gen-000001/..", b"\xff"])
def test_without_a_usable_current_there_is_no_index(current: str | bytes | None, tmp_path: Path) -> None:
    index = tmp_path / "index"
    build(index, "one")
    (tmp_path / "elsewhere").mkdir()
    (index / "building-1234").mkdir()
    if current is None:
        (index / "CURRENT").unlink()
    else:
        (index / "CURRENT").write_bytes(current if isinstance(current, bytes) else current.encode())
    with pytest.raises(IndexMissingError, match="ragbot index"):
        current_generation(index)


def test_of_a_folder_that_is_not_there_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(IndexMissingError):
        current_generation(tmp_path / "index")
    assert list_generations(tmp_path / "index") == []
    assert not (tmp_path / "index").exists()


def test_generations_are_counted_up_and_the_last_two_are_kept(tmp_path: Path) -> None:
    built = [build(tmp_path, words) for words in ("one", "two", "three", "four")]
    assert [folder.name for folder in built] == ["gen-000001", "gen-000002", "gen-000003", "gen-000004"]
    assert current_generation(tmp_path) == built[-1]
    assert words_in(current_generation(tmp_path)) == "four"
    assert names(tmp_path) == ["CURRENT", "LOCK", "gen-000003", "gen-000004"]


def test_generations_are_listed_by_number_the_newest_first(tmp_path: Path) -> None:
    for name in ("gen-000002", "gen-999999", "gen-1000000", "gen-00001", "gen-000003.old", "building-000004"):
        (tmp_path / name).mkdir()
    (tmp_path / "gen-000005").touch()
    assert [folder.name for folder in list_generations(tmp_path)] == ["gen-1000000", "gen-999999", "gen-000002"]


def test_a_generation_in_the_making_is_not_visible(tmp_path: Path) -> None:
    old = build(tmp_path, "old")
    with writing(tmp_path):
        folder = begin_generation(tmp_path)
        (folder / "half.txt").touch()
        assert current_generation(tmp_path) == old
        assert list_generations(tmp_path) == [old]


def test_what_killed_builds_left_is_swept_away(tmp_path: Path) -> None:
    build(tmp_path, "old")
    (tmp_path / "building-dead" / "chroma").mkdir(parents=True)
    (tmp_path / "building-dead" / "chroma" / "half.bin").touch()
    (tmp_path / "CURRENT.dead").touch()
    build(tmp_path, "new")
    assert names(tmp_path) == ["CURRENT", "LOCK", "gen-000001", "gen-000002"]


def test_a_generation_that_no_current_names_is_never_taken_for_the_new_one(tmp_path: Path) -> None:
    """As after a kill between naming the folder and writing CURRENT."""
    old = build(tmp_path, "old")
    (tmp_path / "gen-000002").mkdir()
    assert current_generation(tmp_path) == old
    new = build(tmp_path, "new")
    assert new.name == "gen-000003"
    assert current_generation(tmp_path) == new
    # The one to fall back on is the one that was served before, not the one that never was.
    assert list_generations(tmp_path) == [new, old]


def test_a_folder_that_is_new_is_made_and_left_clean(tmp_path: Path) -> None:
    with writing(tmp_path / "deep" / "index"):
        pass
    assert names(tmp_path / "deep" / "index") == ["LOCK"]


HOLD = """
import sys
from pathlib import Path
from ragbot.generations import writing
with writing(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_writer_is_refused_while_another_process_writes(tmp_path: Path) -> None:
    build(tmp_path, "old")
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(IndexBusyError, match=r"is being written by another process\. Wait until it is done"), writing(tmp_path):
            pass
        # Readers are not held up.
        assert words_in(current_generation(tmp_path)) == "old"
        holder.stdin.close()
        assert holder.wait(timeout=30) == 0
    assert build(tmp_path, "new").name == "gen-000002"


def test_a_writer_that_was_killed_holds_nobody_up(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        holder.kill()
        holder.wait(timeout=30)
    assert words_in(build(tmp_path, "new")) == "new"


def test_an_error_while_writing_lets_go_of_the_lock(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), writing(tmp_path):
        raise ZeroDivisionError
    with writing(tmp_path):
        pass


READ_ONLY = """
import os, sys
from pathlib import Path
from ragbot.errors import StoreError
from ragbot.generations import writing
if os.geteuid() == 0:
    os.setuid(65534)  # root may write anywhere
try:
    with writing(Path(sys.argv[1])):
        print("wrote")
except StoreError as error:
    print(error)
"""


@pytest.mark.parametrize("index", ["index", "index/deeper"])
def test_a_folder_that_cannot_be_written_is_told_and_not_waited_for(index: str, tmp_path: Path) -> None:
    (tmp_path / "index").mkdir(mode=0o555)
    # Named from within, because the folders above belong to one user alone.
    outcome = run(READ_ONLY, index, cwd=tmp_path, env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))})
    assert outcome.stdout.startswith(f"The index folder '{index}' cannot be written: Permission denied. Make it writable"), outcome.stderr


def test_a_file_in_the_folders_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "index").touch()
    with pytest.raises(StoreError, match="cannot be written"), writing(tmp_path / "index"):
        pass


def test_everything_is_on_the_disk_before_current_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file and folder of the generation is synced before CURRENT is replaced, and its parent after."""
    log: list[str] = []
    sync, replace = generations._sync, Path.replace

    def logged_sync(path: Path) -> None:
        log.append(path.name)
        sync(path)

    def logged_replace(path: Path, target: Path) -> Path:
        log.append("-> CURRENT")
        return replace(path, target)

    with writing(tmp_path):
        folder = begin_generation(tmp_path)
        (folder / "chroma").mkdir()
        (folder / "chroma" / "words.txt").touch()
        monkeypatch.setattr(generations, "_sync", logged_sync)
        monkeypatch.setattr(Path, "replace", logged_replace)
        switch_to(tmp_path, folder)
    before, after = log[: log.index("-> CURRENT")], log[log.index("-> CURRENT") + 1 :]
    assert {"words.txt", "chroma", folder.name} < set(before)
    assert before[-1].startswith("CURRENT.")
    assert tmp_path.name in after


def test_the_disk_filling_up_leaves_the_old_generation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build(tmp_path, "old")

    def full(*arguments: Any, **options: Any) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"), writing(tmp_path):
        folder = begin_generation(tmp_path)
        monkeypatch.setattr(Path, "write_text", full)
        switch_to(tmp_path, folder)
    monkeypatch.undo()
    assert words_in(current_generation(tmp_path)) == "old"
    assert words_in(build(tmp_path, "new")) == "new"
    assert [folder.name for folder in list_generations(tmp_path)][0] == current_generation(tmp_path).name


# Kills itself before its n-th touch of the disk, for n = 0, 1, 2 … until a build goes through.
KILLED = """
import json, os, signal, sys
from pathlib import Path
from ragbot.generations import begin_generation, current_generation, list_generations, switch_to, writing
TOUCHES = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree", "os.listdir", "os.scandir"}
index = Path(sys.argv[1])
last = None

def hook(event, arguments):
    global left
    if left is not None and event in TOUCHES:
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

def build(words):
    with writing(index):
        folder = begin_generation(index)
        (folder / "chroma").mkdir()
        for number in range(3):
            (folder / "chroma" / f"{number}.txt").write_text(words)
        return switch_to(index, folder)

left = None
build("0")
sys.addaudithook(hook)
point, killed = 0, True
while killed:
    new = str(point + 1)
    child = os.fork()
    if child == 0:
        left = point
        build(new)
        os._exit(0)
    killed = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    folder = current_generation(index)
    print(json.dumps([new, sorted(path.read_text() for path in (folder / "chroma").iterdir()), len(list_generations(index))]), flush=True)
    point += 1
"""


def test_wherever_a_build_is_killed_the_old_or_the_new_generation_is_there_whole(tmp_path: Path) -> None:
    outcome = run(KILLED, str(tmp_path / "index"))
    assert outcome.returncode == 0, outcome.stderr
    points = [json.loads(line) for line in outcome.stdout.splitlines()]
    assert len(points) > 20, "the build was killed at too few points to show anything"
    visible = "0"
    switched = 0
    for new, found, kept in points:
        assert len(found) == 3
        assert len(set(found)) == 1, "a mixed generation"
        assert found[0] in (visible, new)
        switched += found[0] == new
        visible = found[0]
    assert 0 < switched < len(points)
    assert kept == 2, "the build that went through did not sweep up"


@pytest.mark.parametrize("look", [current_generation, list_generations])
def test_looking_writes_nothing(look: Callable[[Path], Any], tmp_path: Path) -> None:
    build(tmp_path, "old")
    before = [(path, path.stat().st_mtime_ns) for path in sorted(tmp_path.rglob("*"))]
    look(tmp_path)
    assert [(path, path.stat().st_mtime_ns) for path in sorted(tmp_path.rglob("*"))] == before
