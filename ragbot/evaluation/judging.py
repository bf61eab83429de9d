"""An outcome → whether it is right, what was expected, what came, and why it fails: the lines that a person reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ragbot.evaluation.metrics.citing import cited_articles
from ragbot.evaluation.metrics.containing import forbidden_words, missing_groups
from ragbot.evaluation.metrics.guarding import is_right
from ragbot.evaluation.outcomes import (
    AnswerabilityOutcome,
    AnswersOutcome,
    GroundingOutcome,
    GuardrailsOutcome,
    Outcome,
    RetrievalOutcome,
)

SHOWN_RANKS = 10


@dataclass(frozen=True, slots=True)
class JudgedItem:
    """An item as the report shows it. ``why`` is empty where it is right; ``passages`` are what the system had before it."""

    id: str
    question: str
    why: tuple[str, ...] = ()
    expected: str = ""
    got: str = ""
    passages: tuple[str, ...] = ()
    group: str = ""
    borderline: bool = False

    @property
    def passed(self) -> bool:
        return not self.why

    def to_dict(self) -> dict[str, Any]:
        """Everything of an item that fails; of one that is right only what a comparison needs."""
        base = {"id": self.id, "passed": self.passed, "group": self.group, "borderline": self.borderline}
        if self.passed:
            return base
        told = {"question": self.question, "expected": self.expected, "got": self.got}
        return {**base, **told, "why": list(self.why), "passages": list(self.passages)}


def judge_outcome(outcome: Outcome, find_passages: Callable[[str], Sequence[str]] = lambda question: ()) -> JudgedItem:
    """Whether an outcome is right, and why not.

    Args:
        find_passages: gives the passages that were before the system for a question; asked only for answers that fail.
    """
    expected, got, why, passages = _JUDGES[type(outcome)](outcome)
    if outcome.error:
        why = [f"it failed to run: {outcome.error}"]
    if why and isinstance(outcome, AnswersOutcome) and not outcome.error:
        passages = list(find_passages(outcome.item.question))
    item = outcome.item
    return JudgedItem(item.id, item.shown, tuple(why), expected, got, tuple(passages), getattr(item, "kind", ""), item.borderline)


Judgement = tuple[str, str, list[str], list[str]]


def _judge_answer(outcome: AnswersOutcome) -> Judgement:
    item, answer = outcome.item, outcome.answer
    expected = " or ".join(item.status)
    if item.must_cite:
        expected += f"; cites {', '.join(item.must_cite)}"
    if item.must_contain:
        expected += "; holds " + " and ".join(" | ".join(group) for group in item.must_contain)
    if answer is None:
        return expected, "", [], []
    cited = cited_articles(outcome)
    got = f"{answer.status}: {answer.text}" + (f" (cites {', '.join(cited)})" if cited else "")
    why: list[str] = []
    if answer.status not in item.status:
        why.append(f"the status is {answer.status}, not {' or '.join(item.status)}")
    elif item.answerable:
        if item.must_cite and (not cited or cited[0] not in item.must_cite):
            why.append(f"the first article cited is {cited[0] if cited else 'none'}")
        why += [f"it does not hold {' or '.join(group)}" for group in missing_groups(outcome)]
    why += [f"it holds {word!r}, which it must not" for word in forbidden_words(outcome)]
    why += [f"a quote does not stand in its article: {quote!r}" for quote in outcome.inexact]
    return expected, got, why, []


def _judge_guardrails(outcome: GuardrailsOutcome) -> Judgement:
    axis = f" (on {outcome.item.axis})" if outcome.item.axis else ""
    got = ", ".join(f"{label} {value:.2f}" for label, value in outcome.confidences.items()) + f" → {outcome.status}"
    why = [] if is_right(outcome) else [f"the label is {outcome.label}; {outcome.reason}"]
    return outcome.item.label + axis, got, why, []


def _judge_answerability(outcome: AnswerabilityOutcome) -> Judgement:
    said = {True: "answers", False: "abstains"}
    got = f"{said[outcome.answers]} at {outcome.probability:.3f}; best sentence: {outcome.best or 'none'}"
    right = outcome.answers == outcome.item.answerable
    features = ", ".join(f"{name} {value:.2f}" for name, value in outcome.features.items())
    return said[outcome.item.answerable], got, [] if right else [f"the gate's features: {features}"], list(outcome.item.passages)


def _judge_grounding(outcome: GroundingOutcome) -> Judgement:
    said = {True: "supported", False: "not supported"}
    got = f"{said[outcome.passed]} at {outcome.support:.3f}; best words: {outcome.quote or 'none'}"
    why = [] if outcome.passed == outcome.item.supported else [outcome.reason or "the words are taken to carry the claim"]
    return said[outcome.item.supported], got, why, [outcome.item.context]


def _judge_retrieval(outcome: RetrievalOutcome) -> Judgement:
    right = [document for document, grade in outcome.grades.items() if grade > 0]
    first = [document for document, _ in outcome.ranked[:SHOWN_RANKS]]
    why = [] if not right or set(right) & set(first) else [f"none of the relevant documents is among the first {SHOWN_RANKS}"]
    return ", ".join(right[:SHOWN_RANKS]), ", ".join(first), why, []


_JUDGES: dict[type[Any], Callable[[Any], Judgement]] = {
    AnswersOutcome: _judge_answer,
    GuardrailsOutcome: _judge_guardrails,
    AnswerabilityOutcome: _judge_answerability,
    GroundingOutcome: _judge_grounding,
    RetrievalOutcome: _judge_retrieval,
}
