"""Measures what staff wait for: bringing an index of many articles up to date after one has changed, and the preview of a PDF of 50
pages. python tests/bench_staff.py [ARTICLES]

The articles are the starter library's, over and over with their words numbered, so that each has its own. Vectors are drawn from a
digest of the words, because what embedding costs is measured elsewhere (`make bench`) and comes on top; all else is real.
"""

from __future__ import annotations

import hashlib
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from conftest import _pdf as write_pdf

from ragbot.chatbot import Ragbot
from ragbot.curating import Desk
from ragbot.curating.proofing import proof
from ragbot.guardrails import OutputRail
from ragbot.library import build_index, check_sources, open_policy
from ragbot.models import PUBLISHED_DIGEST, Tokens, Vectors
from ragbot.settings import Settings
from ragbot.web.signing_in import Session
from ragbot.web.staff_pages import draft_page

ROOT = Path(__file__).parent.parent
RUNS = 5


class Digests:
    """Stands in for the model: unit vectors of 384 numbers, and a word piece for every word."""

    digest = PUBLISHED_DIGEST

    def encode(self, texts: Sequence[str], *, progress: Callable[[int], Any] | None = None) -> Vectors:
        rows = [np.random.default_rng(int(hashlib.sha256(text.encode()).hexdigest(), 16)).normal(size=384) for text in texts]
        return np.array([row / np.linalg.norm(row) for row in rows], dtype=np.float32).reshape(len(texts), 384)

    def encode_with_tokens(self, texts: Sequence[str], *, progress: Callable[[int], Any] | None = None) -> tuple[Vectors, list[Tokens]]:
        return self.encode(texts), [Tokens(pieces, np.ones((len(pieces), 384), dtype=np.float16)) for pieces in (tuple(text.split()) for text in texts)]


def write_articles(folder: Path, count: int) -> None:
    originals = sorted((ROOT / "sources").glob("*.md"))
    for number in range(count):
        original = originals[number % len(originals)]
        text = original.read_text(encoding="utf-8")
        head, body = text.split("\n---\n", 1)
        # A caution has to find its claim and its article; here they would not.
        kept = head.split("\ncautions:")[0]
        (folder / f"{original.stem}-{number}.md").write_text(f"{kept}\n---\n{body.replace('. ', f' (case {number}). ')}", encoding="utf-8")


def time_indexing(count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        sources = Path(folder) / "sources"
        sources.mkdir()
        write_articles(sources, count)
        settings = Settings(sources=sources, index=Path(folder) / "index")
        started = time.perf_counter()
        report = build_index(settings, embedder=Digests())  # type: ignore[arg-type]
        print(f"{report.documents} articles, {report.chunks} passages, built whole in {time.perf_counter() - started:.1f} s")
        size = sum(path.stat().st_size for path in settings.index.rglob("*") if path.is_file()) / 2**20
        print(f"size {size:.0f} MB, free {shutil.disk_usage(folder).free / 2**30:.0f} GB")
        times = []
        for run in range(RUNS):
            path = sorted(sources.glob("*.md"))[count // 2]
            path.write_text(path.read_text(encoding="utf-8") + f"\nTomatoes like edit number {run}.\n", encoding="utf-8")
            started = time.perf_counter()
            report = build_index(settings, embedder=Digests())  # type: ignore[arg-type]
            times.append(time.perf_counter() - started)
            print(f"{report.generation}: {report.embedded} embedded anew, {times[-1]:.2f} s")
        print(f"one changed article: median {statistics.median(times):.2f} s, {min(times):.2f} to {max(times):.2f}")
        started = time.perf_counter()
        build_index(settings, embedder=Digests())  # type: ignore[arg-type]
        print(f"nothing changed: {time.perf_counter() - started:.2f} s")


def time_preview() -> None:
    """From the upload of a PDF of 50 pages with 2,500 sentences of the library to the finished page of its draft."""
    with tempfile.TemporaryDirectory() as folder:
        sources = Path(shutil.copytree(ROOT / "sources", Path(folder) / "sources", ignore=shutil.ignore_patterns("drafts", "history", "feedback")))
        settings = Settings(sources=sources, index=ROOT / "index")
        bot = Ragbot.open(settings)
        bot.warm_up()
        sentences = [sentence.text.encode("latin-1", "ignore").decode("latin-1")[:90] for chunk in bot.generation.chunks for sentence in chunk.sentences]
        pages = [[(sentences[(page * 50 + line) % len(sentences)], 72.0, 780.0 - 13 * line, 11.0) for line in range(50)] for page in range(50)]
        pdf, desk, rail = write_pdf(pages), Desk(settings), OutputRail.of(open_policy(settings))
        times = []
        for _ in range(RUNS):
            started = time.perf_counter()
            identity = desk.add_file(pdf, "leaflet.pdf", "bench")
            draft, origin = desk.draft(identity), desk.origin(identity)
            findings = proof(draft, origin, rail, check_sources(settings).documents, bot.generation, bot.embedder)
            draft_page(Session("bench", "", 0.0), draft, origin, findings, desk.history.acts(identity), None)
            times.append(time.perf_counter() - started)
            desk.discard(identity, "bench")
        print(f"a PDF of 50 pages, upload to preview: median {statistics.median(times):.2f} s, {min(times):.2f} to {max(times):.2f}")


if __name__ == "__main__":
    time_preview()
    time_indexing(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
