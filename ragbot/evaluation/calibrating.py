"""Fits the weights of the answerer's relevance and gate, and chooses the gate's threshold, on a calibration set.

Two logistic regressions, as the answerer uses them: one over sentences (does it answer?), one over questions (do the best
sentences answer?). Nothing is tuned on what is reported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from ragbot import generations
from ragbot.answering.calibration import Curve, load_calibration
from ragbot.answering.extractive import ExtractiveAnswerer
from ragbot.answering.relevance import FEATURE_NAMES, Candidate
from ragbot.errors import DatasetError
from ragbot.evaluation.asking import wordings_of
from ragbot.evaluation.fitting import (
    FOLDS,
    SEEDS,
    CurvePoint,
    LookedUp,
    RelevanceChoice,
    Trial,
    Weights,
    choose_gate,
    choose_relevance,
    choose_threshold,
    fit_curves,
    fit_relevance,
    gate_rows,
    has_answer,
    point_at,
)
from ragbot.evaluation.metrics.containing import comparable
from ragbot.evaluation.sets import AnswersItem, read_sets
from ragbot.generation import open_index
from ragbot.library import open_policy
from ragbot.models import Embedder
from ragbot.rephrasing import Rephraser
from ragbot.retrieving import Reranker, Retriever
from ragbot.settings import Settings

CURVE_THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(1, 20))
FEWEST_QUESTIONS = 2 * FOLDS


@dataclass(frozen=True, slots=True)
class CalibrationResult:
    """Weights on the raw features, the chosen point, and the evidence it was chosen by."""

    relevance_weights: Mapping[str, float]
    relevance_bias: float
    relevance: RelevanceChoice
    gate_curves: Mapping[str, Curve]
    gate_bias: float
    gate_c: float
    gate_auroc: float
    chosen: CurvePoint
    curve: tuple[CurvePoint, ...]
    rule: str
    answerable: int
    unanswerable: int
    sentences: int
    set_name: str
    date: str

    def to_toml(self) -> str:
        """The text of thresholds.toml, with the evidence."""
        way = "kept as they were: fitting did no better" if self.relevance.c is None else f"fitted, C = {self.relevance.c}"
        lines = [
            f"# Written by ragbot.evaluation.calibrating. All figures are those of {FOLDS}-fold cross-validation over questions,",
            f"# the gate's repeated {len(SEEDS)} times. What each feature means: ragbot/answering/relevance.py and extractive.py.",
            "[evidence]",
            f'date = "{self.date}"',
            f"set = '{self.set_name}'",
            f"answerable = {self.answerable}",
            f"unanswerable = {self.unanswerable}",
            f"sentences = {self.sentences}",
            f'relevance = "{way}"',
            f"first_sentence_right = {self.relevance.first_right:.4f}",
            f"coverage = {self.relevance.coverage:.4f}",
            f"gate_c = {self.gate_c}",
            f"gate_auroc = {self.gate_auroc:.4f}",
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
            *(line for name, curve in self.gate_curves.items() for line in _curve_lines(name, curve)),
        ]
        return "\n".join(lines) + "\n"


def _curve_lines(name: str, curve: Curve) -> tuple[str, ...]:
    knots, values = (", ".join(f"{value:.4f}" for value in row) for row in (curve.knots, curve.values))
    return f"[gate.curves.{name}]", f"knots = [{knots}]", f"values = [{values}]"


def calibrate(path: Path | Sequence[Path], settings: Settings) -> CalibrationResult:
    """Fits weights and threshold on one or several answers sets against the library that the settings name.

    Raises:
        DatasetError: a set cannot be used, holds too few questions of either kind, or speaks of another library.
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
    answerer, trials = _look_up_all(items, settings)
    if sum(has_answer(trial) for trial in trials) < FEWEST_QUESTIONS:
        raise DatasetError("The library holds next to nothing of what the questions ask for.", "Name its own set or index.", path=paths[0])
    in_force = load_calibration()
    kept: Weights = (in_force.relevance_weights.astype(np.float64), in_force.relevance_bias)
    choice = choose_relevance(trials, kept)
    gate_c, probabilities = choose_gate(trials, choice, kept, answerer)
    answerable = np.array([trial.answerable for trial in trials])
    chosen, rule = choose_threshold(probabilities, answerable)
    relevance = fit_relevance(trials, choice.c, kept)
    rows = gate_rows([trial.wordings[0] for trial in trials], relevance, answerer)
    gate_curves, gate_bias = fit_curves(rows, answerable.astype(np.float64), gate_c)
    from sklearn.metrics import roc_auc_score

    return CalibrationResult(
        relevance_weights=dict(zip(FEATURE_NAMES, relevance[0].tolist(), strict=True)),
        relevance_bias=relevance[1],
        relevance=choice,
        gate_curves=gate_curves,
        gate_bias=gate_bias,
        gate_c=gate_c,
        gate_auroc=float(roc_auc_score(answerable, probabilities)),
        chosen=chosen,
        curve=tuple(point_at(probabilities, answerable, threshold) for threshold in CURVE_THRESHOLDS),
        rule=rule,
        answerable=counts[0],
        unanswerable=counts[1],
        sentences=sum(len(trial.wordings[0].labels) for trial in trials if trial.answerable),
        set_name=" + ".join(one.name for one in paths),
        date=datetime.now(UTC).date().isoformat(),
    )


def _look_up_all(items: Sequence[AnswersItem], settings: Settings) -> tuple[ExtractiveAnswerer, list[Trial]]:
    generation, _ = open_index([generations.current_generation(settings.index)])
    embedder = Embedder(settings.embedding_model)
    retriever = Retriever(generation, embedder, Reranker(settings.reranker_model) if settings.reranker_model else None)
    answerer = ExtractiveAnswerer(generation, embedder)
    rephraser = Rephraser(generation.chunks, open_policy(settings).words, embedder.is_everyday)
    trials: list[Trial] = []
    for item in items:
        wordings: list[LookedUp] = []
        for wording in wordings_of(item):
            asked = rephraser.rephrase(wording)
            candidates = answerer.rate(asked, retriever.retrieve(asked, settings.passages))
            features = np.array([candidate.features.as_array() for candidate in candidates], dtype=np.float64)
            labels = np.array([share_of_answer(candidate, item) for candidate in candidates], dtype=np.float64)
            wordings.append(LookedUp(asked, tuple(candidates), features.reshape(-1, len(FEATURE_NAMES)), labels))
        trials.append(Trial(item.answerable, tuple(wordings)))
    return answerer, trials


def share_of_answer(candidate: Candidate, item: AnswersItem) -> float:
    """The share of the wanted groups that a sentence of a wanted article holds, 0 to 1; 0 for any other article."""
    if not item.must_contain or (item.must_cite and candidate.passage.source.id not in item.must_cite):
        return 0.0
    text = comparable(candidate.sentence.text)
    return sum(any(comparable(word) in text for word in group) for group in item.must_contain) / len(item.must_contain)
