"""Fits logistic weights to questions that were looked up, and chooses regularisation and threshold by cross-validation.

Every probability that a choice rests on was given by weights that had not seen the question.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ragbot.answering.calibration import GATE_NAMES
from ragbot.answering.extractive import ExtractiveAnswerer, choose
from ragbot.answering.relevance import Candidate

Floats = NDArray[np.float64]
Weights = tuple[Floats, float]

FOLDS = 5
SEEDS = (1, 2, 3, 4, 5)
REGULARISATIONS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
WANTED_ABSTENTION = 0.90
MOST_WRONG_ABSTENTION = 0.05
# Sentences are weighed so that a question counts as much as one with this many of them.
USUAL_SENTENCES = 40.0


@dataclass(frozen=True, slots=True)
class LookedUp:
    """What was found for one wording of a question: the candidates, their features and how well each answers (0 to 1)."""

    asked: str
    candidates: tuple[Candidate, ...]
    features: Floats
    labels: Floats


@dataclass(frozen=True, slots=True)
class Trial:
    """A question of the set with its wordings as the bot would try them; the first is the one that is trained on."""

    answerable: bool
    wordings: tuple[LookedUp, ...]


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """What a threshold would do: share of unanswerable questions abstained from, and of answerable ones wrongly so."""

    threshold: float
    abstention: float
    wrong_abstention: float

    @property
    def balanced_accuracy(self) -> float:
        return (self.abstention + 1.0 - self.wrong_abstention) / 2


@dataclass(frozen=True, slots=True)
class RelevanceChoice:
    """How the relevance weights are got: fitted at a regularisation, or, where that is None, kept as they are.

    ``first_right``: share of the answerable questions whose first sentence holds something wanted; ``coverage``: mean share of
    what is wanted that the chosen sentences hold. Both cross-validated.
    """

    c: float | None
    first_right: float
    coverage: float


def point_at(probabilities: Floats, answerable: NDArray[np.bool_], threshold: float) -> CurvePoint:
    """What a threshold does on given probabilities."""
    abstained = probabilities < threshold
    return CurvePoint(threshold, float(abstained[~answerable].mean()), float(abstained[answerable].mean()))


def choose_threshold(probabilities: Floats, answerable: NDArray[np.bool_]) -> tuple[CurvePoint, str]:
    """The point that abstains from at least 90 % of the unanswerable at 5 % wrong abstention at most, the best balanced of them;
    where there is none, the best balanced of all. Thresholds lie half way between neighbouring probabilities."""
    values = np.unique(probabilities)
    between = (values[1:] + values[:-1]) / 2 if len(values) > 1 else values
    points = [point_at(probabilities, answerable, float(value)) for value in between]
    wanted = [point for point in points if point.abstention >= WANTED_ABSTENTION and point.wrong_abstention <= MOST_WRONG_ABSTENTION]
    best = max(wanted or points, key=lambda point: (point.balanced_accuracy, -point.wrong_abstention))
    reached = "abstention >= 0.90 at <= 0.05 wrong abstention"
    return best, reached if wanted else f"best balanced accuracy; {reached} is not reached"


def fit_logistic(features: Floats, labels: Floats, c: float, weights: Floats | None = None) -> Weights:
    """Weights and bias on the raw features of a logistic regression fitted on standardised ones.

    Args:
        c: inverse strength of the regularisation.
        weights: how much each row counts.
    """
    from sklearn.linear_model import LogisticRegression

    mean, deviation = features.mean(axis=0), features.std(axis=0)
    deviation[deviation == 0] = 1.0
    model: Any = LogisticRegression(C=c, max_iter=2000).fit((features - mean) / deviation, labels, sample_weight=weights)
    raw = model.coef_[0] / deviation
    return raw, float(model.intercept_[0] - raw @ mean)


def probabilities_of(features: Floats, weights: Weights) -> Floats:
    """The logistic function of the weighted sums, a row each."""
    result: Floats = 1.0 / (1.0 + np.exp(-(features @ weights[0] + weights[1])))
    return result


def fit_relevance(trials: Sequence[Trial], c: float | None, kept: Weights) -> Weights:
    """Weights over sentences. Every question counts alike, however many sentences were found for it; a sentence that holds half
    of what is wanted counts half for either side."""
    if c is None:
        return kept
    features, labels, weights = [], [], []
    for found in (trial.wordings[0] for trial in trials if has_answer(trial)):
        size = len(found.labels)
        for side, shares in ((1.0, found.labels), (0.0, 1.0 - found.labels)):
            features.append(found.features)
            labels.append(np.full(size, side))
            weights.append(shares * USUAL_SENTENCES / size)
    counts = np.concatenate(weights)
    rows = counts > 0
    return fit_logistic(np.concatenate(features)[rows], np.concatenate(labels)[rows], c, counts[rows])


def has_answer(trial: Trial) -> bool:
    """Whether something that answers was found for a question."""
    return trial.answerable and bool(trial.wordings[0].labels.any())


def choose_relevance(trials: Sequence[Trial], kept: Weights) -> RelevanceChoice:
    """The way whose chosen sentences hold most of what is wanted; the weights in force are kept where fitting does no better."""
    choices: list[RelevanceChoice] = []
    for c in (None, *REGULARISATIONS):
        first: list[float] = []
        coverage: list[float] = []
        for train, test in _folds(trials, SEEDS[0]):
            weights = fit_relevance([trials[row] for row in train], c, kept)
            for found in (trials[row].wordings[0] for row in test if trials[row].answerable):
                labels = {id(one.sentence): label for one, label in zip(found.candidates, found.labels.tolist(), strict=True)}
                chosen = choose(rescore(found, weights))
                first.append(float(bool(chosen) and labels[id(chosen[0].sentence)] > 0))
                coverage.append(min(1.0, sum(labels[id(one.sentence)] for one in chosen)))
        choices.append(RelevanceChoice(c, float(np.mean(first)), float(np.mean(coverage))))
    return max(choices, key=lambda choice: choice.first_right + choice.coverage)


def rescore(found: LookedUp, weights: Weights) -> list[Candidate]:
    """The candidates by other weights, best first."""
    if not found.candidates:
        return []
    scores = probabilities_of(found.features, weights).tolist()
    rescored = [replace(candidate, score=score) for candidate, score in zip(found.candidates, scores, strict=True)]
    return sorted(rescored, key=lambda candidate: -candidate.score)


def gate_rows(wordings: Sequence[LookedUp], relevance: Weights, answerer: ExtractiveAnswerer) -> Floats:
    """The gate's features, a row a wording."""
    rows = [answerer.gate(found.asked, rescore(found, relevance)).features for found in wordings]
    return np.array([[row[name] for name in GATE_NAMES] for row in rows], dtype=np.float64)


def choose_gate(trials: Sequence[Trial], choice: RelevanceChoice, kept: Weights, answerer: ExtractiveAnswerer) -> tuple[float, Floats]:
    """The regularisation of least cross-validated loss, and each question's mean probability by weights that had not seen it.

    The bot answers where any of its wordings is answered, so a question's probability is that of its best wording.
    """
    from sklearn.metrics import log_loss

    answerable = np.array([trial.answerable for trial in trials], dtype=np.float64)
    sums = {c: np.zeros(len(trials)) for c in REGULARISATIONS}
    for seed in SEEDS:
        for train, test in _folds(trials, seed):
            relevance = fit_relevance([trials[row] for row in train], choice.c, kept)
            rows = gate_rows([trials[row].wordings[0] for row in train], relevance, answerer)
            tested = [gate_rows(trials[row].wordings, relevance, answerer) for row in test]
            for c, total in sums.items():
                gate = fit_logistic(rows, answerable[train], c)
                total[test] += [float(probabilities_of(one, gate).max()) for one in tested]
    means = {c: total / len(SEEDS) for c, total in sums.items()}
    best = min(REGULARISATIONS, key=lambda c: float(log_loss(answerable, means[c])))
    return best, means[best]


def _folds(trials: Sequence[Trial], seed: int) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    from sklearn.model_selection import StratifiedKFold

    folds: Any = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    return list(folds.split(np.zeros(len(trials)), [trial.answerable for trial in trials]))
