"""A question's vector → chunks by meaning, through Chroma and through the sentences' own vectors."""

from __future__ import annotations

import numpy as np

from ragbot.generation import Generation
from ragbot.models import Vectors


def rank_chunks(generation: Generation, vector: Vectors, count: int) -> list[int]:
    """Rows of the chunks nearest to the vector, best first."""
    return [generation.rows[chunk.id] for chunk, _ in generation.search(vector, count)]


def score_by_sentence(generation: Generation, vector: Vectors) -> Vectors:
    """For every chunk the cosine of the sentence in it that is nearest to the vector.

    A chunk is as good as its best sentence: the one sentence that answers is often drowned in its chunk's average.
    """
    if not len(generation.sentence_vectors):
        return np.zeros(0, dtype=np.float32)
    best: Vectors = np.maximum.reduceat(generation.sentence_vectors @ vector, generation.first_sentence[:-1])
    return best
