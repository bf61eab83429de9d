"""Runs retrieval sets: the bot's own search over the set's corpus, or over the bot's library where the set brings none."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from ragbot.errors import DatasetError
from ragbot.evaluation.adhoc import embedded_texts, make_document, make_generation, split_documents
from ragbot.evaluation.bench import FAILURES, Bench, Progress, explain_failure
from ragbot.evaluation.outcomes import RetrievalOutcome
from ragbot.evaluation.sets import EvaluationSet, Query
from ragbot.records import Passage

# Passages looked up for a query in a corpus of its own.
PASSAGES = 100
DOCUMENTS = 100
# As deep as each ranking is read anyway, so that the order is the one that a visitor's question gets.
LIBRARY_PASSAGES = 40

Search = Callable[[str], Sequence[Passage]]


def run_retrieval(one: EvaluationSet, bench: Bench, progress: Progress) -> Iterator[RetrievalOutcome]:
    """Looks up every query; a document stands where its best passage stands."""
    search = _search_corpus(one, bench, progress) if one.corpus is not None else _search_library(bench)
    for query in one.items:
        assert isinstance(query, Query)
        grades = dict(one.judgements[query.id])
        started = time.perf_counter()
        try:
            ranked = rank_documents(search(query.text))
            yield RetrievalOutcome(query, grades, ranked, (time.perf_counter() - started) * 1000)
        except FAILURES as error:
            yield RetrievalOutcome(query, grades, error=explain_failure(error))


def rank_documents(passages: Sequence[Passage]) -> tuple[tuple[str, float], ...]:
    """The documents of ranked passages in the order of their best ones, with those ones' scores."""
    best: dict[str, float] = {}
    for passage in passages:
        best.setdefault(passage.chunk.source_id, passage.score)
    return tuple(best.items())[:DOCUMENTS]


def _search_corpus(one: EvaluationSet, bench: Bench, progress: Progress) -> Search:
    assert one.corpus is not None
    documents = [make_document(document.id, document.text or "", document.title or "", document.url or "") for document in one.corpus]
    chunks = split_documents(documents, lambda done, total: progress("splitting", done, total))
    vectors = bench.cache.encode(embedded_texts(chunks), lambda done, total: progress("embedding", done, total))
    generation = make_generation(documents, chunks, vectors, bench.embedder)
    retriever, rephraser = bench.retriever(generation), bench.rephraser(generation)
    return lambda text: retriever.retrieve(rephraser.rephrase(text), PASSAGES)


def _search_library(bench: Bench) -> Search:
    return lambda text: bench.bot.search(text, LIBRARY_PASSAGES)


def unknown_articles(one: EvaluationSet, bench: Bench) -> list[DatasetError]:
    """The judged articles of a set without a corpus that the library does not hold."""
    if one.kind != "retrieval" or one.corpus is not None:
        return []
    known = bench.bot.generation.documents
    missing = sorted({article for grades in one.judgements.values() for article in grades} - set(known))
    path = one.path / "qrels.tsv"
    return [DatasetError(f"The article {article!r} is not in the library.", "Mend qrels.tsv or the library.", path=path) for article in missing]
