"""Does it stay silent where the library does not answer, and only there? Declining counts as staying silent."""

from __future__ import annotations

from collections.abc import Sequence

from ragbot.evaluation.metrics.scoring import Score, share_score
from ragbot.evaluation.outcomes import AnswersOutcome


def score_abstention(outcomes: Sequence[AnswersOutcome]) -> list[Score]:
    """Recall (of the unanswerable), wrong abstention (of the answerable), and precision (of the abstentions)."""
    told = [one for one in outcomes if one.answer is not None]
    unanswerable = [one.abstained for one in told if not one.item.answerable]
    answerable = [one.abstained for one in told if one.item.answerable]
    right = [not one.item.answerable for one in told if one.abstained]
    return [
        share_score("abstention recall", unanswerable, "Unanswerable questions that were not answered."),
        share_score("wrong abstention", answerable, "Answerable questions that were not answered.", better="low"),
        share_score("abstention precision", right, "Abstentions that were right."),
    ]
