"""The last rail: what no outgoing text may hold, whoever wrote it."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from ragbot.guardrails.normalising import plain
from ragbot.guardrails.policies import OutputRule
from ragbot.records import Status

_ADDRESS = re.compile(r"(?:\b(?:https?|ftp|javascript|data):|\bwww\.)[^\s)\]>\"']+", re.IGNORECASE)


def foreign_link(words: str, known: Collection[str]) -> str | None:
    """The first address in an article's words that its card does not name, or None. Whoever planted it, it is not shown."""
    trusted = {address.rstrip("/").casefold() for address in known}
    return next((match.group() for match in _ADDRESS.finditer(words) if match.group().rstrip("/.,;").casefold() not in trusted), None)


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
