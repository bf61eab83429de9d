"""Do the quotes stand in the articles, letter for letter, and how well do they carry the statements?"""

from __future__ import annotations

from collections.abc import Sequence

from ragbot.evaluation.metrics.scoring import Score, mean_score, share_score
from ragbot.evaluation.outcomes import AnswersOutcome


def score_quoting(outcomes: Sequence[AnswersOutcome]) -> list[Score]:
    """Exact quotes (over citations), and the support of the statements shown and the share of drafts withheld."""
    answers = [(one, one.answer) for one in outcomes if one.answer is not None and one.answer.citations]
    exact = [citation.quote not in one.inexact for one, answer in answers for citation in answer.citations]
    return [share_score("quotes exact", exact, "Citations whose words stand in the article at the place given.")]


def score_support(outcomes: Sequence[AnswersOutcome]) -> list[Score]:
    """The mean support of the statements shown (what is not carried is withheld), and how much was withheld."""
    answers = [one.answer for one in outcomes if one.answer is not None]
    support = [statement.support for answer in answers for statement in answer.statements]
    held_back = [0] * len(support) + [1] * sum(len(answer.withheld) for answer in answers)
    return [
        mean_score("statement support", support, "Mean support of the statements shown by their own quotes, as the verifier measures it."),
        mean_score("withheld", held_back, "Share of the drafted statements that the verifier or the output rail withheld.", better=""),
    ]
