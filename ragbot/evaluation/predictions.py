"""What the system said, item by item, written before any score is taken of it, so that anyone can score it again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from ragbot.evaluation.outcomes import Outcome, RetrievalOutcome
from ragbot.evaluation.sets import EvaluationSet

RUN_NAME = "ragbot"


def predictions_path(folder: Path, one: EvaluationSet) -> Path:
    """Where the predictions of a set are written: ``NAME.run`` for retrieval, else ``NAME.KIND.jsonl``."""
    return folder / (f"{one.name}.run" if one.kind == "retrieval" else f"{one.name}.{one.kind}.jsonl")


def write_predictions(folder: Path, one: EvaluationSet, outcomes: Sequence[Outcome]) -> Path:
    """Writes a set's predictions: a TREC run (query Q0 document rank score name) or a JSON object a line; where they lie."""
    folder.mkdir(parents=True, exist_ok=True)
    path = predictions_path(folder, one)
    lines: list[str] = []
    for outcome in outcomes:
        if isinstance(outcome, RetrievalOutcome):
            lines += [
                f"{outcome.item.id} Q0 {document} {rank} {score:.6f} {RUN_NAME}" for rank, (document, score) in enumerate(descending(outcome.ranked), start=1)
            ]
        else:
            lines.append(json.dumps(outcome.to_dict(), ensure_ascii=False))
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def descending(ranked: Sequence[tuple[str, float]]) -> list[tuple[str, float]]:
    """The same ranking with scores that fall strictly: TREC tools sort by score and would break ties in their own way."""
    result: list[tuple[str, float]] = []
    for document, score in ranked:
        below = result[-1][1] - 1e-6 if result else score
        result.append((document, min(score, below)))
    return result
