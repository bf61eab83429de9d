"""Fits the weights of the answerer's relevance and gate, and chooses the gate's threshold, on a calibration set.

Two logistic regressions, as the answerer uses them: one over sentences (does it answer?), one over questions (do the best
sentences answer?). Regularisation and threshold are chosen by repeated five-fold cross-validation over questions, so that every
probability that a choice rests on was given by weights that had not seen the question. Nothing is tuned on what is reported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ragbot import generations
from ragbot.answering.calibration import GATE_NAMES
from ragbot.answering.extractive import ExtractiveAnswerer, choose
from ragbot.answering.relevance import FEATURE_NAMES, Candidate
from ragbot.errors import DatasetError
from ragbot.evaluation.asking import wordings_of
from ragbot.evaluation.sets import AnswersItem, read_sets
from ragbot.library import open_policy
from ragbot.models import Embedder
from ragbot.rephrasing import Rephraser
from ragbot.retrieving import Reranker, Retriever
from ragbot.settings import Settings
from ragbot.store import open_index

Floats = NDArray[np.float64]

FOLDS = 5
SEEDS = (1, 2, 3, 4, 5)
REGULARISATIONS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
WANTED_ABSTENTION = 0.90
MOST_WRONG_ABSTENTION = 0.05
CURVE_THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(1, 20))
FEWEST_QUESTIONS = 2 * FOLDS


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
class CalibrationResult:
    """Weights on the raw features, the chosen point, and the evidence it was chosen by."""

    relevance_weights: Mapping[str, float]
    relevance_bias: float
    relevance_c: float
    gate_weights: Mapping[str, float]
    gate_bias: float
    gate_c: float
    chosen: CurvePoint
    curve: tuple[CurvePoint, ...]
    answerable: int
    unanswerable: int
    sentences: int
    first_sentence_right: float
    gate_auroc: float
    rule: str
    set_name: str
    date: str

    def to_toml(self) -> str:
        """The text of thresholds.toml."""
        lines = [
            f"# Written by calibrating on {self.set_name!r}. The figures are those of {FOLDS}-fold cross-validation over questions.",
            "[evidence]",
            f'date = "{self.date}"',
            f'set = "{self.set_name}"',
            f"answerable = {self.answerable}",
            f"unanswerable = {self.unanswerable}",
            f"sentences = {self.sentences}",
            f"first_sentence_right = {self.first_sentence_right:.4f}",
            f"gate_auroc = {self.gate_auroc:.4f}",
            f"relevance_c = {self.relevance_c}",
            f"gate_c = {self.gate_c}",
            f'rule = "{self.rule}"',
            f"abstention = {self.chosen.abstention:.4f}",
            f"wrong_abstention = {self.chosen.wrong_abstention:.4f}",
            "# threshold, abstention on unanswerable questions, wrong abstention on answerable ones",
            "curve = [",
            *(f"    [{point.threshold:.2f}, {point.abstention:.4f}, {point.wrong_abstention:.4f}]," for point in self.curve),
            "]",
            "",
            "[relevance]",
            f"bias = {self.relevance_bias:.4f}",
            "[relevance.weights]",
            *(f"{name} = {value:.4f}" for name, value in self.relevance_weights.items()),
            "",
            "[gate]",
            f"bias = {self.gate_bias:.4f}",
            f"threshold = {self.chosen.threshold:.4f}",
            "[gate.weights]",
            *(f"{name} = {value:.4f}" for name, value in self.gate_weights.items()),
        ]
        return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class _Lookup:
    """What was found for one wording of a question: the candidates, their features and how well each answers (0 to 1)."""

    asked: str
    candidates: tuple[Candidate, ...]
    features: Floats
    labels: Floats


@dataclass(frozen=True, slots=True)
class _Question:
    """A question of the set with its wordings as the bot would try them; the first is the one that is trained on."""

    answerable: bool
    lookups: tuple[_Lookup, ...]


def calibrate(path: Path | Sequence[Path], settings: Settings) -> CalibrationResult:
    """Fits weights and threshold on one or several answers sets against the library that the settings name.

    Raises:
        DatasetError: the set cannot be used, or holds too few questions of either kind.
        StoreError, ModelError: see there.
    """
    paths = [path] if isinstance(path, Path) else list(path)
    sets, problems = read_sets(paths)
    if problems:
        raise problems[0]
    items = [item for one in sets for item in one.items if isinstance(item, AnswersItem)]
    counts = [sum(item.answerable is kind for item in items) for kind in (True, False)]
    if min(counts) < FEWEST_QUESTIONS:
        raise DatasetError(
            f"Calibrating needs at least {FEWEST_QUESTIONS} answerable and as many unanswerable questions, not {counts[0]} and {counts[1]}.",
            path=paths[0],
        )
    answerer, questions = _look_up_all(items, settings)
    relevance_c, right = _choose_relevance(questions)
    gate_c, probabilities = _choose_gate(questions, relevance_c, answerer)
    answerable = np.array([question.answerable for question in questions])
    chosen, rule = choose_threshold(probabilities, answerable)
    relevance = _fit_relevance(questions, relevance_c)
    gate = _fit(_gate_rows(questions, relevance, answerer), answerable.astype(float), gate_c)
    from sklearn.metrics import roc_auc_score

    return CalibrationResult(
        relevance_weights=dict(zip(FEATURE_NAMES, relevance[0].tolist(), strict=True)),
        relevance_bias=relevance[1],
        relevance_c=relevance_c,
        gate_weights=dict(zip(GATE_NAMES, gate[0].tolist(), strict=True)),
        gate_bias=gate[1],
        gate_c=gate_c,
        chosen=chosen,
        curve=tuple(point_at(probabilities, answerable, threshold) for threshold in CURVE_THRESHOLDS),
        answerable=counts[0],
        unanswerable=counts[1],
        sentences=sum(len(question.lookups[0].labels) for question in questions if question.answerable),
        first_sentence_right=right,
        gate_auroc=float(roc_auc_score(answerable, probabilities)),
        rule=rule,
        set_name=" + ".join(one.name for one in paths),
        date=datetime.now(UTC).date().isoformat(),
    )


def point_at(probabilities: Floats, answerable: NDArray[np.bool_], threshold: float) -> CurvePoint:
    """What a threshold does on given probabilities."""
    abstained = probabilities < threshold
    return CurvePoint(threshold, float(abstained[~answerable].mean()), float(abstained[answerable].mean()))


def choose_threshold(probabilities: Floats, answerable: NDArray[np.bool_]) -> tuple[CurvePoint, str]:
    """The point that abstains from at least 90 % of the unanswerable at 5 % wrong abstention at most, the best balanced of them;
    where there is none, the best balanced of all. Thresholds lie half way between neighbouring probabilities."""
    values = np.unique(probabilities)
    points = [point_at(probabilities, answerable, float(value)) for value in (values[1:] + values[:-1]) / 2]
    wanted = [point for point in points if point.abstention >= WANTED_ABSTENTION and point.wrong_abstention <= MOST_WRONG_ABSTENTION]
    best = max(wanted or points, key=lambda point: (point.balanced_accuracy, -point.wrong_abstention))
    reached = "abstention >= 0.90 at <= 0.05 wrong abstention"
    return best, reached if wanted else f"best balanced accuracy; {reached} is not reached"


def _look_up_all(items: Sequence[AnswersItem], settings: Settings) -> tuple[ExtractiveAnswerer, list[_Question]]:
    generation, _ = open_index([generations.current_generation(settings.index)])
    embedder = Embedder(settings.embedding_model)
    retriever = Retriever(generation, embedder, Reranker(settings.reranker_model) if settings.reranker_model else None)
    answerer = ExtractiveAnswerer(generation, embedder)
    rephraser = Rephraser(generation.chunks, open_policy(settings).words, embedder.is_everyday)
    questions: list[_Question] = []
    for item in items:
        lookups: list[_Lookup] = []
        for wording in wordings_of(item):
            asked = rephraser.rephrase(wording)
            candidates = answerer.rate(asked, retriever.retrieve(asked, settings.passages))
            features = np.array([candidate.features.as_array() for candidate in candidates], dtype=np.float64)
            labels = np.array([_answers(candidate, item) for candidate in candidates], dtype=np.float64)
            lookups.append(_Lookup(asked, tuple(candidates), features.reshape(-1, len(FEATURE_NAMES)), labels))
        questions.append(_Question(item.answerable, tuple(lookups)))
    return answerer, questions


def _answers(candidate: Candidate, item: AnswersItem) -> float:
    """The share of the wanted groups that a sentence of a right article holds; 0 for any other article."""
    if not item.must_contain or (item.must_cite and candidate.passage.source.id not in item.must_cite):
        return 0.0
    text = candidate.sentence.text.casefold()
    return sum(any(word.casefold() in text for word in group) for group in item.must_contain) / len(item.must_contain)


Weights = tuple[Floats, float]


def _fit(features: Floats, labels: Floats, c: float, weights: Floats | None = None) -> Weights:
    """Weights and bias on the raw features of a logistic regression fitted on standardised ones."""
    from sklearn.linear_model import LogisticRegression

    mean, deviation = features.mean(axis=0), features.std(axis=0)
    deviation[deviation == 0] = 1.0
    model: Any = LogisticRegression(C=c, max_iter=2000).fit((features - mean) / deviation, labels, sample_weight=weights)
    raw = model.coef_[0] / deviation
    return raw, float(model.intercept_[0] - raw @ mean)


def _probabilities(features: Floats, weights: Weights) -> Floats:
    result: Floats = 1.0 / (1.0 + np.exp(-(features @ weights[0] + weights[1])))
    return result


def _fit_relevance(questions: Sequence[_Question], c: float) -> Weights:
    """Every question counts alike, however many sentences were found; a sentence with half the answer counts half for each side."""
    features, labels, weights = [], [], []
    for question in questions:
        found = question.lookups[0]
        if question.answerable and found.labels.any():
            size = len(found.labels)
            for side in (1.0, 0.0):
                features.append(found.features)
                labels.append(np.full(size, side))
                weights.append(np.abs(1.0 - side - found.labels) * 40.0 / size)
    stacked = np.concatenate(weights)
    kept = stacked > 0
    return _fit(np.concatenate(features)[kept], np.concatenate(labels)[kept], c, stacked[kept])


def _folds(questions: Sequence[_Question], seed: int) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    from sklearn.model_selection import StratifiedKFold

    folds: Any = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    return list(folds.split(np.zeros(len(questions)), [question.answerable for question in questions]))


def _choose_relevance(questions: Sequence[_Question]) -> tuple[float, float]:
    """The regularisation whose chosen sentences hold most of the answers, and the share of first sentences that hold some."""
    scored: list[tuple[float, float, float]] = []
    for c in REGULARISATIONS:
        coverage: list[float] = []
        first: list[float] = []
        for train, test in _folds(questions, SEEDS[0]):
            weights = _fit_relevance([questions[row] for row in train], c)
            for question in (questions[row] for row in test):
                if not question.answerable:
                    continue
                order = _rescored(question.lookups[0], weights)
                labels = {id(one.sentence): label for one, label in zip(question.lookups[0].candidates, question.lookups[0].labels, strict=True)}
                chosen = choose(order)
                first.append(float(bool(chosen) and labels[id(chosen[0].sentence)] > 0))
                coverage.append(min(1.0, sum(labels[id(one.sentence)] for one in chosen)))
        scored.append((float(np.mean(coverage) + np.mean(first)), c, float(np.mean(first))))
    _, c, right = max(scored, key=lambda one: one[0])
    return c, right


def _rescored(found: _Lookup, weights: Weights) -> list[Candidate]:
    scores = _probabilities(found.features, weights).tolist() if found.candidates else []
    rescored = [replace(candidate, score=score) for candidate, score in zip(found.candidates, scores, strict=True)]
    return sorted(rescored, key=lambda candidate: -candidate.score)


def _gate_row(found: _Lookup, relevance: Weights, answerer: ExtractiveAnswerer) -> list[float]:
    features = answerer.gate(found.asked, _rescored(found, relevance)).features
    return [features[name] for name in GATE_NAMES]


def _gate_rows(questions: Sequence[_Question], relevance: Weights, answerer: ExtractiveAnswerer) -> Floats:
    return np.array([_gate_row(question.lookups[0], relevance, answerer) for question in questions])


def _choose_gate(questions: Sequence[_Question], relevance_c: float, answerer: ExtractiveAnswerer) -> tuple[float, Floats]:
    """The regularisation of least cross-validated loss, and each question's mean probability by weights that had not seen it.

    The bot answers where any of its wordings is answered, so a question's probability is that of its best wording.
    """
    from sklearn.metrics import log_loss

    answerable = np.array([question.answerable for question in questions], dtype=np.float64)
    sums = {c: np.zeros(len(questions)) for c in REGULARISATIONS}
    for seed in SEEDS:
        for train, test in _folds(questions, seed):
            relevance = _fit_relevance([questions[row] for row in train], relevance_c)
            rows = _gate_rows([questions[row] for row in train], relevance, answerer)
            tested = [np.array([_gate_row(found, relevance, answerer) for found in questions[row].lookups]) for row in test]
            for c, total in sums.items():
                gate = _fit(rows, answerable[train], c)
                total[test] += [float(_probabilities(one, gate).max()) for one in tested]
    means = {c: total / len(SEEDS) for c, total in sums.items()}
    best = min(REGULARISATIONS, key=lambda c: float(log_loss(answerable, means[c])))
    return best, means[best]
