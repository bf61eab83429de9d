"""Work in a process of its own: it answers, says how far it is, is ended where it costs too much, and leaves nothing running."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from ragbot.errors import IndexBusyError, SourceError, WorkError
from ragbot.working import Bounds, BrokenWorkError, Tell, Worker

# What the child runs: this very file, which it finds in the search path.
HERE = Path(__file__)
Made = tuple[Mapping[str, Any], bytes]


def open_work(setup: Mapping[str, Any]) -> Callable[[Mapping[str, Any], bytes, Tell], Made]:
    """Runs in the child."""
    if setup.get("broken"):
        raise SourceError("This cannot be begun.", path="setup")

    def work(order: Mapping[str, Any], data: bytes, tell: Tell) -> Made:
        match order["do"]:
            case "turn":
                tell("turning")
                return {"said": order.get("words", "")}, data[::-1]
            case "who":
                return {"pid": os.getpid(), "nice": os.nice(0), "environment": dict(os.environ)}, b""
            case "print":
                print("this is no reply", flush=True)
                os.write(1, b"nor is this\n")
                return {}, b""
            case "source":
                raise SourceError("A line is wrong.", "Mend it.", path="a.md", line=7)
            case "busy":
                raise IndexBusyError("Held.", "Wait.")
            case "break":
                raise ValueError("CANARY words of somebody")
            case "nest":
                return work({"do": "nest"}, data, tell)
            case "spin":
                while True:
                    pass
            case "sleep":
                child = subprocess.Popen(["sleep", "60"])
                Path(order["path"]).write_text(f"{os.getpid()} {child.pid}", encoding="ascii")
                time.sleep(60)
            case "eat":
                return {"much": len([bytearray(1_000_000) for _ in range(5_000)])}, b""
            case "flood":
                return {}, bytes(70_000_000)
            case "end":
                os._exit(3)
        raise AssertionError(order)

    return work


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., Worker]]:
    (tmp_path / "ragbot_test_work.py").write_text(HERE.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]))
    made: list[Worker] = []

    def start(memory: int | None = 1_000, seconds: int | None = 20, **setup: Any) -> Worker:
        made.append(Worker("ragbot_test_work:open_work", setup, Bounds(memory, seconds)))
        return made[-1]

    yield start
    for one in made:
        one.stop()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(holds: Callable[[], bool], seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it took too long"
        time.sleep(0.02)


def test_orders_are_answered_one_after_another_by_one_process(make: Callable[..., Worker]) -> None:
    worker, steps = make(), []
    assert worker.do({"do": "turn", "words": "Grüße \ud800"}, b"\x00ab" * 3_000_000, steps.append) == ({"said": "Grüße \ud800"}, b"ba\x00" * 3_000_000)
    assert steps == ["turning"]
    assert worker.do({"do": "who"})[0]["pid"] == worker.do({"do": "who"})[0]["pid"]
    assert worker.do({"do": "print"}) == ({}, b"")
    assert worker.do({"do": "turn"}) == ({"said": ""}, b"")


def test_the_child_gives_way_and_sees_no_secret(make: Callable[..., Worker], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "RAGBOT_STAFF", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "CANARY")
    said, _ = make().do({"do": "who"})
    assert said["nice"] >= os.nice(0) + 10 or said["nice"] == 19
    assert "CANARY" not in str(said)
    assert said["environment"]["OMP_NUM_THREADS"] == "1"


def test_what_the_work_raises_is_raised_here(make: Callable[..., Worker]) -> None:
    worker = make()
    with pytest.raises(SourceError, match="a.md:7: A line is wrong. Mend it.") as raised:
        worker.do({"do": "source"})
    assert raised.value.line == 7
    with pytest.raises(IndexBusyError, match="Held. Wait."):
        worker.do({"do": "busy"})
    with pytest.raises(WorkError, match="nested too deeply"):
        worker.do({"do": "nest"})
    with pytest.raises(SourceError, match="cannot be begun"):
        make(broken=True).do({"do": "turn"})


def test_what_breaks_is_told_by_kind_and_place_alone(make: Callable[..., Worker]) -> None:
    worker = make()
    with pytest.raises(BrokenWorkError) as raised:
        worker.do({"do": "break"})
    assert raised.value.kind == "ValueError"
    assert raised.value.place.startswith("ragbot_test_work.py:")
    assert "CANARY" not in str(raised.value)
    assert worker.do({"do": "turn"}, b"ab")[1] == b"ba"


@pytest.mark.parametrize(
    ("order", "words"), [("spin", "more than 1 seconds of work"), ("eat", "more than 1000 MB"), ("end", "ended before"), ("flood", "ended before")]
)
def test_what_costs_too_much_is_ended_and_the_next_order_is_done(order: str, words: str, make: Callable[..., Worker]) -> None:
    worker = make(seconds=1)
    before = worker.do({"do": "who"})[0]["pid"]
    with pytest.raises(WorkError, match=words):
        worker.do({"do": order})
    assert not alive(before)
    assert worker.do({"do": "turn"}, b"ab")[1] == b"ba"


def test_what_sleeps_too_long_is_ended_with_all_that_it_started(make: Callable[..., Worker], tmp_path: Path) -> None:
    with pytest.raises(WorkError, match="more than 1 seconds"):
        make(seconds=1).do({"do": "sleep", "path": str(tmp_path / "pids")})
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    wait_until(lambda: not any(alive(pid) for pid in pids))


def test_the_time_counts_for_each_order_anew(make: Callable[..., Worker]) -> None:
    worker = make(seconds=1)
    with pytest.raises(WorkError):
        worker.do({"do": "spin"})
    first = worker.do({"do": "who"})[0]["pid"]
    with pytest.raises(WorkError):
        worker.do({"do": "spin"})
    assert first != worker.do({"do": "who"})[0]["pid"]


def test_stop_ends_what_is_under_way(make: Callable[..., Worker], tmp_path: Path) -> None:
    worker, problems = make(seconds=None), []
    path = tmp_path / "pids"

    def work() -> None:
        try:
            worker.do({"do": "sleep", "path": str(path)})
        except WorkError as error:
            problems.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    wait_until(lambda: path.exists() and len(path.read_text().split()) == 2)
    worker.stop()
    thread.join(20)
    assert len(problems) == 1
    wait_until(lambda: not any(alive(int(pid)) for pid in path.read_text().split()))


def test_a_child_rests_when_it_is_told_to_and_begins_anew(make: Callable[..., Worker]) -> None:
    worker = make()
    before = worker.do({"do": "who"})[0]["pid"]
    worker.rest()
    assert not alive(before)
    assert worker.do({"do": "who"})[0]["pid"] != before


def test_a_child_ends_with_the_server_however_that_ends(make: Callable[..., Worker], tmp_path: Path) -> None:
    path = tmp_path / "pids"
    code = f"from ragbot.working import *; Worker('ragbot_test_work:open_work', {{}}, Bounds(None, None)).do({{'do': 'sleep', 'path': {str(path)!r}}})"
    make()
    server = subprocess.Popen([sys.executable, "-c", code])
    wait_until(lambda: path.exists() and len(path.read_text().split()) == 2)
    server.kill()
    server.wait()
    wait_until(lambda: not alive(int(path.read_text().split()[0])))
