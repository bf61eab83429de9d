"""A question's vector → rows of chunks by meaning, through Chroma and through the sentences' own vectors."""

from __future__ import annotations

import numpy as np

from ragbot.models import Vectors
from ragbot.store import Generation


def rank_chunks(generation: Generation, vector: Vectors, count: int) -> list[int]:
    """Rows of the chunks nearest to the vector, best first."""
    return [generation.rows[chunk.id] for chunk, _ in generation.search(vector, count)]


def rank_by_sentence(generation: Generation, vector: Vectors, count: int) -> list[int]:
    """Rows of the chunks that hold the sentences nearest to the vector, best first.

    A chunk is as good as its best sentence: the one sentence that answers is often drowned in its chunk's average.
    """
    if not len(generation.sentence_vectors):
        return []
    cosines = generation.sentence_vectors @ vector
    best = np.maximum.reduceat(cosines, generation.first_sentence[:-1])
    return [int(row) for row in np.argsort(-best, kind="stable")[:count]]
