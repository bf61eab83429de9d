"""text → rulings. Rails look at the question first, crisis before anything else, and at the answer last.

The order of RAILS is policy; what each of them knows is data in ``policy/``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ragbot.guardrails.contacts import foreign_link
from ragbot.guardrails.conversation import leans_on_history
from ragbot.guardrails.model import ANYWHERE, GuardModel, Judgement, context_of
from ragbot.guardrails.normalising import plain
from ragbot.guardrails.output import OutputRail
from ragbot.guardrails.policies import LABELS, Policy, PolicyClass
from ragbot.guardrails.responses import Responses
from ragbot.guardrails.rules import fired_rules
from ragbot.records import Help, Label, Ruling, Turn

__all__ = ["LABELS", "RAILS", "Guard", "Judged", "OutputRail", "Policy", "Responses", "foreign_link"]

RAILS: tuple[Label, ...] = (
    "crisis",
    "medical_emergency",
    "injection",
    "illicit",
    "personal_decision",
    "small_talk",
    "about",
    "out_of_scope",
    "sensitive_topic",
)
ALARMS: frozenset[Label] = frozenset({"crisis", "medical_emergency"})
RULE_CONFIDENCE = 0.99
# Up to so many words carry little by themselves: they are read with the turn before, and an alarm needs a word of danger.
FEW_WORDS = 4


@dataclass(frozen=True, slots=True)
class Judged:
    """The ruling that decides, and all rulings that hold, in the order of RAILS; the last is ``informational``.

    ``help`` is how much help the message calls for: a block where an alarm decides, a line where someone may be low.
    """

    ruling: Ruling
    rulings: tuple[Ruling, ...]
    help: Help = "none"

    @property
    def labels(self) -> frozenset[Label]:
        return frozenset(ruling.label for ruling in self.rulings)


class Guard:
    """The rails over questions. Without a model the rules still stand."""

    def __init__(self, policy: Policy, model: GuardModel | None) -> None:
        self.policy = policy
        self._model = model
        self._version = policy.digest[:12]

    def judge_rules(self, text: str) -> Judged:
        """What the rules alone say: no model is needed, so it answers at once and when all else is broken."""
        return self._decide(fired_rules(text, self.policy.rules), None, alarming=True)

    def judge(self, text: str, history: Sequence[Turn] = ()) -> Judged:
        """What rules and model say of a message after the turns before it.

        A short or elliptical message ("yes", "and if I take three of them?") means what it replies to, so it is judged together
        with the turns before. One that stands by itself is judged by itself as well, and for danger and misuse the higher
        probability counts.
        """
        fired = fired_rules(text, self.policy.rules)
        if self._model is None:
            return self._decide(fired, None, alarming=True)
        few = len(plain(text).split()) <= FEW_WORDS
        context = context_of(history)
        if not context:
            judgement = self._model.judge([(text, "")])[0]
        elif few or leans_on_history(text):
            judgement = self._model.judge([(text, context)])[0]
        else:
            judgement = _worse(*self._model.judge([(text, ""), (text, context)]))
        return self._decide(fired, judgement, alarming=not few or self.policy.speaks_of_danger(f"{text} {context}"))

    def _decide(self, fired: dict[Label, str], judgement: Judgement | None, *, alarming: bool) -> Judged:
        classes = [self.policy.class_of(label) for label in RAILS]
        rulings = [ruling for one in classes if (ruling := self._rule(one, fired, judgement, alarming=alarming)) is not None]
        helping = self._help(rulings, judgement)
        confidence = judgement.probabilities["informational"] if judgement else 0.5
        rulings.append(Ruling("informational", "informational", confidence, judgement.reason if judgement else "", self._version))
        return Judged(rulings[0], tuple(rulings), helping)

    def _rule(self, one: PolicyClass, fired: dict[Label, str], judgement: Judgement | None, *, alarming: bool) -> Ruling | None:
        if one.label in fired:
            return Ruling("rules", one.label, RULE_CONFIDENCE, fired[one.label], self._version)
        if judgement is None or (one.label in ALARMS and not alarming):
            return None
        probability = judgement.probabilities[one.label]
        if probability < one.threshold:
            return None
        return Ruling("classifier", one.label, probability, judgement.reason, self._version)

    def _help(self, rulings: Sequence[Ruling], judgement: Judgement | None) -> Help:
        if rulings and rulings[0].label in ALARMS:
            return "block"
        from_line = self.policy.class_of("crisis").line_threshold
        if judgement is None or from_line is None:
            return "none"
        low = max(judgement.probabilities["crisis"], judgement.help["block"] + judgement.help["line"])
        return "line" if low >= from_line else "none"


def _worse(alone: Judgement, together: Judgement) -> Judgement:
    """What a message means by itself, with the higher of both probabilities for danger and misuse, and the stronger help."""
    probabilities = {label: max(value, together.probabilities[label]) if label in ANYWHERE else value for label, value in alone.probabilities.items()}
    return Judgement(probabilities, min(alone.help, together.help, key=lambda one: one["none"]))
