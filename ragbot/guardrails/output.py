"""The last rail: what no outgoing text may hold, whoever wrote it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ragbot.guardrails.contacts import foreign_contact, foreign_link, known_contacts, of_card
from ragbot.guardrails.normalising import ACTING
from ragbot.guardrails.numbers import forms_in_digits
from ragbot.guardrails.policies import OutputRule, Policy
from ragbot.records import Source, Status


class OutputRail:
    """Looks at every statement before it is shown.

    Args:
        helplines: the numbers and addresses that any article may name, as the policy writes them.
        draft_rules: what a curator is shown in a draft beside that.
    """

    def __init__(self, rules: Sequence[OutputRule], helplines: Collection[str] = (), draft_rules: Sequence[OutputRule] = ()) -> None:
        self._rules = tuple(rules)
        self._helplines = tuple(helplines)
        self._draft_rules = tuple(draft_rules)

    @classmethod
    def of(cls, policy: Policy) -> OutputRail:
        """The rail of a policy."""
        return cls(policy.output_rules, policy.helplines, policy.draft_rules)

    def objection(self, text: str, status: Status) -> str | None:
        """The name of the first rule that a text breaks in an answer of this status, or None; ``invisible`` where characters in it act
        on what is seen of the others."""
        rule = broken_rule(text, [rule for rule in self._rules if not rule.statuses or status in rule.statuses])
        if rule is not None:
            return rule.name
        return "invisible" if ACTING.search(text) else None

    def stranger(self, words: str, source: Source | None = None) -> str | None:
        """The first address or number to call in a text that neither the policy nor the article's card names, or None."""
        return self.strange_contact(words, source) or self.strange_link(words, source)

    def strange_contact(self, words: str, source: Source | None = None) -> str | None:
        """As ``stranger``, for numbers and e-mail addresses."""
        return foreign_contact(words, known_contacts(self._known(source)))

    def strange_link(self, words: str, source: Source | None = None) -> str | None:
        """As ``stranger``, for web addresses."""
        return foreign_link(words, self._known(source))

    def _known(self, source: Source | None) -> tuple[str, ...]:
        return (*self._helplines, *(of_card(source) if source is not None else ()))

    def reservation(self, text: str) -> OutputRule | None:
        """The first rule that a sentence of a draft breaks, those for answers first; None where a curator need not look at it."""
        return broken_rule(text, [*(rule for rule in self._rules if not rule.statuses or "answered" in rule.statuses), *self._draft_rules])


def broken_rule(text: str, rules: Sequence[OutputRule]) -> OutputRule | None:
    """The first rule that one of the forms of a text breaks, or None."""
    forms = forms_in_digits(text)
    for rule in rules:
        for words in forms:
            if any(pattern.search(words) for pattern in rule.patterns) and not any(pattern.search(words) for pattern in rule.unless):
                return rule
    return None
