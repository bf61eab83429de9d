"""Small talk and questions about the bot: which fixed text fits."""

from __future__ import annotations

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


def taken_up(text: str, kind: SocialKind, turns: Sequence[Turn]) -> str | None:
    """The question that a message takes up: what was offered after the turn before, or None."""
    if not kind.takes_up or not turns or len(plain(text).split()) > MOST_WORDS_TO_TAKE_UP:
        return None
    return turns[-1].offered or None
