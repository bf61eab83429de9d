"""Does an answer say the same thing twice?"""

from __future__ import annotations

from collections.abc import Sequence

from ragbot.evaluation.metrics.scoring import Score, mean_score
from ragbot.evaluation.outcomes import AnswersOutcome
from ragbot.terms import terms_of


def repeated_share(statements: Sequence[str]) -> float:
    """The largest share of a statement's terms that another statement holds too, 0 to 1."""
    terms = [set(terms_of(text)) for text in statements]
    shares = [len(one & other) / min(len(one), len(other)) for row, one in enumerate(terms) for other in terms[:row] if one and other]
    return max(shares, default=0.0)


def score_redundancy(outcomes: Sequence[AnswersOutcome]) -> list[Score]:
    """The mean over answers of two statements or more."""
    texts = [[statement.text for statement in one.answer.statements] for one in outcomes if one.answer is not None]
    values = [repeated_share(statements) for statements in texts if len(statements) > 1]
    return [mean_score("redundancy", values, "Largest word overlap of two statements of one answer.", better="low")]
