"""Yes or no, with a probability: scikit-learn's measures, over answerability and grounding alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.metrics import average_precision_score, balanced_accuracy_score, f1_score, precision_score, recall_score, roc_auc_score

from ragbot.evaluation.metrics.scoring import Array, Score, sampled_score, share_score
from ragbot.evaluation.outcomes import AnswerabilityOutcome, GroundingOutcome

BINS = 10


def auroc(truth: Array, scores: Array) -> float | None:
    """The chance that a positive item scores above a negative one; None where all are of one kind."""
    return float(roc_auc_score(truth, scores)) if 0 < truth.sum() < len(truth) else None


def average_precision(truth: Array, scores: Array) -> float | None:
    """The area under the precision–recall curve; None where all items are of one kind."""
    return float(average_precision_score(truth, scores)) if 0 < truth.sum() < len(truth) else None


def balanced_accuracy(truth: Array, decisions: Array) -> float | None:
    """The mean of the two recalls; None where all items are of one kind."""
    return float(balanced_accuracy_score(truth, decisions)) if 0 < truth.sum() < len(truth) else None


def calibration_error(truth: Array, scores: Array) -> float | None:
    """The expected calibration error over ten bins of equal width (Naeini, Cooper and Hauskrecht, AAAI 2015)."""
    if not len(truth):
        return None
    bins = np.clip((scores * BINS).astype(int), 0, BINS - 1)
    gaps = [abs(float(truth[bins == one].mean() - scores[bins == one].mean())) * float((bins == one).mean()) for one in np.unique(bins)]
    return sum(gaps)


def score_decisions(truth: Array, scores: Array, decisions: Array, positive: str) -> list[Score]:
    """All measures over 0/1 truths, scores of 0 to 1, and 0/1 decisions.

    Args:
        positive: what a 1 means, such as ``supported``.
    """

    def precision(true: Array, said: Array) -> float | None:
        return float(precision_score(true, said)) if said.any() else None

    def recall(true: Array, said: Array) -> float | None:
        return float(recall_score(true, said)) if true.any() else None

    def f1(true: Array, said: Array) -> float | None:
        return float(f1_score(true, said)) if (true | said).any() else None

    return [
        sampled_score("AUROC", [truth, scores], auroc, f"Chance that one {positive} scores above one not {positive}."),
        sampled_score("average precision", [truth, scores], average_precision, f"Area under precision and recall of {positive!r}."),
        sampled_score("balanced accuracy", [truth, decisions], balanced_accuracy, "Mean of the recalls of both kinds at the threshold in force."),
        sampled_score("precision", [truth, decisions], precision, f"Of what was taken for {positive}."),
        sampled_score("recall", [truth, decisions], recall, f"Of what is {positive}."),
        sampled_score("F1", [truth, decisions], f1, f"Of {positive!r}."),
        sampled_score("calibration error", [truth, scores], calibration_error, "Expected calibration error over ten bins.", better="low"),
    ]


def score_answerability(outcomes: Sequence[AnswerabilityOutcome]) -> list[Score]:
    """The measures over "answerable", and the abstention they mean."""
    told = [one for one in outcomes if not one.error]
    columns = _columns([(one.item.answerable, one.probability, one.answers) for one in told])
    silent = [not one.answers for one in told if not one.item.answerable]
    wrongly = [not one.answers for one in told if one.item.answerable]
    right = [not one.item.answerable for one in told if not one.answers]
    return [
        *score_decisions(*columns, "answerable"),
        share_score("abstention recall", silent, "Unanswerable questions that would not be answered."),
        share_score("wrong abstention", wrongly, "Answerable questions that would not be answered.", better="low"),
        share_score("abstention precision", right, "Abstentions that are right."),
    ]


def score_grounding(outcomes: Sequence[GroundingOutcome]) -> list[Score]:
    """The measures over "supported"."""
    return score_decisions(*_columns([(one.item.supported, one.support, one.passed) for one in outcomes if not one.error]), "supported")


def _columns(rows: Sequence[tuple[bool, float, bool]]) -> tuple[Array, Array, Array]:
    return (
        np.array([row[0] for row in rows], dtype=int),
        np.array([row[1] for row in rows], dtype=float),
        np.array([row[2] for row in rows], dtype=int),
    )
