"""A message as rules and classifier see it: plain letters, no disguises."""

from __future__ import annotations

import re
import unicodedata

# Letters of other scripts that look like Latin ones (Unicode's confusables.txt, the everyday ones).
_LOOK_ALIKES = str.maketrans("аеорсухіјѕԁһӏвкмнтгαβεικνορτυχ", "aeopcyxijsdhlbkmhtrabeiknoptyx")
_LEET = str.maketrans("013457@$!", "oieastasi")
_INVISIBLE = re.compile(r"[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]")
# What changes the order of letters on the page, or stands among them unseen: it can make a reader see other words than a machine.
ACTING = re.compile(r"[\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]")
_STRETCHED = re.compile(r"([^\W\d_])\1{2,}")
# Looked for within so many characters: without a limit, a text without spaces takes time by the square of its length.
_MIXED = re.compile(r"(?=\S{0,40}[a-z])(?=\S{0,40}[013457@$!])[a-z013457@$!]{3,}")
_SPACED = re.compile(r"\b(?:[a-z][ .\-_*]){3,}[a-z]\b")
_DOSES = re.compile(r"\d+(?:mg|kg|ml|mcg|st|nd|rd|th|am|pm|hrs?|yrs?|yo|x|k|f|m)?\b")


# Short forms whose apostrophe was lost to a space: "i m", "don t", "they re".
_SPLIT = re.compile(
    r"\b(i|you|we|they|he|she|it|that|there|what|who)\s(m|re|ve|ll|d|s)\b|\b(don|didn|doesn|can|couldn|won|wouldn|shouldn|isn|aren|wasn|weren|hasn|haven|hadn|ain)\s(t)\b",
    re.IGNORECASE,
)


def rejoined(text: str) -> str:
    """The text with short forms that fell apart put together again."""
    return _SPLIT.sub(lambda match: f"{match.group(1) or match.group(3)}'{match.group(2) or match.group(4)}", text)


def plain(text: str) -> str:
    """Compatibility forms, curly quotes and invisible characters made plain; lower case; no apostrophes; single spaces."""
    # The acute accent goes first: NFKC would make it a space and a combining accent.
    text = unicodedata.normalize("NFKC", text.replace("´", "'"))
    text = rejoined(_INVISIBLE.sub("", text).casefold())
    text = text.replace("'", "").replace("’", "").replace("‘", "").replace("`", "")
    text = "".join(" " if unicodedata.category(letter) in ("Cc", "Zl", "Zp") else letter for letter in text)
    return " ".join(text.split())


def unmasked(text: str) -> str:
    """Plain text without disguises: look-alike letters, digits for letters, stretched and spaced-out words."""
    text = _without_marks(plain(text)).translate(_LOOK_ALIKES)
    text = _SPACED.sub(lambda match: re.sub(r"[ .\-_*]", "", match.group()), text)
    text = _STRETCHED.sub(r"\1", text)
    return _MIXED.sub(_from_leet, text)


def forms(text: str) -> tuple[str, ...]:
    """The forms of a message that rules look at: plain, and without disguises where that differs."""
    one, other = plain(text), unmasked(text)
    return (one,) if one == other else (one, other)


def _from_leet(match: re.Match[str]) -> str:
    word = match.group()
    if _DOSES.fullmatch(word) or word.rstrip("!").isalpha():
        return word
    return word.translate(_LEET)


def _without_marks(text: str) -> str:
    """Without the accents of Latin letters; marks of other scripts carry meaning and stay."""
    parts = []
    for letter in text:
        base = unicodedata.normalize("NFD", letter)
        parts.append(base[0] if len(base) > 1 and base[0].isascii() else letter)
    return "".join(parts)
