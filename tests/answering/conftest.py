"""What the tests of answering share: the small library's generation, opened without guardrails, and articles made on the spot."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from ragbot.answering.extractive import ExtractiveAnswerer
from ragbot.generation import Generation
from ragbot.generations import current_generation
from ragbot.indexing import IndexReport
from ragbot.models import Embedder
from ragbot.records import Draft
from ragbot.retrieving import Retriever

HEAD = "---\ntitle: {title}\nsummary: Invented.\npublisher: Example\nurl: https://example.org/{id}\nstatus: published\n{cautions}---\n"


@pytest.fixture(scope="session")
def small(bare_index: Path) -> Iterator[Generation]:
    """The small library."""
    generation = Generation(current_generation(bare_index))
    yield generation
    generation.close()


@pytest.fixture(scope="session")
def open_articles(
    index_articles: Callable[..., IndexReport], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Generation]]:
    """Opens articles that a test writes: ``open_articles({"id": "text"}, {"id": "cautions: …"})``."""
    opened: list[Generation] = []

    def run(articles: Mapping[str, str], cautions: Mapping[str, str] | None = None) -> Generation:
        folder = tmp_path_factory.mktemp("articles")
        (folder / "sources").mkdir()
        for name, text in articles.items():
            head = HEAD.format(title=name.replace("-", " ").capitalize(), id=name, cautions=(cautions or {}).get(name, ""))
            (folder / "sources" / f"{name}.md").write_text(head + text, encoding="utf-8")
        index_articles(folder / "index", folder / "sources")
        opened.append(Generation(current_generation(folder / "index")))
        return opened[-1]

    yield run
    for generation in opened:
        generation.close()


@pytest.fixture(scope="session")
def draft(embedder: Embedder) -> Callable[[Generation, str], Draft | None]:
    """Asks a generation: ``draft(generation, question)``."""

    def run(generation: Generation, question: str) -> Draft | None:
        return ExtractiveAnswerer(generation, embedder).draft(question, Retriever(generation, embedder).retrieve(question, 8))

    return run
