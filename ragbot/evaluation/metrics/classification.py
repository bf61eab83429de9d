"""Yes or no, with a probability: scikit-learn's measures, over answerability and grounding alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import rankdata
from sklearn.metrics import average_precision_score, balanced_accuracy_score, f1_score, roc_auc_score

from ragbot.evaluation.metrics.scoring import Array, Score, sampled_score, share_score
from ragbot.evaluation.outcomes import AnswerabilityOutcome, GroundingOutcome

BINS = 10


def auroc(truth: Array, scores: Array) -> float | None:
    """The chance that a positive item scores above a negative one; None where all are of one kind."""
    return float(roc_auc_score(truth, scores)) if both_kinds(truth) else None


def average_precision(truth: Array, scores: Array) -> float | None:
    """The area under the precision–recall curve; None where all items are of one kind."""
    return float(average_precision_score(truth, scores)) if both_kinds(truth) else None


def balanced_accuracy(truth: Array, decisions: Array) -> float | None:
    """The mean of the two recalls; None where all items are of one kind."""
    return float(balanced_accuracy_score(truth, decisions)) if both_kinds(truth) else None


def f1(truth: Array, decisions: Array) -> float | None:
    """The harmonic mean of precision and recall; None where nothing is positive and nothing taken for it."""
    return float(f1_score(truth, decisions)) if (truth | decisions).any() else None


def calibration_error(truth: Array, scores: Array) -> float | None:
    """The expected calibration error over ten bins of equal width (Naeini, Cooper and Hauskrecht, AAAI 2015)."""
    if not len(truth):
        return None
    bins = np.clip((scores * BINS).astype(int), 0, BINS - 1)
    gaps = np.bincount(bins, weights=truth, minlength=BINS) - np.bincount(bins, weights=scores, minlength=BINS)
    return float(np.abs(gaps).sum() / len(truth))


def both_kinds(truth: Array) -> bool:
    """Whether there are positive and negative items."""
    return bool(0 < truth.sum() < len(truth))


# The same without scikit-learn's checks of its input, which take a hundred times as long as the sums: only for the intervals.


def quick_auroc(truth: Array, scores: Array) -> float | None:
    """``auroc`` by the sum of ranks (Mann and Whitney, 1947)."""
    positive = int(truth.sum())
    if not 0 < positive < len(truth):
        return None
    ranks = rankdata(scores)[truth == 1].sum()
    return float((ranks - positive * (positive + 1) / 2) / (positive * (len(truth) - positive)))


def quick_average_precision(truth: Array, scores: Array) -> float | None:
    """``average_precision``; items of one score count as one step."""
    if not both_kinds(truth):
        return None
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)
    hits = np.cumsum(truth[order])[ends]
    gained = np.diff(np.concatenate([[0], hits])) / truth.sum()
    return float((gained * hits / (ends + 1)).sum())


def quick_balanced_accuracy(truth: Array, decisions: Array) -> float | None:
    """``balanced_accuracy`` by counting."""
    if not both_kinds(truth):
        return None
    return float((decisions[truth == 1].mean() + 1 - decisions[truth == 0].mean()) / 2)


def quick_f1(truth: Array, decisions: Array) -> float | None:
    """``f1`` by counting."""
    total = truth.sum() + decisions.sum()
    return float(2 * (truth & decisions).sum() / total) if total else None


def score_decisions(truth: Array, scores: Array, decisions: Array, positive: str) -> list[Score]:
    """All measures over 0/1 truths, scores of 0 to 1, and 0/1 decisions.

    Args:
        positive: what a 1 means, such as ``supported``.
    """
    taken = [bool(one) for one in truth[decisions == 1]]
    found = [bool(one) for one in decisions[truth == 1]]
    threshold = "Mean of the recalls of both kinds at the threshold in force."
    return [
        sampled_score("AUROC", [truth, scores], auroc, f"Chance that one {positive} scores above one not {positive}.", quick=quick_auroc),
        sampled_score(
            "average precision",
            [truth, scores],
            average_precision,
            f"Area under precision and recall of {positive!r}.",
            quick=quick_average_precision,
        ),
        sampled_score("balanced accuracy", [truth, decisions], balanced_accuracy, threshold, quick=quick_balanced_accuracy),
        share_score("precision", taken, f"Of what was taken for {positive}."),
        share_score("recall", found, f"Of what is {positive}."),
        sampled_score("F1", [truth, decisions], f1, f"Of {positive!r}.", quick=quick_f1),
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
