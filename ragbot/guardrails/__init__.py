"""text → rulings. Rails look at the question first, crisis before anything else, and at the answer last.

The order of RAILS is policy; what each of them knows is data in ``policy/``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ragbot.guardrails.classifier import Classifier, Judgement
from ragbot.guardrails.contacts import foreign_link
from ragbot.guardrails.conversation import leans_on_history, pieces_of
from ragbot.guardrails.output import OutputRail
from ragbot.guardrails.policies import LABELS, Policy, PolicyClass
from ragbot.guardrails.responses import Responses
from ragbot.guardrails.rules import fired_rules
from ragbot.records import Label, Ruling, Turn

__all__ = ["LABELS", "RAILS", "Guard", "Judged", "OutputRail", "Policy", "Responses", "foreign_link"]

RAILS: tuple[Label, ...] = (
    "crisis",
    "medical_emergency",
    "injection",
    "illicit",
    "personal_decision",
    "out_of_scope",
    "sensitive_topic",
)
RULE_CONFIDENCE = 0.99


@dataclass(frozen=True, slots=True)
class Judged:
    """The ruling that decides, and all rulings that hold, in the order of RAILS; the last is ``informational``."""

    ruling: Ruling
    rulings: tuple[Ruling, ...]

    @property
    def labels(self) -> frozenset[Label]:
        return frozenset(ruling.label for ruling in self.rulings)


class Guard:
    """The rails over questions. Without a classifier (no index yet) the rules still stand."""

    def __init__(self, policy: Policy, classifier: Classifier | None) -> None:
        self.policy = policy
        self._classifier = classifier
        self._version = policy.digest[:12]

    def judge_rules(self, text: str) -> Judged:
        """What the rules alone say: no model is needed, so it answers at once and when all else is broken."""
        return self._decide(fired_rules(text, self.policy.rules), None)

    def judge(self, text: str, history: Sequence[Turn] = ()) -> Judged:
        """What rules and classifier say of a message after the turns before it.

        A message that only goes on from the one before ("and if I take three of them?") is judged with it as well, for the
        classes in which a miss costs most.
        """
        fired = fired_rules(text, self.policy.rules)
        if self._classifier is None:
            return self._decide(fired, None)
        pieces = pieces_of(text)
        texts = [text, *pieces]
        if history and leans_on_history(text):
            texts.append(f"{history[-1].question} {text}")
        judgements = self._classifier.judge(texts)
        return self._decide(fired, judgements)

    def _decide(self, fired: dict[Label, str], judgements: Sequence[Judgement] | None) -> Judged:
        rulings = [ruling for label in RAILS if (ruling := self._rule(self.policy.class_of(label), fired, judgements)) is not None]
        confidence = judgements[0].probabilities["informational"] if judgements else 0.5
        reason = f"nearest example: {judgements[0].nearest[0]}" if judgements else ""
        rulings.append(Ruling("informational", "informational", confidence, reason, self._version))
        return Judged(rulings[0], tuple(rulings))

    def _rule(self, one: PolicyClass, fired: dict[Label, str], judgements: Sequence[Judgement] | None) -> Ruling | None:
        if one.label in fired:
            return Ruling("rules", one.label, RULE_CONFIDENCE, fired[one.label], self._version)
        if not judgements:
            return None
        best, threshold = judgements[0], one.threshold
        if one.sentence_threshold is not None and best.probabilities[one.label] < threshold and len(judgements) > 1:
            best, threshold = max(judgements[1:], key=lambda judgement: judgement.probabilities[one.label]), one.sentence_threshold
        probability = best.probabilities[one.label]
        if probability < threshold:
            return None
        return Ruling("classifier", one.label, probability, f"nearest example: {best.nearest[0]}", self._version)

