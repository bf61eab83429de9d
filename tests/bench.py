"""`make bench`: speed and memory in one run, as medians and ratios. Nothing here is a test; machines are noisy.

Prints: embedding a question alone (the floor), `ask` over 200 questions on the warm bot, building the index against bare encoding of
the same passages, start-up to a served page, and peak memory of the serving process.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import psutil

from ragbot import chunking
from ragbot.chatbot import Ragbot
from ragbot.indexing import Verifier, update_index
from ragbot.library import check_sources
from ragbot.manifest import Manifest
from ragbot.models import Embedder
from ragbot.settings import Settings

QUESTIONS = 200
PORT = 7897


def questions() -> list[str]:
    folder = Path(__file__).parent / "quality"
    asked = []
    for name in ("calibration", "report"):
        for line in (folder / f"{name}.answers.jsonl").read_text(encoding="utf-8").splitlines():
            asked.append(json.loads(line)["question"])
    return asked[:QUESTIONS]


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def time_questions(settings: Settings) -> dict[str, float]:
    bot = Ragbot.open(settings)
    bot.warm_up()
    floor, asking = [], []
    for question in questions():
        # The floor and the whole way in turn, so that a slow moment of the machine falls on both.
        started = time.perf_counter()
        bot.embedder.encode([question])
        floor.append((time.perf_counter() - started) * 1000)
        started = time.perf_counter()
        bot.ask(question)
        asking.append((time.perf_counter() - started) * 1000)
    median = statistics.median(floor)
    return {
        "floor: embed one question, p50 ms": median,
        "ask, p50 ms": statistics.median(asking),
        "ask, p95 ms": percentile(asking, 0.95),
        "ask p50 / floor p50": statistics.median(asking) / median,
    }


def time_building(settings: Settings) -> dict[str, float]:
    documents = [document for document in check_sources(settings).documents if document.source.status == "published"]
    chunks = [chunk for document in documents for chunk in chunking.split_document(document)]
    embedder = Embedder(settings.embedding_model)
    model = embedder.load()
    texts = list(dict.fromkeys([chunk.embedded for chunk in chunks] + [sentence.text for chunk in chunks for sentence in chunk.sentences]))
    started = time.perf_counter()
    model.encode(texts, show_progress_bar=False)
    bare = time.perf_counter() - started
    with tempfile.TemporaryDirectory() as folder:
        manifest = Manifest(embedder.digest, chunking.VERSION, "bench", {document.source.id: document.digest for document in documents})
        started = time.perf_counter()
        with Verifier() as verifier:
            update_index(Path(folder), None, documents, chunking.split_document, manifest, embedder, verifier)
        building = time.perf_counter() - started
    return {
        "passages and sentences": len(texts),
        "bare encode, texts/s": len(texts) / bare,
        "index build, texts/s": len(texts) / building,
        "build / bare encode": bare / building,
    }


def time_serving(settings: Settings) -> dict[str, float]:
    started = time.perf_counter()
    command = [sys.executable, "-m", "ragbot", "--sources", str(settings.sources), "--index", str(settings.index), "serve", "--port", str(PORT)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        served = ready = 0.0
        while not ready and time.perf_counter() - started < 120:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/", timeout=5):
                    served = served or time.perf_counter() - started
                with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/healthz", timeout=5) as reply:
                    ready = time.perf_counter() - started if reply.read() == b"ready" else 0.0
            except OSError:
                pass
            time.sleep(0.1)
        memory = psutil.Process(server.pid).memory_info().rss / 2**20
        return {"start to a served page, s": served, "start to a ready bot, s": ready, "server memory, MB": memory}
    finally:
        server.terminate()
        server.wait(timeout=20)


def main() -> None:
    settings = Settings.load()
    figures = time_serving(settings) | time_questions(settings) | time_building(settings)
    width = max(len(name) for name in figures)
    for name, value in figures.items():
        print(f"{name:<{width}}  {value:10.2f}")


if __name__ == "__main__":
    main()
