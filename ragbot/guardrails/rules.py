"""The high-precision rules: the first that fires on a message, for each label."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ragbot.guardrails.normalising import forms
from ragbot.guardrails.policies import Rule
from ragbot.records import Label

_SENTENCE_END = re.compile(r"(?<=[.!?\n])\s+|\n+")


def fired_rules(text: str, rules: Sequence[Rule]) -> dict[Label, str]:
    """The name of the first rule that fires for each label.

    A rule's ``unless`` only looks at the sentence in which it would fire, so that a harmless sentence elsewhere cannot
    switch it off.
    """
    sentences = [form for sentence in _SENTENCE_END.split(text) if sentence.strip() for form in forms(sentence)]
    whole = forms(text)
    fired: dict[Label, str] = {}
    for rule in rules:
        if rule.label not in fired and _fires(rule, sentences, whole):
            fired[rule.label] = rule.name
    return fired


def _fires(rule: Rule, sentences: Sequence[str], whole: Sequence[str]) -> bool:
    # A run-on message without full stops is one sentence; what spans sentences is only looked at where nothing speaks against it.
    for text in (*sentences, *whole):
        if any(pattern.search(text) for pattern in rule.patterns) and not any(pattern.search(text) for pattern in rule.unless):
            return True
    return False
