"""A question's words → BM25 scores of chunks. The only file that knows bm25s."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import bm25s
import numpy as np

from ragbot.models import Vectors
from ragbot.records import Chunk
from ragbot.terms import Rarity, terms_of

# Title and heading say what a passage is about in a few words, so their words count more than those of the text.
TITLE_WEIGHT = 1
HEADING_WEIGHT = 2
# As in the published BM25 baselines for short passages (Anserini/Pyserini).
K1 = 0.9
B = 0.4


def weighted_terms(chunk: Chunk) -> list[str]:
    """The terms of a chunk, those of its title and heading repeated by their weight."""
    return terms_of(chunk.title) * TITLE_WEIGHT + terms_of(chunk.heading) * HEADING_WEIGHT + terms_of(chunk.plain)


class LexicalIndex:
    """BM25 over the chunks, built in memory when a generation is opened (milliseconds for hundreds of chunks)."""

    def __init__(self, chunks: Sequence[Chunk]) -> None:
        corpus = [weighted_terms(chunk) for chunk in chunks]
        self.words = [terms_of(chunk.plain) for chunk in chunks]
        self.rarity = Rarity(self.words)
        self._bm25 = bm25s.BM25(k1=K1, b=B) if any(corpus) else None
        if self._bm25 is not None:
            self._bm25.index(corpus, show_progress=False)

    def score_chunks(self, weights: Mapping[str, float]) -> Vectors:
        """The BM25 score of every chunk for weighted terms, in the chunks' order."""
        scores: Vectors = np.zeros(len(self.words), dtype=np.float32)
        if self._bm25 is None:
            return scores
        for term, weight in weights.items():
            scores += weight * self._bm25.get_scores([term])
        return scores
