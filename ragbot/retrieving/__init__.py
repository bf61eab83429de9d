"""question → passages: by meaning, by the best sentence, by words, fused by reciprocal rank.

``Retriever.as_langchain()`` is a LangChain ``BaseRetriever`` of the same search.
"""

from __future__ import annotations

from typing import Any

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document as LangchainDocument
from langchain_core.retrievers import BaseRetriever
from pydantic import ConfigDict

from ragbot.models import Embedder
from ragbot.records import Passage
from ragbot.retrieving.dense import rank_by_sentence, rank_chunks
from ragbot.retrieving.fusion import fuse
from ragbot.retrieving.lexical import LexicalIndex
from ragbot.retrieving.reranking import Reranker
from ragbot.store import Generation

__all__ = ["LangchainRetriever", "LexicalIndex", "Reranker", "Retriever", "fuse"]

# How deep each ranking is read before they are fused.
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
        depth = max(DEPTH, count)
        fused = fuse(
            {
                "dense": rank_chunks(self._generation, vector, depth),
                "sentence": rank_by_sentence(self._generation, vector, depth),
                "lexical": self._lexical.rank_chunks(question, depth),
            }
        )
        passages = []
        for row, score, finders in fused[: depth if self._reranker else count]:
            chunk = self._generation.chunks[row]
            passages.append(Passage(chunk, self._generation.documents[chunk.source_id].source, score, finders))
        if self._reranker is not None:
            passages = self._reranker.rerank(question, passages)[:count]
        return passages

    def as_langchain(self, count: int = 8) -> LangchainRetriever:
        """The same search as LangChain knows it."""
        return LangchainRetriever(retriever=self, count=count)


class LangchainRetriever(BaseRetriever):
    """A LangChain retriever over a ragbot library; the metadata hold article, heading, span, score and what found it."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    retriever: Retriever
    count: int = 8

    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun, **_: Any) -> list[LangchainDocument]:
        return [as_langchain_document(passage) for passage in self.retriever.retrieve(query, self.count)]


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
