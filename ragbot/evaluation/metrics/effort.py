"""How long are the answers, and how long did they take?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ragbot.evaluation.metrics.scoring import Score, mean_score, not_scored, sampled_score
from ragbot.evaluation.outcomes import AnswersOutcome


def score_length(outcomes: Sequence[AnswersOutcome]) -> list[Score]:
    """Mean words of the statements of an answer."""
    texts = [" ".join(statement.text for statement in one.answer.statements) for one in outcomes if one.answer is not None]
    return [mean_score("answer length", [len(text.split()) for text in texts if text], "Words of the statements.", unit="words", better="")]


def score_latency(outcomes: Sequence[AnswersOutcome]) -> list[Score]:
    """Median and 95th percentile of the time from question to whole answer, on this machine with the models loaded."""
    spent = np.array([one.milliseconds for one in outcomes if one.answer is not None])
    scores: list[Score] = []
    for share in (50, 95):
        name = f"latency p{share}"
        if not len(spent):
            scores.append(not_scored(name, "not scored: nothing was answered.", "ms", "low"))
            continue
        reason = f"{share}th percentile from question to whole answer, models loaded."

        def measure(column: np.ndarray, wanted: int = share) -> float:
            return float(np.percentile(column, wanted))

        scores.append(sampled_score(name, [spent], measure, reason, unit="ms", better="low"))
    return scores
