"""Several rankings → one, by reciprocal rank."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

# Cormack, Clarke and Buettcher (SIGIR 2009) found 60 to work across collections; nothing here was tuned.
RANK_CONSTANT = 60


def fuse(rankings: Mapping[str, Sequence[int]]) -> list[tuple[int, float, tuple[str, ...]]]:
    """Rows in fused order with their score and the names of the rankings that hold them.

    A row's score is the sum of ``1 / (60 + rank)`` over the rankings, ranks counted from 1. Ties keep the order of rows.
    """
    scores: dict[int, float] = {}
    finders: dict[int, list[str]] = {}
    for name, rows in rankings.items():
        for rank, row in enumerate(rows, start=1):
            scores[row] = scores.get(row, 0.0) + 1.0 / (RANK_CONSTANT + rank)
            finders.setdefault(row, []).append(name)
    order = sorted(scores, key=lambda row: (-scores[row], row))
    return [(row, scores[row], tuple(finders[row])) for row in order]
