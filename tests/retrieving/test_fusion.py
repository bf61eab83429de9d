from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragbot.retrieving.fusion import LEXICAL_WEIGHT, SENTENCE_WEIGHT, fuse

COSINES = st.lists(st.floats(-1, 1, width=32), min_size=4, max_size=4).map(lambda values: np.array(values, dtype=np.float32))
SCORES = st.lists(st.floats(0, 50, width=32), min_size=4, max_size=4).map(lambda values: np.array(values, dtype=np.float32))


def test_a_score_is_the_weighted_sum() -> None:
    fused = fuse(np.array([0.5, 0.2]), np.array([0.6, 0.1]), np.array([4.0, 8.0]), 8.0)
    assert fused == pytest.approx([0.5 + SENTENCE_WEIGHT * 0.6 + LEXICAL_WEIGHT * 0.5, 0.2 + SENTENCE_WEIGHT * 0.1 + LEXICAL_WEIGHT])


def test_without_a_shared_word_meaning_decides() -> None:
    nothing = np.zeros(2)
    assert fuse(np.array([0.5, 0.2]), nothing, nothing, 0.0) == pytest.approx([0.5, 0.2])


@given(COSINES, COSINES, SCORES, st.integers(0, 3), st.floats(0.01, 1))
def test_a_row_that_is_nearer_never_falls(whole: np.ndarray, single: np.ndarray, lexical: np.ndarray, row: int, more: float) -> None:
    highest = float(lexical.max())
    before = fuse(whole, single, lexical, highest)
    nearer = whole.copy()
    nearer[row] += more
    after = fuse(nearer, single, lexical, highest)
    assert (after > after[row]).sum() <= (before > before[row]).sum()


@given(COSINES, COSINES, SCORES, st.floats(0.5, 20))
def test_the_scale_of_bm25_does_not_matter(whole: np.ndarray, single: np.ndarray, lexical: np.ndarray, factor: float) -> None:
    one = fuse(whole, single, lexical, float(lexical.max()))
    other = fuse(whole, single, lexical * factor, float((lexical * factor).max()))
    assert other == pytest.approx(one, abs=1e-4)
