"""Outcomes → scores. A metric is one new file and one new entry in METRICS."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ragbot.evaluation.metrics.abstention import score_abstention
from ragbot.evaluation.metrics.citing import score_citing
from ragbot.evaluation.metrics.classification import score_answerability, score_grounding
from ragbot.evaluation.metrics.containing import score_containing
from ragbot.evaluation.metrics.effort import score_latency, score_length
from ragbot.evaluation.metrics.guarding import score_guarding
from ragbot.evaluation.metrics.quoting import score_quoting, score_support
from ragbot.evaluation.metrics.ranking import score_ranking
from ragbot.evaluation.metrics.redundancy import score_redundancy
from ragbot.evaluation.metrics.scoring import Score
from ragbot.evaluation.metrics.status import score_status
from ragbot.evaluation.outcomes import Outcome

__all__ = ["HEADLINE", "METRICS", "Score", "score_outcomes"]

METRICS: dict[str, tuple[Callable[[Sequence[Any]], list[Score]], ...]] = {
    "answers": (
        score_status,
        score_abstention,
        score_citing,
        score_containing,
        score_quoting,
        score_support,
        score_redundancy,
        score_length,
        score_latency,
    ),
    "retrieval": (score_ranking,),
    "answerability": (score_answerability,),
    "grounding": (score_grounding,),
    "guardrails": (score_guarding,),
}

# What stands in the headline table; a guardrail set's scores bear its axis in their names and all stand there.
HEADLINE: dict[str, frozenset[str]] = {
    "answers": frozenset(
        {
            "status accuracy",
            "right article first",
            "coverage",
            "abstention recall",
            "wrong abstention",
            "quotes exact",
            "statement support",
            "latency p50",
            "latency p95",
        }
    ),
    "retrieval": frozenset({"nDCG@10", "MRR@10", "recall@10", "nDCG@10, judged only", "nDCG@10, grade 3", "nDCG@10, grade 3, judged only"}),
    "answerability": frozenset({"AUROC", "balanced accuracy", "abstention recall", "wrong abstention"}),
    "grounding": frozenset({"AUROC", "balanced accuracy", "F1"}),
}


def score_outcomes(kind: str, outcomes: Sequence[Outcome]) -> tuple[Score, ...]:
    """Every score of a set's kind. Borderline items, whose label is in doubt, are left out."""
    sure = [outcome for outcome in outcomes if not outcome.item.borderline]
    return tuple(score for metric in METRICS[kind] for score in metric(sure))
