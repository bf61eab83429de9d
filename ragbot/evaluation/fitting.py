"""Fits weights and curves to questions that were looked up, and chooses regularisation and threshold by cross-validation.

Every probability that a choice rests on was given by weights that had not seen the question.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ragbot.answering.calibration import GATE_NAMES, Curve
from ragbot.answering.extractive import ExtractiveAnswerer, choose
from ragbot.answering.relevance import Candidate

Floats = NDArray[np.float64]
Weights = tuple[Floats, float]

FOLDS = 5
SEEDS = (1, 2, 3, 4, 5)
REGULARISATIONS = (0.1, 0.3, 1.0, 3.0)
GATE_REGULARISATIONS = (0.001, 0.003, 0.01, 0.03, 0.1)
WANTED_ABSTENTION = 0.90
MOST_WRONG_ABSTENTION = 0.05
# Sentences of a question that are compared: those that hold what is wanted, and those next to them by the weights in force.
MOST_RIGHT = 2
MOST_WRONG = 25
# Where the gate's curves may bend.
QUANTILES = (0.02, 0.25, 0.5, 0.75, 0.98)


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
    where there is none, the one that abstains from most at 5 % wrong abstention. Thresholds lie half way between neighbouring probabilities."""
    values = np.unique(probabilities)
    between = (values[1:] + values[:-1]) / 2 if len(values) > 1 else values
    points = [point_at(probabilities, answerable, float(value)) for value in between]
    wanted = [point for point in points if point.abstention >= WANTED_ABSTENTION and point.wrong_abstention <= MOST_WRONG_ABSTENTION]
    reached = "abstention >= 0.90 at <= 0.05 wrong abstention"
    if wanted:
        return max(wanted, key=lambda point: (point.balanced_accuracy, -point.wrong_abstention)), reached
    bearable = [point for point in points if point.wrong_abstention <= MOST_WRONG_ABSTENTION] or points[:1]
    best = max(bearable, key=lambda point: (point.abstention, -point.wrong_abstention))
    return best, f"most abstention at <= 0.05 wrong abstention; {reached} is not reached"


def fit_curves(features: Floats, labels: Floats, c: float) -> tuple[dict[str, Curve], float]:
    """The gate's curves and bias: a logistic regression on straight pieces between quantiles of each feature.

    Args:
        c: inverse strength of the regularisation.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    knots = [np.unique(np.quantile(column, QUANTILES)) for column in features.T]
    scaler: Any = StandardScaler()
    model: Any = LogisticRegression(C=c, max_iter=5000).fit(scaler.fit_transform(_hats(features, knots)), labels)
    values = model.coef_[0] / scaler.scale_
    bias = float(model.intercept_[0] - values @ scaler.mean_)
    curves: dict[str, Curve] = {}
    start = 0
    for name, places in zip(GATE_NAMES, knots, strict=True):
        curves[name] = Curve(tuple(places.tolist()), tuple(values[start : start + len(places)].tolist()))
        start += len(places)
    return curves, bias


def _hats(features: Floats, knots: Sequence[Floats]) -> Floats:
    """A column a knot: 1 at the knot, 0 at its neighbours, straight between; level beyond the first and the last."""
    columns = [np.interp(column, places, row) for column, places in zip(features.T, knots, strict=True) for row in np.eye(len(places))]
    return np.stack(columns, axis=1)


def probabilities_of(features: Floats, weights: Weights) -> Floats:
    """The logistic function of the weighted sums, a row each."""
    result: Floats = 1.0 / (1.0 + np.exp(-(features @ weights[0] + weights[1])))
    return result


def fit_relevance(trials: Sequence[Trial], c: float | None, kept: Weights) -> Weights:
    """Weights over sentences, learned from pairs: of a question's sentences the one that holds what is wanted goes before one that
    holds nothing of it. Every question counts alike. Scale and bias then make the score a probability (Platt, 1999)."""
    if c is None:
        return kept
    from sklearn.linear_model import LogisticRegression

    pairs, counts, rows, labels = [], [], [], []
    for found in (trial.wordings[0] for trial in trials if has_answer(trial)):
        order = np.argsort(-probabilities_of(found.features, kept))
        right = [row for row in order if found.labels[row] == found.labels.max()][:MOST_RIGHT]
        wrong = [row for row in order if found.labels[row] == 0][:MOST_WRONG]
        if not wrong:
            continue
        differences = (found.features[right][:, None] - found.features[wrong][None]).reshape(-1, found.features.shape[1])
        pairs += [differences, -differences]
        counts += [np.full(len(differences), 1.0 / len(differences))] * 2
        rows.append(found.features[[*right, *wrong]])
        labels.append(np.array([1.0] * len(right) + [0.0] * len(wrong)))
    stacked = np.concatenate(pairs)
    deviation = stacked.std(axis=0)
    deviation[deviation == 0] = 1.0
    sides = np.concatenate([np.full(len(one), float(number % 2 == 0)) for number, one in enumerate(pairs)])
    model: Any = LogisticRegression(C=c, fit_intercept=False, max_iter=2000)
    model.fit(stacked / deviation, sides, sample_weight=np.concatenate(counts))
    weights = model.coef_[0] / deviation
    sums = np.concatenate(rows) @ weights
    scale: Any = LogisticRegression(C=1e6, max_iter=2000).fit(sums[:, None], np.concatenate(labels))
    return weights * float(scale.coef_[0, 0]), float(scale.intercept_[0])


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


def probability_by(gate: tuple[dict[str, Curve], float], row: Floats) -> float:
    """The gate's probability for one row of features."""
    curves, bias = gate
    total = bias + sum(curves[name](float(value)) for name, value in zip(GATE_NAMES, row, strict=True))
    return float(1.0 / (1.0 + np.exp(-total)))


def choose_gate(trials: Sequence[Trial], choice: RelevanceChoice, kept: Weights, answerer: ExtractiveAnswerer) -> tuple[float, Floats]:
    """The regularisation of least cross-validated loss, and each question's mean probability by weights that had not seen it.

    The bot answers where any of its wordings is answered, so a question's probability is that of its best wording.
    """
    from sklearn.metrics import log_loss

    answerable = np.array([trial.answerable for trial in trials], dtype=np.float64)
    sums = {c: np.zeros(len(trials)) for c in GATE_REGULARISATIONS}
    for seed in SEEDS:
        for train, test in _folds(trials, seed):
            relevance = fit_relevance([trials[row] for row in train], choice.c, kept)
            rows = gate_rows([trials[row].wordings[0] for row in train], relevance, answerer)
            tested = [gate_rows(trials[row].wordings, relevance, answerer) for row in test]
            for c, total in sums.items():
                gate = fit_curves(rows, answerable[train], c)
                total[test] += [max(probability_by(gate, row) for row in one) for one in tested]
    means = {c: total / len(SEEDS) for c, total in sums.items()}
    best = min(GATE_REGULARISATIONS, key=lambda c: float(log_loss(answerable, means[c])))
    return best, means[best]


def _folds(trials: Sequence[Trial], seed: int) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    from sklearn.model_selection import StratifiedKFold

    folds: Any = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    return list(folds.split(np.zeros(len(trials)), [trial.answerable for trial in trials]))
