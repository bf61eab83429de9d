"""question → passages: by meaning, by the best sentence, by words; fused; then once more with what the first ones speak of.

``LangchainRetriever`` is a LangChain ``BaseRetriever`` over any such search.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document as LangchainDocument
from langchain_core.embeddings import Embeddings
from langchain_core.retrievers import BaseRetriever
from pydantic import ConfigDict

from ragbot.generation import Generation
from ragbot.models import Embedder, Vectors
from ragbot.records import Passage
from ragbot.retrieving.dense import rank_chunks, score_by_sentence
from ragbot.retrieving.feedback import PASSAGES, as_weights, widen_vector, widen_words
from ragbot.retrieving.fusion import fuse
from ragbot.retrieving.lexical import LexicalIndex
from ragbot.retrieving.reranking import Reranker
from ragbot.terms import terms_of

__all__ = ["LangchainEmbeddings", "LangchainRetriever", "LexicalIndex", "Reranker", "Retriever", "fuse"]

# How many passages each way finds before they are fused.
DEPTH = 40


class Retriever:
    """Searches one generation of the index."""

    def __init__(self, generation: Generation, embedder: Embedder, reranker: Reranker | None = None) -> None:
        self._generation = generation
        self._embedder = embedder
        self._reranker = reranker
        self._lexical = LexicalIndex(generation.chunks)

    def retrieve(self, question: str, count: int) -> list[Passage]:
        """The ``count`` passages that fit the question best, best first; empty for an empty library."""
        if not self._generation.chunks or not question.strip():
            return []
        vector = self._embedder.encode_questions([question])[0]
        terms = terms_of(question)
        depth = max(DEPTH, count)
        nearest = score_by_sentence(self._generation, vector)
        rows, scores, finders = self._rank(vector, nearest, as_weights(terms), depth)
        # The second look takes in what the first passages found speak of.
        first = rows[:PASSAGES]
        wider = widen_vector(vector, self._generation.chunk_vectors[first])
        words = widen_words(terms, [self._lexical.words[row] for row in first], scores[:PASSAGES], self._lexical.rarity)
        rows, scores, _ = self._rank(wider, nearest, words, depth)
        passages = []
        for row, score in list(zip(rows, scores.tolist(), strict=True))[: depth if self._reranker else count]:
            chunk = self._generation.chunks[row]
            found_by = tuple(name for name, found in finders.items() if row in found) or ("feedback",)
            passages.append(Passage(chunk, self._generation.documents[chunk.source_id].source, score, found_by))
        if self._reranker is not None:
            passages = self._reranker.rerank(question, passages)[:count]
        return passages

    def _rank(self, vector: Vectors, nearest: Vectors, words: Mapping[str, float], depth: int) -> tuple[list[int], Vectors, dict[str, set[int]]]:
        """Rows that any of the three ways found, best first, with their fused scores, and which way found which."""
        lexical = self._lexical.score_chunks(words)
        finders = {
            "dense": set(rank_chunks(self._generation, vector, depth)),
            "sentence": set(_best(nearest, depth)),
            "lexical": {row for row in _best(lexical, depth) if lexical[row] > 0},
        }
        rows = np.array(sorted(set().union(*finders.values())), dtype=np.intp)
        scores = fuse(self._generation.chunk_vectors[rows] @ vector, nearest[rows], lexical[rows], float(lexical.max()))
        order = np.argsort(-scores, kind="stable")
        return rows[order].tolist(), scores[order], finders


def _best(scores: Vectors, count: int) -> list[int]:
    return [int(row) for row in np.argsort(-scores, kind="stable")[:count]]


class LangchainRetriever(BaseRetriever):
    """A LangChain retriever over a ragbot library; the metadata hold article, heading, span, score and what found it.

    Attributes:
        search: gives the passages for a query, at most as many as it is told, best first.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    search: Callable[[str, int], Sequence[Passage]]
    count: int = 8

    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun, **_: Any) -> list[LangchainDocument]:
        return [as_langchain_document(passage) for passage in self.search(query, self.count)]


def as_langchain_document(passage: Passage) -> LangchainDocument:
    """A passage as a LangChain document."""
    chunk = passage.chunk
    return LangchainDocument(
        id=chunk.id,
        page_content=chunk.text,
        metadata={
            "article": chunk.source_id,
            "title": passage.source.title,
            "url": passage.source.url,
            "heading": chunk.heading,
            "start": chunk.span.start,
            "end": chunk.span.end,
            "score": passage.score,
            "found_by": list(passage.found_by),
        },
    )


class LangchainEmbeddings(Embeddings):
    """The embedder as LangChain knows it."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        vectors: list[list[float]] = self._embedder.encode(texts).tolist()
        return vectors

    def embed_query(self, text: str) -> list[float]:
        vector: list[float] = self._embedder.encode_questions([text])[0].tolist()
        return vector
