"""Numbers in words, in other scripts and in pieces → digits, so that one pattern sees them all.

Written here because neither package that was tried fits: ``word2number`` reads one number and refuses a sentence without one, and
``text2num`` 3.1 leaves single words below ten ("two grams"), "half a", "a dozen" and "a score" as they are.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from ragbot.guardrails.normalising import plain, unmasked

_ONES = {word: value for value, word in enumerate("zero one two three four five six seven eight nine".split())} | {"oh": 0, "nought": 0, "nil": 0}
_TEENS = {word: value for value, word in enumerate("ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split(), start=10)}
_TENS = {word: 10 * value for value, word in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), start=2)} | {"fourty": 40}
_SCALES = {"hundred": 100, "thousand": 1000, "million": 1_000_000}
_VALUES = _ONES | _TEENS | _TENS
_WORD = "|".join(sorted([*_VALUES, *_SCALES], key=len, reverse=True))
# A run of number words; "and" joins only what follows a scale ("two hundred and fifty").
_RUN = re.compile(rf"\b(?:(?:{_WORD})(?:(?:(?<=hundred)|(?<=thousand)) and(?= )|)(?:[ -]+(?=(?:{_WORD})\b)|))+\b")
_SCALED = re.compile(r"(?<![\w.,])(\d{1,9}(?:\.\d{1,3})?) (hundred|thousand|million)\b")
_REPEATED = re.compile(rf"\b(double|triple|treble) ({'|'.join(_ONES)}|\d)\b")
_AMOUNTS = (
    (re.compile(r"\bhalf (?:a )?dozen\b"), "6"),
    (re.compile(r"\b(\d+) dozen\b"), lambda match: str(12 * int(match.group(1)[:6]))),
    (re.compile(r"\b(?:a )?dozen\b"), "12"),
    (re.compile(r"\b(\d+) scores?(?= of (?:the|those|these|them)\b)"), lambda match: str(20 * int(match.group(1)[:6]))),
    (re.compile(r"\ba score(?= of (?:the|those|these|them)\b)"), "20"),
    (re.compile(r"\ba (?:couple|pair)(?: of)?\b"), "2"),
    (re.compile(r"\b(\d+) and (?:a|1) half\b"), r"\1.5"),
    (re.compile(r"\b(\d+) point (\d+)\b"), r"\1.\2"),
    (re.compile(r"\bhalf (?:of )?(?:an?|the|1|that|your)\b"), "0.5"),
    (re.compile(r"\b(?:a|1) quarter of (?:an?|the|1)\b"), "0.25"),
    (re.compile(r"\ban? (?=(?:hundred|thousand)\b)"), "one "),
)
# Single digits with a space between them are one number that somebody took apart.
_SPACED = re.compile(r"(?<![\d.,:/-])\d(?: \d){1,14}(?![\d.,:/%-]|\w)")
_GROUPED = re.compile(r"(?<=\d),(?=\d{3}\b)")
_DECIMAL_COMMA = re.compile(r"(?<=\d),(?=\d{1,2}\b(?!,))")
_ENCLOSING = re.compile(r"[\u20dd-\u20e4]")


def in_digits(text: str) -> str:
    """The plain form of a text with its numbers in ASCII digits: "about Forty-Five" → "about 45", "half a" → "0.5", "４ 0" → "40"."""
    return _in_digits(plain(_own_digits(text)))


def forms_in_digits(text: str) -> tuple[str, ...]:
    """What the output rules look at: the plain text with its numbers in digits, and, where it differs, the text without disguises."""
    own = _own_digits(text)
    one, other = _in_digits(plain(own)), _in_digits(unmasked(own))
    return (one,) if one == other else (one, other)


def _own_digits(text: str) -> str:
    """Digits of every script, in circles and on keys too, as ASCII."""
    # Circled digits are taken apart first: NFKC would run "②⑤" and "② ⑤" together with what stands beside them.
    return "".join(_digit(letter) for letter in _ENCLOSING.sub("", text))


def _digit(letter: str) -> str:
    if letter.isascii():
        return letter
    value = unicodedata.digit(letter, None)
    return letter if value is None else str(value)


def _in_digits(text: str) -> str:
    text = _AMOUNTS[-1][0].sub("one ", text)
    text = _SCALED.sub(lambda match: f"{float(match.group(1)) * _SCALES[match.group(2)]:.0f}", text)
    text = _REPEATED.sub(lambda match: " ".join([match.group(2)] * (2 if match.group(1) == "double" else 3)), text)
    text = _RUN.sub(lambda match: " ".join(_numbers(match.group())), text)
    for pattern, replacement in _AMOUNTS[:-1]:
        text = pattern.sub(replacement, text)
    text = _DECIMAL_COMMA.sub(".", _GROUPED.sub("", text))
    return _SPACED.sub(lambda match: match.group().replace(" ", ""), text)


def _numbers(words: str) -> Iterator[str]:
    """The numbers that a run of number words names, in digits: a cardinal as far as it goes, then the next."""
    total, group, last = 0, 0, 0
    begun = False
    for word in re.split(r"[ -]+", words):
        if word == "and":
            continue
        if word in _SCALES:
            scale = _SCALES[word]
            group = max(group, 1) if begun else 1
            if scale == _SCALES["hundred"]:
                group *= scale
            else:
                total, group = total + group * scale, 0
            last, begun = scale, True
            continue
        value = _VALUES[word]
        # "twenty five" goes on and "five twenty" begins anew, as do digits that are read out one by one.
        fits = not begun or last >= _SCALES["hundred"] or (last in _TENS.values() and 0 < value < 10)
        if not fits:
            yield str(total + group)
            total = group = 0
        group += value
        last, begun = value, True
    if begun:
        yield str(total + group)
