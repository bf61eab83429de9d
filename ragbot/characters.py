"""Characters that show nothing, or show other words than they are: told by their numbers where a person has to see what stands there."""

from __future__ import annotations

import re

__all__ = ["shown"]

# Controls, soft hyphen, joiners and fillers that show nothing, marks and overrides of direction, variation selectors, line and paragraph
# separators, halves of surrogate pairs, annotations, tags, and the two private characters by which the chat page marks quotes.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164"
    "\ud800-\udfff\ue000\ue001\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
# What emoji are made of: pictures, arrows and signs, keycaps, skin tones, regional letters.
_PICTURE = "[\u00a9\u00ae\u203c-\u3299\U0001f000-\U0001faff\U0001fb00-\U0001fbff]"
# Scripts in which a joiner or non-joiner (U+200D, U+200C) between two letters is spelling: Arabic and its kin, the Indic scripts,
# Tibetan, Myanmar, Khmer, Mongolian (Unicode Standard 23.2).
_JOINED = "[\u0600-\u08ff\u0900-\u0dff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u1800-\u18af\ua840-\ua8ff\ufb50-\ufdff\ufe70-\ufefc]"
# Unseen characters that belong where they stand: in flags of regions, in and behind emoji, digits of keycaps, and Chinese characters.
_BELONGING = re.compile(
    "\U0001f3f4[\U000e0030-\U000e007a]{1,6}\U000e007f"
    f"|(?<={_PICTURE})\ufe0f?[\U0001f3fb-\U0001f3ff]?\u200d(?={_PICTURE})|(?<=[0-9#*])\ufe0f(?=\u20e3)|(?<={_PICTURE})[\ufe0e\ufe0f]"
    f"|(?<={_JOINED})[\u200c\u200d](?={_JOINED})"
    "|(?<=[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff])[\ufe00-\ufe02\U000e0100-\U000e01ef]"
)
_EITHER = re.compile(f"(?P<belonging>{_BELONGING.pattern})|{_UNSEEN.pattern}")


def shown(text: str) -> str:
    """A text in which whatever hides or reorders words stands as what it is, such as ``⟦U+202E⟧``.

    Newlines and tabs stay, and so do joiners in emoji and between letters of scripts that need them. For people to look at; what is
    kept, compared or sent back is the text itself.
    """
    if _UNSEEN.search(text) is None:
        return text
    return _EITHER.sub(lambda found: found.group() if found["belonging"] else f"⟦U+{ord(found.group()):04X}⟧", text)
