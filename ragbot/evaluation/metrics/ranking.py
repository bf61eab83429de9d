"""Are the right documents found, and first? Measured by ir-measures, beside the same without documents that nobody judged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ragbot.evaluation.metrics.scoring import Score, mean_score
from ragbot.evaluation.outcomes import RetrievalOutcome
from ragbot.evaluation.predictions import descending

# On scales of 0 to 3 and longer only the highest grades are an answer; the others are near it.
ANSWERING_GRADE = 3


def score_ranking(outcomes: Sequence[RetrievalOutcome]) -> list[Score]:
    """nDCG@10, MRR@10, recall, the judged share, and judged-only variants.

    Where grades reach 3, also over the queries that have such a document, with only those counted as relevant.
    """
    from ir_measures import RR, Judged, R, nDCG

    told = [one for one in outcomes if not one.error]
    plain = [one for one in told if any(grade > 0 for grade in one.grades.values())]
    judged = [_judged_only(one) for one in plain]
    scores = [
        _score("nDCG@10", nDCG @ 10, plain, "Grades as gains; what nobody judged counts as wrong."),
        _score("nDCG@10, judged only", nDCG @ 10, judged, "The same after taking out what nobody judged."),
        _score("MRR@10", RR @ 10, plain, "1 / rank of the first relevant document."),
        _score("MRR@10, judged only", RR @ 10, judged, "The same after taking out what nobody judged."),
        *(_score(f"recall@{depth}", R @ depth, plain, "Share of the relevant documents found.") for depth in (1, 5, 10, 100)),
        _score("judged@10", Judged @ 10, plain, "Share of the first ten documents that somebody judged.", better=""),
    ]
    best = [one for one in told if any(grade >= ANSWERING_GRADE for grade in one.grades.values())]
    if best:
        answering = [_with_grades(one, {document: int(grade >= ANSWERING_GRADE) for document, grade in one.grades.items()}) for one in best]
        reason = f"Only grade {ANSWERING_GRADE} and above is relevant; queries without such a document are left out."
        scores.append(_score(f"nDCG@10, grade {ANSWERING_GRADE}", nDCG @ 10, answering, reason))
        scores.append(_score(f"nDCG@10, grade {ANSWERING_GRADE}, judged only", nDCG @ 10, [_judged_only(one) for one in answering], reason))
        scores.append(_score(f"MRR@10, grade {ANSWERING_GRADE}", RR @ 10, answering, reason))
    return scores


def _with_grades(outcome: RetrievalOutcome, grades: dict[str, int]) -> RetrievalOutcome:
    return RetrievalOutcome(outcome.item, grades, outcome.ranked, outcome.milliseconds)


def _judged_only(outcome: RetrievalOutcome) -> RetrievalOutcome:
    ranked = tuple((document, score) for document, score in outcome.ranked if document in outcome.grades)
    return RetrievalOutcome(outcome.item, outcome.grades, ranked, outcome.milliseconds)


def _score(name: str, measure: Any, outcomes: Sequence[RetrievalOutcome], reason: str, better: Any = "high") -> Score:
    values = measure_queries(measure, outcomes)
    return mean_score(name, [values.get(one.item.id, 0.0) for one in outcomes], reason, better=better)


def measure_queries(measure: Any, outcomes: Sequence[RetrievalOutcome]) -> dict[str, float]:
    """What a measure of ir-measures gives for each query."""
    import ir_measures

    qrels = [ir_measures.Qrel(one.item.id, document, grade) for one in outcomes for document, grade in one.grades.items()]
    run = [ir_measures.ScoredDoc(one.item.id, document, score) for one in outcomes for document, score in descending(one.ranked)]
    return {found.query_id: found.value for found in ir_measures.iter_calc([measure], qrels, run)} if qrels else {}
