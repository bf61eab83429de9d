"""The last rail: what no outgoing text may hold, whoever wrote it."""

from __future__ import annotations

from collections.abc import Sequence

from ragbot.guardrails.normalising import plain
from ragbot.guardrails.policies import OutputRule
from ragbot.records import Status


class OutputRail:
    """Looks at every statement before it is shown."""

    def __init__(self, rules: Sequence[OutputRule]) -> None:
        self._rules = tuple(rules)

    def objection(self, text: str, status: Status) -> str | None:
        """The name of the first rule that a text breaks in an answer of this status, or None."""
        clean = plain(text)
        for rule in self._rules:
            if rule.statuses and status not in rule.statuses:
                continue
            if any(pattern.search(clean) for pattern in rule.patterns) and not any(pattern.search(clean) for pattern in rule.unless):
                return rule.name
        return None
