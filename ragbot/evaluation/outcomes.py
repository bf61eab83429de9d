"""What the system said of each item, before any score is taken of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ragbot.evaluation.sets import AnswerabilityItem, AnswersItem, GroundingItem, GuardrailsItem, Query
from ragbot.records import Answer


@dataclass(frozen=True, slots=True)
class AnswersOutcome:
    """An answer and the milliseconds it took, or the error in its place.

    ``probability`` is the gate's, that the library answers; ``inexact`` are quotes that do not stand in their article.
    """

    item: AnswersItem
    answer: Answer | None
    milliseconds: float = 0.0
    probability: float | None = None
    inexact: tuple[str, ...] = ()
    error: str = ""

    @property
    def abstained(self) -> bool:
        return self.answer is not None and self.answer.status in ("abstained", "declined")

    def to_dict(self) -> dict[str, Any]:
        answer = self.answer
        said: dict[str, Any] = {"status": answer.status, "answer": answer.to_dict()} if answer is not None else {"status": None}
        score = None if self.probability is None else round(self.probability, 6)
        spent = round(self.milliseconds, 2)
        return {"id": self.item.id, "decision": said["status"], "score": score, **said, "milliseconds": spent, **_error(self.error)}


@dataclass(frozen=True, slots=True)
class GuardrailsOutcome:
    """The label that decides, every label that holds with its confidence (0 to 1), and the status that follows from the label."""

    item: GuardrailsItem
    label: str = ""
    confidences: dict[str, float] = field(default_factory=dict)
    status: str = ""
    reason: str = ""
    error: str = ""

    def to_dict(self) -> dict[str, Any]:
        said = {"decision": self.label, "status": self.status, "scores": {key: round(value, 4) for key, value in self.confidences.items()}}
        return {"id": self.item.id, **said, "reason": self.reason, **_error(self.error)}


@dataclass(frozen=True, slots=True)
class AnswerabilityOutcome:
    """The gate's probability that the passages answer, what it was made of, and whether the bot would answer."""

    item: AnswerabilityItem
    answers: bool = False
    probability: float = 0.0
    features: dict[str, float] = field(default_factory=dict)
    best: str = ""
    error: str = ""

    def to_dict(self) -> dict[str, Any]:
        features = {key: round(value, 4) for key, value in self.features.items()}
        return {"id": self.item.id, "decision": self.answers, "score": round(self.probability, 6), "features": features, **_error(self.error)}


@dataclass(frozen=True, slots=True)
class GroundingOutcome:
    """How well the best words of the context carry the claim (0 to 1), those words, and whether the verifier lets it pass."""

    item: GroundingItem
    passed: bool = False
    support: float = 0.0
    quote: str = ""
    reason: str = ""
    error: str = ""

    def to_dict(self) -> dict[str, Any]:
        said = {"decision": self.passed, "score": round(self.support, 6), "quote": self.quote, "reason": self.reason}
        return {"id": self.item.id, **said, **_error(self.error)}


@dataclass(frozen=True, slots=True)
class RetrievalOutcome:
    """The documents found for a query with their scores, best first, beside the grades of those that were judged."""

    item: Query
    grades: dict[str, int]
    ranked: tuple[tuple[str, float], ...] = ()
    milliseconds: float = 0.0
    error: str = ""


Outcome = AnswersOutcome | GuardrailsOutcome | AnswerabilityOutcome | GroundingOutcome | RetrievalOutcome


def _error(error: str) -> dict[str, str]:
    return {"error": error} if error else {}
