"""Small talk and questions about the bot: which fixed text fits."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ragbot.guardrails.normalising import plain
from ragbot.guardrails.policies import SocialKind
from ragbot.records import Label, Turn

# "Yes" takes up what was offered where it is about all that is said.
MOST_WORDS_TO_TAKE_UP = 6


def social_kind(text: str, label: Label, kinds: Sequence[SocialKind]) -> SocialKind:
    """The first kind of this label whose patterns are found in a message; the last of the label has none and fits all."""
    clean = plain(text)
    own = [kind for kind in kinds if kind.label == label]
    return next((kind for kind in own if any(pattern.search(clean) for pattern in kind.patterns)), own[-1])


# An offer in the bot's own words, as a language model makes it: what follows is what would be told.
_OFFER = re.compile(
    r"^(?:would you like|do you want|shall i|should i)(?: me)?(?: to)? (?:know|hear|read|learn|tell you|say)(?: more)?(?: about)? (.+)$", re.IGNORECASE
)


def taken_up(text: str, kind: SocialKind, turns: Sequence[Turn]) -> str | None:
    """The question that a message takes up: what was offered after the turn before, or asked at its end, or None."""
    if not kind.takes_up or not turns or len(plain(text).split()) > MOST_WORDS_TO_TAKE_UP:
        return None
    if turns[-1].offered:
        return turns[-1].offered
    last = turns[-1].answer.strip().rsplit(". ", 1)[-1].rsplit("\n", 1)[-1].strip()
    if not last.endswith("?"):
        return None
    offer = _OFFER.match(last)
    return offer.group(1) if offer else last
