"""What visitors notice while staff work: how long /healthz and a question take while a large file is read, proofed, shown and published.

Also a script, whose figures stand in docs/security.md: python tests/web/test_slowing.py
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from ragbot.web.signing_in import hash_password

ROOT = Path(__file__).parents[2]
PORT = 7967
PASSWORD = "four unrelated garden words"
QUESTIONS = ("How long does one ketamine infusion help?", "What is esketamine?", "Can ketamine raise blood pressure?", "Is ketamine addictive?")
HEALTH_EVERY, QUESTION_EVERY = 0.02, 0.5
# SAFETY 35.
HEALTH_P99, QUESTION_P95 = 0.250, 1.0


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


@dataclass
class Probe:
    """Asks /healthz and a question again and again, and remembers how long each took, in seconds."""

    address: str
    health: list[float] = field(default_factory=list)
    questions: list[float] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @contextmanager
    def watching(self) -> Iterator[None]:
        stop = threading.Event()
        threads = [threading.Thread(target=self._told, args=(work, stop)) for work in (self._look, self._ask)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join(120)

    def _told(self, work: Callable[[threading.Event], None], stop: threading.Event) -> None:
        try:
            work(stop)
        except Exception as error:
            self.problems.append(f"{type(error).__name__}: {error}")

    def _look(self, stop: threading.Event) -> None:
        with httpx.Client(base_url=self.address, timeout=60) as client:
            while not stop.is_set():
                started = time.perf_counter()
                if client.get("/healthz").text != "ready":
                    self.problems.append("/healthz was not ready")
                self.health.append(time.perf_counter() - started)
                time.sleep(HEALTH_EVERY)

    def _ask(self, stop: threading.Event) -> None:
        with httpx.Client(base_url=self.address, timeout=60) as client:
            ask = asker(client)
            number = 0
            while not stop.is_set():
                started = time.perf_counter()
                if not ask(QUESTIONS[number % len(QUESTIONS)]):
                    self.problems.append(f"question {number} was not answered")
                self.questions.append(time.perf_counter() - started)
                number += 1
                time.sleep(QUESTION_EVERY)

    def figures(self) -> str:
        if not self.health or not self.questions:
            return f"nothing measured: {self.problems[:2]}"
        health, asked = [1000 * one for one in self.health], [1000 * one for one in self.questions]
        return (
            f"/healthz p50 {percentile(health, 0.5):.0f} ms, p99 {percentile(health, 0.99):.0f} ms, most {max(health):.0f} ms (n = {len(health)}); "
            f"question p50 {percentile(asked, 0.5):.0f} ms, p95 {percentile(asked, 0.95):.0f} ms, most {max(asked):.0f} ms (n = {len(asked)})"
        )


def asker(client: httpx.Client) -> Callable[[str], bool]:
    """Asks as the page does, whatever the page's events take besides the question; whether an answer with a source came."""
    page, mark = client.get("/").text, "window.gradio_config = "
    config = json.JSONDecoder().raw_decode(page, page.index(mark) + len(mark))[0]
    box = next(one["id"] for one in config["components"] if one["props"].get("elem_id") == "question")
    event = next(one for one in config["dependencies"] if [box, "submit"] in [list(target) for target in one["targets"]])
    inputs = event["inputs"]

    def ask(question: str) -> bool:
        session = uuid.uuid4().hex[:10]
        data = [question if one == box else None for one in inputs]
        order = {"data": data, "event_data": None, "fn_index": event["id"], "trigger_id": box, "session_hash": session}
        joined = client.post("/gradio_api/queue/join", json=order)
        assert joined.status_code == 200, joined.text
        said = ""
        with client.stream("GET", "/gradio_api/queue/data", params={"session_hash": session}) as stream:
            for line in stream.iter_lines():
                said += line
                if '"process_completed"' in line:
                    return "rb-cite" in said
        return False

    return ask


@contextmanager
def served(sources: Path, index: Path, *, port: int = PORT) -> Iterator[str]:
    """A site with a staff page, whose bot is ready."""
    config = sources.parent / "ragbot.toml"
    config.write_text(f"[ragbot]\nquestions_per_minute = 10000\nquestions_per_day = 100000\nquestions_per_minute_from_address = 10000\nquestions_per_day_from_address = 100000\n[ragbot.staff]\nanna = '{hash_password(PASSWORD)}'\n", encoding="utf-8")
    command = [sys.executable, "-m", "ragbot", "--sources", str(sources), "--index", str(index), "--config", str(config), "serve", "--port", str(port)]
    log = sources.parent / "log"
    with log.open("w") as file:
        server = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, cwd=ROOT)
        try:
            address = f"http://127.0.0.1:{port}"
            until = time.monotonic() + 180
            while True:
                assert server.poll() is None, log.read_text()
                assert time.monotonic() < until, log.read_text()
                try:
                    if httpx.get(f"{address}/healthz").text == "ready":
                        break
                except httpx.TransportError:
                    pass
                time.sleep(0.2)
            yield address
        finally:
            server.terminate()
            try:
                server.wait(30)
            finally:
                server.kill()


class Visit:
    """Somebody of staff with a browser: follows redirects, and waits where the page says that it takes a while."""

    def __init__(self, address: str) -> None:
        self.client = httpx.Client(base_url=address, timeout=180, follow_redirects=True)
        assert self.client.post("/staff/sign-in", data={"name": "anna", "password": PASSWORD}).status_code == 200
        self.csrf = self.value("csrf", self.client.get("/staff/add").text)
        self.words: list[str] = []

    @staticmethod
    def value(name: str, page: str) -> str:
        found = re.search(rf'name="{name}" value="([^"]*)"', page)
        assert found, page[:500]
        return found.group(1)

    def done(self, reply: httpx.Response, seconds: float = 400) -> httpx.Response:
        """The page that comes in the end."""
        until = time.monotonic() + seconds
        while "/staff/waiting/" in str(reply.url):
            assert time.monotonic() < until, reply.text
            work = re.search(r'data-work="([^"]+)"', reply.text)
            assert work, reply.text
            now = self.client.get("/staff/progress", params={"work": work.group(1)}).json()
            if now["words"] not in self.words:
                self.words.append(now["words"])
            if now["state"] != "done":
                time.sleep(0.2)
                continue
            reply = self.client.get(str(reply.url))
        return reply

    def wait_for_index(self, seconds: float = 400) -> None:
        until = time.monotonic() + seconds
        while (now := self.client.get("/staff/progress").json())["state"] == "running":
            assert time.monotonic() < until, now
            time.sleep(0.2)
        assert now["state"] == "idle", now


PLAIN = "Slugs eat lettuce at night, and {number} of them were counted in the garden after rain.\n\n"


def paragraphs() -> bytes:
    return "".join(PLAIN.format(number=number) for number in range(225_000))[:19_900_000].encode()


CASES: dict[str, tuple[str, Callable[[], bytes]]] = {
    "20 MB of paragraphs": ("long.txt", paragraphs),
    "20 MB in one line": ("line.txt", lambda: b"Slugs eat lettuce at night in the garden " * 485_000),
    "700 KB of emphasis that never ends": ("emphasis.md", lambda: b"*a **b " * 100_000),
    "9.9 MB of emphasis with a card": ("card.md", lambda: b"---\ntitle: Emphasis\nstatus: published\n---\n" + b"*a **b " * 1_410_000),
}


def read_in(visit: Visit, name: str, data: bytes) -> str:
    """Uploads a file and looks at its draft; what came of it."""
    reply = visit.done(visit.client.post("/staff/add", data={"csrf": visit.csrf}, files={"file": (name, data)}))
    again = visit.done(visit.client.get(str(reply.url))) if "/staff/drafts/" in str(reply.url) else reply
    found = re.search(r"<h2>To look at \(\d+\)</h2>|role=\"alert\">([^<]*)<", again.text)
    return f"{again.status_code} {found.group() if found else again.text[:200]}"


def publish_one(visit: Visit, number: int) -> None:
    """Writes an article of 120 paragraphs, publishes it, and waits until the bot answers from it."""
    paragraphs = "\n\n".join(f"Rule {number}.{line} of the Larkfield garden says that visitors stay silent for {line + 1} minutes near pond {line}." for line in range(120))
    reply = visit.done(visit.client.post("/staff/add", data={"csrf": visit.csrf, "title": f"Larkfield {number}", "text": paragraphs}))
    place = str(reply.url).split("?")[0]
    card = {"title": f"Larkfield {number}", "summary": "Rules.", "publisher": "Larkfield", "url": "https://larkfield.example/"}
    form = {"csrf": visit.csrf, "act": "publish", "seen": visit.value("seen", reply.text), **card}
    published = visit.done(visit.client.post(place, files={key: (None, value) for key, value in form.items()}))
    assert "done=published" in str(published.url), published.text[:2000]
    visit.wait_for_index()


def measure(sources: Path, index: Path, port: int = PORT) -> dict[str, Probe]:
    """The probes of a quiet server, of each case and of publishing, in this order."""
    probes: dict[str, Probe] = {}
    with served(sources, index, port=port) as address, ExitStack() as leave:
        visit = Visit(address)
        leave.callback(visit.client.close)
        visit.wait_for_index()
        probes["nothing else to do"] = quiet = Probe(address)
        with quiet.watching():
            time.sleep(8)
        for title, (name, made) in CASES.items():
            data = made()
            probes[title] = probe = Probe(address)
            started = time.perf_counter()
            with probe.watching():
                came = read_in(visit, name, data)
            print(f"{title}: {time.perf_counter() - started:.0f} s, {came}; said on the way: {visit.words}", flush=True)
            visit.words = []
        probes["an article is published, three times"] = probe = Probe(address)
        started = time.perf_counter()
        with probe.watching():
            for number in range(3):
                publish_one(visit, number)
        print(f"three publications: {time.perf_counter() - started:.0f} s")
    return probes


@pytest.mark.slow
def test_staff_work_never_slows_the_public(starter_index: Path, tmp_path: Path) -> None:
    sources = Path(shutil.copytree(ROOT / "sources", tmp_path / "sources", ignore=shutil.ignore_patterns("drafts", "history", "feedback")))
    probes = measure(sources, Path(shutil.copytree(starter_index, tmp_path / "index")))
    quiet = probes.pop("nothing else to do")
    # On a machine that is busy with other things the quiet server is slow as well; only what staff add to that counts.
    slowed = max(1.0, percentile(quiet.questions, 0.5) / 0.3)
    for title, probe in probes.items():
        assert probe.problems == [], title
        assert percentile(probe.health, 0.99) <= HEALTH_P99 * slowed, f"{title}: {probe.figures()}"
        assert percentile(probe.questions, 0.95) <= QUESTION_P95 * slowed, f"{title}: {probe.figures()}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=PORT)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        own = Path(shutil.copytree(ROOT / "sources", Path(folder) / "sources", ignore=shutil.ignore_patterns("drafts", "history", "feedback")))
        print(json.dumps({"cores": os.cpu_count(), "load before": os.getloadavg()}))
        for title, probe in measure(own, Path(shutil.copytree(ROOT / "index", Path(folder) / "index")), given.port).items():
            print(f"{title}: {probe.figures()}{' PROBLEMS ' + str(probe.problems[:3]) if probe.problems else ''}")
        print(json.dumps({"load after": os.getloadavg()}))
