"""text → rulings. Rails look at the question first, crisis before anything else, and at the answer last.

The order of RAILS is policy; what each of them knows is data in ``policy/``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ragbot.guardrails.contacts import foreign_link
from ragbot.guardrails.conversation import leans_on_history, pieces_of
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
# From so many words on a message is a letter: much of it is story, and ``long_threshold`` decides.
MANY_WORDS = 50
MOST_WORDS_IN_PIECES = 180


@dataclass(frozen=True, slots=True)
class Judged:
    """The ruling that decides, and all rulings that hold, in the order of RAILS; the last is ``informational``.

    ``help`` is how much help the message calls for: a block where an alarm decides, a line where someone may be low. ``own_case`` says
    that a fact is asked for which a person may take for a decision on themselves.
    """

    ruling: Ruling
    rulings: tuple[Ruling, ...]
    help: Help = "none"
    own_case: bool = False

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
        words = len(plain(text).split())
        context = context_of(history)
        leaning = bool(context) and (words <= FEW_WORDS or leans_on_history(text))
        messages = [(text, context)] if leaning else [(text, "")]
        if context and not leaning:
            messages.append((text, context))
        # A longer message is read in windows anyway.
        pieces = pieces_of(text) if words <= MOST_WORDS_IN_PIECES else []
        judgements = self._model.judge([*messages, *((piece, "") for piece in pieces)])
        judgement = judgements[0] if len(messages) == 1 else _worse(judgements[0], judgements[1])
        alarming = words > FEW_WORDS or self.policy.speaks_of_danger(f"{text} {context}")
        judged = self._decide(fired, judgement, judgements[len(messages) :], alarming=alarming, long=words >= MANY_WORDS)
        return replace(judged, own_case=self._own_case(text, judgement))

    def _decide(
        self, fired: dict[Label, str], judgement: Judgement | None, pieces: Sequence[Judgement] = (), *, alarming: bool, long: bool = False
    ) -> Judged:
        classes = [self.policy.class_of(label) for label in RAILS]
        rulings = [ruling for one in classes if (ruling := self._rule(one, fired, judgement, alarming=alarming, long=long)) is not None]
        helping = self._help(rulings, judgement, pieces)
        confidence = judgement.probabilities["informational"] if judgement else 0.5
        rulings.append(Ruling("informational", "informational", confidence, judgement.reason if judgement else "", self._version))
        return Judged(rulings[0], tuple(rulings), helping)

    def _rule(self, one: PolicyClass, fired: dict[Label, str], judgement: Judgement | None, *, alarming: bool, long: bool) -> Ruling | None:
        if one.label in fired:
            return Ruling("rules", one.label, RULE_CONFIDENCE, fired[one.label], self._version)
        if judgement is None or (one.label in ALARMS and not alarming):
            return None
        probability = judgement.probabilities[one.label]
        if probability < (one.long_threshold if long and one.long_threshold is not None else one.threshold):
            return None
        return Ruling("classifier", one.label, probability, judgement.reason, self._version)

    def _own_case(self, text: str, judgement: Judgement) -> bool:
        near = self.policy.class_of("personal_decision").line_threshold
        is_near = near is not None and judgement.probabilities["personal_decision"] >= near
        return is_near or self.policy.speaks_of_own_case(text)

    def _help(self, rulings: Sequence[Ruling], judgement: Judgement | None, pieces: Sequence[Judgement]) -> Help:
        """A block where an alarm decides; else a line where danger is possible, low mood likely, or one sentence by itself sounds like
        danger, which its story may explain."""
        if rulings and rulings[0].label in ALARMS:
            return "block"
        crisis = self.policy.class_of("crisis")
        if judgement is None:
            return "none"
        found = (
            (judgement.probabilities["crisis"], crisis.line_threshold),
            (judgement.help["block"] + judgement.help["line"], crisis.help_threshold),
            (max((piece.probabilities["crisis"] for piece in pieces), default=0.0), crisis.sentence_line_threshold),
        )
        return "line" if any(threshold is not None and value >= threshold for value, threshold in found) else "none"


def _worse(alone: Judgement, together: Judgement) -> Judgement:
    """What a message means by itself, with the higher of both probabilities for danger and misuse, and the stronger help."""
    probabilities = {label: max(value, together.probabilities[label]) if label in ANYWHERE else value for label, value in alone.probabilities.items()}
    return Judgement(probabilities, min(alone.help, together.help, key=lambda one: one["none"]))
