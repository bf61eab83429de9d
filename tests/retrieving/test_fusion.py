from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragbot.retrieving.fusion import RANK_CONSTANT, fuse

RANKINGS = st.dictionaries(st.sampled_from(["dense", "sentence", "lexical"]), st.lists(st.integers(0, 20), unique=True))


@pytest.mark.parametrize(
    ("rankings", "order"),
    [
        ({}, []),
        ({"dense": []}, []),
        ({"dense": [3, 1, 2]}, [3, 1, 2]),
        ({"dense": [1, 2], "lexical": [2, 1]}, [1, 2]),
        ({"dense": [2, 1], "lexical": [3, 1]}, [1, 2, 3]),
        ({"dense": [5, 4], "lexical": [4], "sentence": [4, 5]}, [4, 5]),
    ],
)
def test_the_order(rankings: dict[str, list[int]], order: list[int]) -> None:
    assert [row for row, _, _ in fuse(rankings)] == order


def test_a_score_is_the_sum_of_reciprocal_ranks() -> None:
    assert fuse({"dense": [7, 8], "lexical": [8]}) == [
        (8, pytest.approx(1 / (RANK_CONSTANT + 2) + 1 / (RANK_CONSTANT + 1)), ("dense", "lexical")),
        (7, pytest.approx(1 / (RANK_CONSTANT + 1)), ("dense",)),
    ]


@given(RANKINGS)
def test_every_row_comes_once_with_all_that_found_it_and_best_first(rankings: dict[str, list[int]]) -> None:
    fused = fuse(rankings)
    assert sorted(row for row, _, _ in fused) == sorted({row for rows in rankings.values() for row in rows})
    scores = [score for _, score, _ in fused]
    assert scores == sorted(scores, reverse=True)
    for row, score, finders in fused:
        assert set(finders) == {name for name, rows in rankings.items() if row in rows}
        assert 0 < score <= len(finders) / (RANK_CONSTANT + 1) + 1e-12


@given(st.lists(st.integers(0, 20), unique=True))
def test_agreeing_rankings_keep_their_order(rows: list[int]) -> None:
    assert [row for row, _, _ in fuse({"dense": rows, "sentence": rows, "lexical": rows})] == rows


@given(RANKINGS, st.data())
def test_a_row_that_is_found_once_more_never_falls(rankings: dict[str, list[int]], data: st.DataObject) -> None:
    row = data.draw(st.integers(0, 20))
    before = [found for found, _, _ in fuse(rankings)]
    after = [found for found, _, _ in fuse({**rankings, "another": [row]})]
    assert after.index(row) <= (before.index(row) if row in before else len(before))


@given(RANKINGS)
def test_the_order_of_the_rankings_does_not_matter(rankings: dict[str, list[int]]) -> None:
    turned = dict(reversed(rankings.items()))
    scores = {row: score for row, score, _ in fuse(rankings)}
    assert {row: score for row, score, _ in fuse(turned)} == pytest.approx(scores)
