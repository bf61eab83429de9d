"""Did the answer have a status that is right for its question?"""

from __future__ import annotations

from collections.abc import Sequence

from ragbot.evaluation.metrics.scoring import Score, share_score
from ragbot.evaluation.outcomes import AnswersOutcome


def score_status(outcomes: Sequence[AnswersOutcome]) -> list[Score]:
    """The share of answers with one of the wanted statuses."""
    hits = [one.answer.status in one.item.status for one in outcomes if one.answer is not None]
    return [share_score("status accuracy", hits, "Answers whose status is among the wanted ones.")]
