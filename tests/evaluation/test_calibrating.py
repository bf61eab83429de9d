from __future__ import annotations

import json
import tomllib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragbot.answering.calibration import GATE_NAMES
from ragbot.answering.relevance import FEATURE_NAMES
from ragbot.chatbot import Ragbot
from ragbot.errors import DatasetError
from ragbot.evaluation.calibrating import CalibrationResult, calibrate
from ragbot.evaluation.fitting import choose_threshold, fit_curves, point_at, probability_by

ANSWERABLE = [
    ("How often are tomatoes in pots fed?", "feeding-tomatoes", "once a week"),
    ("How often do tomatoes in good soil need feeding?", "feeding-tomatoes", "14 days"),
    ("At what strength is a usual feed mixed?", "feeding-tomatoes", "0.5 g/L"),
    ("What does too much nitrogen do?", "feeding-tomatoes", "leaves"),
    ("How much water does a tomato plant in a bed need?", "watering-tomatoes", "2.5"),
    ("When is the best time to water tomatoes?", "watering-tomatoes", "morning"),
    ("Why do tomatoes crack?", "watering-tomatoes", "dry spell"),
    ("How many plants had leaf mould after evening watering?", "watering-tomatoes", "31%"),
    ("Which tomatoes are pruned?", "pruning-tomatoes", "vine"),
    ("When are side shoots removed?", "pruning-tomatoes", "once a week"),
    ("Do coffee grounds keep slugs away from lettuce?", "coffee-grounds", "do not keep slugs"),
    ("Do coffee grounds raise the harvest of tomato plants?", "coffee-grounds", "did not change"),
]
UNANSWERABLE = [
    "How many moons does Saturn have?",
    "Who won the football cup in 1998?",
    "How do I bake sourdough bread?",
    "What does a train ticket to Lisbon cost?",
    "Which tomatoes were eaten in ancient Rome?",
    "What temperature do orchids like?",
    "How tall does a giraffe grow?",
    "How do I repair a bicycle tyre?",
    "When was the printing press invented?",
    "Do aphids attack roses in winter?",
]


@pytest.fixture(scope="module")
def calibration_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("calibration") / "calibration.answers.jsonl"
    items = [
        {"id": f"a{number}", "question": question, "status": ["answered"], "must_cite": [article], "must_contain": [[words]]}
        for number, (question, article, words) in enumerate(ANSWERABLE)
    ] + [{"id": f"u{number}", "question": question, "status": ["abstained"]} for number, question in enumerate(UNANSWERABLE)]
    path.write_text("".join(json.dumps(item) + "\n" for item in items), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def result(calibration_set: Path, bot: Ragbot) -> CalibrationResult:
    return calibrate(calibration_set, bot.settings)


def test_what_is_written_is_what_the_answerer_reads(result: CalibrationResult) -> None:
    values = tomllib.loads(result.to_toml())
    assert set(values["relevance"]["weights"]) == set(FEATURE_NAMES)
    assert set(values["gate"]["curves"]) == set(GATE_NAMES)
    assert 0 < values["gate"]["threshold"] < 1
    assert values["evidence"]["answerable"] == len(ANSWERABLE)
    assert values["evidence"]["unanswerable"] == len(UNANSWERABLE)
    assert len(values["evidence"]["curve"]) == 19


def test_questions_of_another_world_are_told_apart(result: CalibrationResult) -> None:
    assert result.gate_auroc > 0.9
    assert result.chosen.abstention >= 0.8
    assert result.relevance.first_right >= 0.7


@pytest.mark.slow
def test_the_same_set_gives_the_same_thresholds(result: CalibrationResult, calibration_set: Path, bot: Ragbot) -> None:
    assert calibrate(calibration_set, bot.settings).to_toml() == result.to_toml()


def test_too_few_questions_are_refused(calibration_set: Path, bot: Ragbot, tmp_path: Path) -> None:
    path = tmp_path / "few.answers.jsonl"
    path.write_text("".join(calibration_set.read_text(encoding="utf-8").splitlines(keepends=True)[:12]), encoding="utf-8")
    with pytest.raises(DatasetError, match="not 12 and 0"):
        calibrate(path, bot.settings)


def test_a_set_for_another_library_is_refused(calibration_set: Path, bot: Ragbot, tmp_path: Path) -> None:
    path = tmp_path / "other.answers.jsonl"
    path.write_text(calibration_set.read_text(encoding="utf-8").replace("-tomatoes", "-melons").replace("coffee-grounds", "tea"), encoding="utf-8")
    with pytest.raises(DatasetError, match="next to nothing"):
        calibrate(path, bot.settings)


@pytest.mark.parametrize(
    ("probabilities", "answerable", "threshold", "reached"),
    [
        ([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1], 0.5, True),
        ([0.9, 0.8, 0.2, 0.1], [0, 0, 1, 1], None, False),
        ([0.1] * 10 + [0.6] * 20, [0] * 10 + [1] * 20, 0.35, True),
    ],
)
def test_the_threshold_is_the_wanted_point_or_says_that_there_is_none(
    probabilities: list[float], answerable: list[int], threshold: float | None, reached: bool
) -> None:
    point, rule = choose_threshold(np.array(probabilities), np.array(answerable, dtype=bool))
    assert threshold is None or point.threshold == pytest.approx(threshold)
    assert ("not reached" not in rule) is reached


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=2, max_size=30).filter(lambda rows: len({truth for _, truth in rows}) == 2))
def test_a_higher_threshold_never_abstains_less(rows: list[tuple[float, bool]]) -> None:
    probabilities, answerable = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    points = [point_at(probabilities, answerable, threshold) for threshold in (0.1, 0.5, 0.9)]
    assert [point.abstention for point in points] == sorted(point.abstention for point in points)
    assert [point.wrong_abstention for point in points] == sorted(point.wrong_abstention for point in points)


def test_curves_rise_where_the_feature_tells_and_lie_flat_where_it_does_not() -> None:
    features = np.full((40, len(GATE_NAMES)), 0.5)
    features[:, 0] = np.linspace(0, 1, 40)
    labels = (features[:, 0] > 0.5).astype(float)
    curves, bias = fit_curves(features, labels, 1.0)
    assert curves[GATE_NAMES[0]](0.9) > curves[GATE_NAMES[0]](0.1)
    assert curves[GATE_NAMES[1]](0.1) == curves[GATE_NAMES[1]](0.9)
    said = [probability_by((curves, bias), row) > 0.5 for row in features]
    assert said == labels.astype(bool).tolist()
