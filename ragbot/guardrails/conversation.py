"""What a message means after the messages before it: whether it leans on them, what they were about, whether someone was in
danger in them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ragbot.guardrails.normalising import plain
from ragbot.guardrails.policies import Policy
from ragbot.guardrails.rules import fired_rules
from ragbot.records import Turn

# A long message is judged whole and piece by piece, so that a crisis in its middle is not averaged away.
MOST_PIECES = 40
_PIECE_END = re.compile(r"(?<=[.!?…])\s+|\n+")
_OPENINGS = frozenset("and but or so then what how why is are does do did with also even for in after when which who".split())
_POINTING = frozenset("it its that this they them their those these ones there he she him her same other another".split())
_ASKING = frozenset(
    "what whats how hows why when where who which does do did is are was were can could will would should has have may might any".split()
)
MOST_LEANING_WORDS = 14
TOPIC_TURNS = 2


def pieces_of(text: str) -> list[str]:
    """The sentences of a longer message; none where there is only one."""
    pieces = [piece.strip() for piece in _PIECE_END.split(text) if len(piece.strip()) > 8]
    if len(pieces) > MOST_PIECES:
        # The last piece takes in what is left over, so that nothing goes unjudged.
        pieces = [*pieces[: MOST_PIECES - 1], " ".join(pieces[MOST_PIECES - 1 :])]
    return pieces if len(pieces) > 1 else []


def leans_on_history(text: str) -> bool:
    """Whether a message goes on from the one before it: short, and opening like a continuation or pointing back."""
    words = plain(text).replace("?", " ").replace(",", " ").split()
    if not words or len(words) > MOST_LEANING_WORDS:
        return False
    if words[0] in ("and", "but", "or", "so", "then", "also", "even", "ok", "okay"):
        return True
    if words[:2] in (["what", "about"], ["how", "about"], ["what", "if"]) or (words[0] == "why" and len(words) <= 3):
        return True
    points = not _POINTING.isdisjoint(words)
    return points or (len(words) <= 4 and words[0] in _OPENINGS)


def earlier_topic(turns: Sequence[Turn]) -> str:
    """What the conversation was about: the last question that stands by itself, and the one after it; empty without turns."""
    topic: list[str] = []
    for turn in reversed(turns[-TOPIC_TURNS - 1 :]):
        topic.insert(0, turn.question.strip())
        if not leans_on_history(turn.question):
            break
    return " ".join(topic)


def asked_part(text: str) -> str:
    """The pieces of a message that ask something; empty where nothing is asked."""
    pieces = pieces_of(text) or [text]
    asking = [piece for piece in pieces if piece.rstrip().endswith("?") or (plain(piece).split() or [""])[0] in _ASKING]
    return " ".join(asking)


def turns_since_crisis(turns: Sequence[Turn], policy: Policy) -> int | None:
    """How many turns ago somebody seemed in danger (0: in the turn just before), or None.

    Told by the rules on what was asked and by the crisis text in what was answered, so that it holds without any stored state.
    """
    opening = policy.texts["crisis"].split("{")[0].strip()[:60]
    for ago, turn in enumerate(reversed(turns)):
        if "crisis" in fired_rules(turn.question, policy.rules) or (opening and opening in turn.answer):
            return ago
    return None
