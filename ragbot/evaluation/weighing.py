"""Runs answerability and grounding sets: do these passages answer the question, do these words carry the claim?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ragbot.answering.extractive import ExtractiveAnswerer
from ragbot.chunking import split_sentences
from ragbot.evaluation.adhoc import PreparedEmbedder, embedded_texts, make_document, make_generation, split_documents
from ragbot.evaluation.bench import FAILURES, Bench, Progress, explain_failure
from ragbot.evaluation.outcomes import AnswerabilityOutcome, GroundingOutcome
from ragbot.evaluation.sets import AnswerabilityItem, EvaluationSet, GroundingItem
from ragbot.models import Vectors
from ragbot.records import Chunk, Document
from ragbot.verifying import Verifier

# What a claim is compared with: the nearest sentences, each alone, with a neighbour, and together.
BEST_SENTENCES = 3


@dataclass(frozen=True, slots=True)
class _SplitItem:
    """An answerability item with its passages as the documents and chunks of a library."""

    item: AnswerabilityItem
    documents: tuple[Document, ...] = ()
    chunks: tuple[Chunk, ...] = ()
    error: str = ""


def run_answerability(one: EvaluationSet, bench: Bench, progress: Progress) -> Iterator[AnswerabilityOutcome]:
    """Asks the gate about a library of nothing but the item's passages, found and rated as the bot does it."""
    prepared: list[_SplitItem] = []
    for item in one.items:
        assert isinstance(item, AnswerabilityItem)
        try:
            documents = [make_document(f"passage-{number}", text) for number, text in enumerate(item.passages, start=1)]
            prepared.append(_SplitItem(item, tuple(documents), tuple(split_documents(documents))))
        except FAILURES as error:
            prepared.append(_SplitItem(item, error=explain_failure(error)))
    texts = embedded_texts(chunk for split in prepared for chunk in split.chunks)
    vectors = bench.cache.encode(texts, lambda done, total: progress("embedding", done, total))
    for split in prepared:
        if split.error:
            yield AnswerabilityOutcome(split.item, error=split.error)
            continue
        try:
            yield _weigh_passages(split, vectors, bench)
        except FAILURES as error:
            yield AnswerabilityOutcome(split.item, error=explain_failure(error))


def _weigh_passages(split: _SplitItem, vectors: dict[str, Vectors], bench: Bench) -> AnswerabilityOutcome:
    generation = make_generation(split.documents, split.chunks, vectors, bench.embedder)
    answerer = ExtractiveAnswerer(generation, bench.embedder)
    asked = bench.rephraser(generation).rephrase(split.item.question)
    candidates = answerer.rate(asked, bench.retriever(generation).retrieve(asked, bench.settings.passages))
    gate = answerer.gate(asked, candidates)
    best = candidates[0].sentence.text if candidates else ""
    return AnswerabilityOutcome(split.item, answerer.answers(gate), gate.probability, dict(gate.features), best)


def run_grounding(one: EvaluationSet, bench: Bench, progress: Progress) -> Iterator[GroundingOutcome]:
    """Asks the verifier whether a sentence of the context, two neighbouring ones or the three nearest together carry the claim."""
    contexts: list[tuple[GroundingItem, list[str]]] = []
    for item in one.items:
        assert isinstance(item, GroundingItem)
        contexts.append((item, context_sentences(item.context)))
    texts = [text for item, sentences in contexts for text in (item.claim, *sentences)]
    verifier = Verifier({}, PreparedEmbedder(bench.embedder, texts, lambda done, total: progress("embedding", done, total)))
    for item, sentences in contexts:
        try:
            yield _weigh_context(item, sentences, verifier)
        except FAILURES as error:
            yield GroundingOutcome(item, error=explain_failure(error))


def _weigh_context(item: GroundingItem, sentences: Sequence[str], verifier: Verifier) -> GroundingOutcome:
    """The support of the best quotes, and whether any pass: a contradiction forbids passing and leaves the support as it is."""
    if not sentences:
        return GroundingOutcome(item, reason="the context holds no words")
    nearness = [verifier.support(item.claim, sentence) for sentence in sentences]
    best = sorted(range(len(sentences)), key=lambda row: -nearness[row])[:BEST_SENTENCES]
    starts = sorted({start for row in best for start in (row - 1, row) if 0 <= start < len(sentences) - 1})
    groups = [(row,) for row in best] + [(start, start + 1) for start in starts] + [tuple(sorted(best))]
    quotes = [tuple(sentences[row] for row in group) for group in groups]
    weighed = [(verifier.compare(item.claim, *quote), verifier.support(item.claim, *quote), quote) for quote in quotes]
    verdict, _, quote = max(weighed, key=lambda row: (row[0].passed, row[1]))
    return GroundingOutcome(item, verdict.passed, max(row[1] for row in weighed), " … ".join(quote), verdict.reason)


def context_sentences(context: str) -> list[str]:
    """The sentences of a context, line by line: a heading is no part of the sentence below it."""
    return [sentence for line in context.splitlines() for sentence in split_sentences(line) if sentence.strip()]
