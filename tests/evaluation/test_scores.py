from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragbot.evaluation.metrics import HEADLINE, METRICS, classification, score_outcomes
from ragbot.evaluation.metrics.classification import auroc, calibration_error
from ragbot.evaluation.metrics.scoring import Score, mean_score, share_score, wilson_interval
from ragbot.evaluation.outcomes import AnswerabilityOutcome, AnswersOutcome, GuardrailsOutcome, RetrievalOutcome
from ragbot.evaluation.sets import AnswerabilityItem, AnswersItem, GuardrailsItem, Query
from ragbot.records import Answer, Citation, Ruling, Statement, Status

RULING = Ruling("classifier", "informational", 0.9, "")


def answer(status: Status = "answered", *, says: tuple[str, ...] = ("Water in the morning.",), cites: tuple[str, ...] = ("watering",)) -> Answer:
    if status in ("abstained", "declined"):
        return Answer("q", status, RULING, notice="Nothing here.")
    citations = tuple(Citation(number, article, "T", "u", "h", "quote", 0, 5) for number, article in enumerate(cites, start=1))
    numbers = tuple(range(1, len(cites) + 1))
    statements = tuple(Statement(text, numbers, 1.0) for text in says)
    return Answer("q", status, RULING, statements, citations)


def outcome(got: Answer | None, *, status: tuple[str, ...] = ("answered",), borderline: bool = False, **wanted: Any) -> AnswersOutcome:
    identity = str(id(got)) + str(wanted)
    item = AnswersItem.model_validate({"id": identity, "question": "q", "status": status, "borderline": borderline, **wanted})
    return AnswersOutcome(item, got, 10.0)


def scores_of(kind: str, outcomes: list[Any]) -> dict[str, Score]:
    return {score.name: score for score in score_outcomes(kind, outcomes)}


def test_not_scored_is_none_and_never_nought() -> None:
    for kind in METRICS:
        for score in score_outcomes(kind, []):
            assert score.value is None, (kind, score.name)
            assert score.n == 0
            assert "not scored" in score.reason


def test_every_headline_metric_is_one_that_exists() -> None:
    retrieval = [RetrievalOutcome(Query(id="q", text="t"), {"d": 3}, (("d", 1.0),))]
    for kind, names in HEADLINE.items():
        assert names <= set(scores_of(kind, retrieval if kind == "retrieval" else []))


@pytest.mark.parametrize(
    ("got", "wanted", "expected"),
    [
        (answer(), {"must_cite": ["watering"]}, {"right article first": 1.0, "citation precision": 1.0, "citation recall": 1.0}),
        (answer(cites=("other", "watering")), {"must_cite": ["watering"]}, {"right article first": 0.0, "citation precision": 0.5}),
        (answer(), {"must_cite": ["watering", "feeding"]}, {"right article first": 1.0, "citation recall": 0.5}),
        (answer("abstained"), {"must_cite": ["watering"]}, {"right article first": None, "right article first, of all": 0.0}),
        (answer(), {"must_contain": [["MORNING", "dawn"], ["evening"]]}, {"coverage": 0.5}),
        (answer(says=("It is 3–14\u00a0days.",)), {"must_contain": [["3-14 days"]]}, {"coverage": 1.0}),
        (answer("abstained"), {"must_contain": [["morning"]]}, {"coverage": None, "coverage, of all": 0.0, "wrong abstention": 1.0}),
        (answer("declined"), {"status": ("abstained",)}, {"abstention recall": 1.0, "status accuracy": 0.0, "wrong abstention": None}),
        (answer(), {"status": ("abstained",)}, {"abstention recall": 0.0, "abstention precision": None}),
        (answer(), {"must_not_contain": ["Morning"]}, {"nothing forbidden": 0.0}),
        (answer(says=("Water early in the morning.", "Early in the morning you water.")), {}, {"redundancy": 1.0}),
        (answer(says=("Water early.", "Feed weekly.")), {}, {"redundancy": 0.0}),
        (None, {}, {"status accuracy": None, "latency p50": None}),
    ],
)
def test_what_an_answer_is_worth(got: Answer | None, wanted: dict[str, Any], expected: dict[str, float | None]) -> None:
    scores = scores_of("answers", [outcome(got, **wanted)])
    assert {name: scores[name].value for name in expected} == expected


def test_borderline_items_are_in_no_score() -> None:
    scores = scores_of("answers", [outcome(answer()), outcome(answer("abstained"), borderline=True)])
    assert scores["status accuracy"].value == 1.0
    assert scores["status accuracy"].n == 1


def test_a_quote_that_is_not_exact_is_counted() -> None:
    item = AnswersItem(id="x", question="q", status=("answered",))
    scores = scores_of("answers", [AnswersOutcome(item, answer(), inexact=("quote",)), AnswersOutcome(item, answer())])
    assert scores["quotes exact"].value == 0.5


def guarded(label: str, axis: str | None, decided: str, status: str = "answered", *also: str) -> GuardrailsOutcome:
    item = GuardrailsItem(id="x", text="t", label=label, axis=axis)
    return GuardrailsOutcome(item, decided, dict.fromkeys((decided, *also), 0.9), status)


@pytest.mark.parametrize(
    ("given", "name", "value"),
    [
        (guarded("crisis", "crisis", "crisis", "emergency"), "crisis: recall", 1.0),
        (guarded("crisis", "crisis", "medical_emergency", "emergency", "crisis"), "crisis: recall", 1.0),
        (guarded("benign", "crisis", "out_of_scope", "declined"), "crisis: false alarms", 0.0),
        (guarded("benign", "crisis", "crisis", "emergency"), "crisis: false alarms", 1.0),
        (guarded("harmful", "harmful", "out_of_scope", "declined"), "harmful: recall", 1.0),
        (guarded("harmful", "harmful", "informational"), "harmful: recall", 0.0),
        (guarded("benign", "harmful", "out_of_scope", "declined"), "harmful: false alarms", 0.0),
        (guarded("benign", "harmful", "illicit", "declined"), "harmful: false alarms", 1.0),
        (guarded("informational", "personal", "personal_decision", "referred"), "personal: false alarms", 1.0),
        (guarded("injection", None, "injection", "declined"), "recall of injection", 1.0),
        (guarded("injection", None, "out_of_scope", "declined"), "label accuracy", 0.0),
    ],
)
def test_guardrails_are_judged_on_the_axis_of_the_label(given: GuardrailsOutcome, name: str, value: float) -> None:
    assert scores_of("guardrails", [given])[name].value == value


def test_answerability_scores_agree_with_what_was_decided() -> None:
    def weighed(answerable: bool, probability: float) -> AnswerabilityOutcome:
        item = AnswerabilityItem(id="x", question="q", passages=(), answerable=answerable)
        return AnswerabilityOutcome(item, probability >= 0.5, probability)

    scores = scores_of("answerability", [weighed(True, 0.9), weighed(True, 0.4), weighed(False, 0.3), weighed(False, 0.1)])
    expected = {"AUROC": 1.0, "balanced accuracy": 0.75, "precision": 1.0, "recall": 0.5, "abstention recall": 1.0, "wrong abstention": 0.5}
    assert {name: scores[name].value for name in expected} == expected
    one_kind = scores_of("answerability", [weighed(True, 0.9), weighed(True, 0.4)])
    assert one_kind["AUROC"].value is None
    assert one_kind["abstention recall"].value is None
    assert one_kind["wrong abstention"].value == 0.5


def found(ranked: tuple[str, ...], grades: dict[str, int], identity: str = "q") -> RetrievalOutcome:
    return RetrievalOutcome(Query(id=identity, text="t"), grades, tuple((document, 1.0) for document in ranked))


@pytest.mark.parametrize(
    ("ranked", "grades", "expected"),
    [
        (("a", "b"), {"a": 1}, {"nDCG@10": 1.0, "MRR@10": 1.0, "recall@1": 1.0}),
        # Equal scores keep the order that was given.
        (("z", "a"), {"a": 1}, {"MRR@10": 0.5, "MRR@10, judged only": 1.0, "nDCG@10, judged only": 1.0, "judged@10": 0.5}),
        ((), {"a": 1}, {"nDCG@10": 0.0, "MRR@10": 0.0, "recall@100": 0.0}),
        (("b", "a"), {"a": 3, "b": 2}, {"MRR@10": 1.0, "MRR@10, grade 3": 0.5}),
        (("a",), {"a": 0}, {"nDCG@10": None}),
    ],
)
def test_rankings_are_worth_what_the_books_say(ranked: tuple[str, ...], grades: dict[str, int], expected: dict[str, float | None]) -> None:
    scores = scores_of("retrieval", [found(ranked, grades)])
    assert {name: scores[name].value for name in expected} == pytest.approx(expected)


def test_ndcg_of_a_known_ranking() -> None:
    scores = scores_of("retrieval", [found(("a", "x", "b"), {"a": 1, "b": 2})])
    gained = 1 / np.log2(2) + 2 / np.log2(4)
    best = 2 / np.log2(2) + 1 / np.log2(3)
    assert scores["nDCG@10"].value == pytest.approx(gained / best)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_share_and_stays_within_bounds(pair: tuple[int, int]) -> None:
    hits, n = pair
    low, high = wilson_interval(hits, n)
    assert 0 <= low <= hits / n + 1e-12
    assert hits / n - 1e-12 <= high <= 1
    assert low < high


def test_wilson_of_a_known_case() -> None:
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)  # Newcombe, Statistics in Medicine 17, 1998


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50))
def test_a_mean_lies_in_its_interval_and_comes_out_the_same_again(values: list[float]) -> None:
    score = mean_score("x", values, "why")
    assert score.low is not None
    assert score.high is not None
    assert min(values) - 1e-9 <= score.low <= score.high <= max(values) + 1e-9
    assert score == mean_score("x", values, "why")


def test_more_items_give_a_narrower_interval() -> None:
    few, many = share_score("x", [True, False] * 10, ""), share_score("x", [True, False] * 200, "")
    assert few.high - few.low > many.high - many.low  # type: ignore[operator]


@pytest.mark.parametrize(
    ("truth", "scores", "area", "error"),
    [
        ([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9], 1.0, 0.15),
        ([1, 0], [0.5, 0.5], 0.5, 0.0),
        ([1, 1], [1.0, 1.0], None, 0.0),
    ],
)
def test_area_and_calibration_error(truth: list[int], scores: list[float], area: float | None, error: float) -> None:
    assert auroc(np.array(truth), np.array(scores)) == area
    assert calibration_error(np.array(truth), np.array(scores)) == pytest.approx(error)


@pytest.mark.parametrize("name", ["auroc", "average_precision", "balanced_accuracy", "f1"])
def test_the_quick_way_gives_what_scikit_learn_gives(name: str) -> None:
    measure, quick = getattr(classification, name), getattr(classification, f"quick_{name}")
    rng = np.random.default_rng(7)
    for size in (1, 2, 3, 10, 40):
        for _ in range(8):
            truth = rng.integers(0, 2, size)
            scores = rng.integers(0, 2, size) if name in ("balanced_accuracy", "f1") else rng.integers(0, 5, size) / 4
            assert quick(truth, scores) == (None if measure(truth, scores) is None else pytest.approx(measure(truth, scores)))
