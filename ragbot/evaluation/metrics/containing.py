"""Does the answer hold the facts that a right answer holds, and none that it must not hold?"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from ragbot.evaluation.metrics.scoring import Score, mean_score, share_score
from ragbot.evaluation.outcomes import AnswersOutcome

_MARKER = re.compile(r"\s*\[\d+\]")
_DASH = re.compile(r"[‐‑‒–—−]")


def comparable(text: str) -> str:
    """A text without citation markers, in lower case, with plain spaces, dashes and quotation marks."""
    plain = _DASH.sub("-", unicodedata.normalize("NFKC", _MARKER.sub("", text))).replace("’", "'")
    return " ".join(plain.casefold().split())


def missing_groups(outcome: AnswersOutcome) -> list[tuple[str, ...]]:
    """The groups of alternatives of which the answer holds none."""
    text = comparable(outcome.answer.text) if outcome.answer is not None and not outcome.abstained else ""
    return [group for group in outcome.item.must_contain if not any(comparable(word) in text for word in group)]


def forbidden_words(outcome: AnswersOutcome) -> list[str]:
    """What the answer holds and must not hold; only its statements are looked at."""
    statements = outcome.answer.statements if outcome.answer is not None else ()
    text = comparable(" ".join(statement.text for statement in statements))
    return [word for word in outcome.item.must_not_contain if comparable(word) in text]


def score_containing(outcomes: Sequence[AnswersOutcome]) -> list[Score]:
    """Coverage (over those answered, and over all answerable questions) and forbidden words."""
    wanted = [one for one in outcomes if one.item.answerable and one.item.must_contain and one.answer is not None]
    reason = "Share of the wanted facts that the answer holds; abstentions are left out."
    coverage = [(1 - len(missing_groups(one)) / len(one.item.must_contain), one.abstained) for one in wanted]
    clean = [not forbidden_words(one) for one in outcomes if one.item.must_not_contain and one.answer is not None]
    return [
        mean_score("coverage", [value for value, abstained in coverage if not abstained], reason),
        mean_score("coverage, of all", [value for value, _ in coverage], "The same over all answerable questions; an abstention holds none."),
        share_score("nothing forbidden", clean, "Answers without words that they must not hold."),
    ]
