"""question → the question in the library's words: everyday words, abbreviations that the articles explain, spelling.

What was typed is kept for the guardrails and shown unchanged; only the search reads the rephrased question.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from rapidfuzz import fuzz, process

from ragbot.records import Chunk
from ragbot.terms import STOP_WORDS, words_of

# A long form in brackets after its words or the other way round, as in "treatment-resistant depression (TRD)".
_BRACKETED = re.compile(r"\(([A-Z][A-Za-z-]{0,3}[A-Z][A-Za-z-]*)\)")
_TOKEN = re.compile(r"[^\W_]+(?:['’/-][^\W_]+)*|\S")
SHORTEST_MISSPELLING = 4
# Of 100: one letter wrong in five, or two in ten. Closer words are other words ("mood" and "food" score 75).
SPELLING_CUTOFF = 80


class Rephraser:
    """Puts questions into the words of one library.

    Args:
        words: everyday words or phrases and what the articles call them.
        is_everyday: whether a word is a word of plain English, which is then no misspelling.
    """

    def __init__(self, chunks: Sequence[Chunk], words: Mapping[str, str], is_everyday: Callable[[str], bool]) -> None:
        texts = [chunk.plain for chunk in chunks] + [f"{chunk.title}. {chunk.heading}" for chunk in chunks]
        vocabulary = {word for text in texts for word in words_of(text) if word.isalpha()}
        self._vocabulary = vocabulary
        self._spellings = sorted(word for word in vocabulary if len(word) >= SHORTEST_MISSPELLING)
        self._is_everyday = is_everyday
        self.abbreviations = find_abbreviations(texts)
        self._phrases = sorted(((key.split(), value) for key, value in words.items()), key=lambda pair: -len(pair[0]))

    def rephrase(self, question: str) -> str:
        """The question in the library's words; the very same text where nothing has to be changed."""
        tokens = _TOKEN.findall(question)
        lowered = [token.casefold() for token in tokens]
        parts: list[str] = []
        index, changed = 0, False
        while index < len(tokens):
            size, replacement = self._phrase_at(lowered, index)
            if not size:
                size, replacement = 1, self._word(tokens[index], lowered[index])
            changed = changed or replacement != " ".join(tokens[index : index + size])
            parts.append(replacement)
            index += size
        return " ".join(parts) if changed else question

    def _phrase_at(self, lowered: Sequence[str], index: int) -> tuple[int, str]:
        for words, replacement in self._phrases:
            if lowered[index : index + len(words)] == words:
                return len(words), replacement
        return 0, ""

    def _word(self, token: str, lowered: str) -> str:
        long_form = self.abbreviations.get(lowered)
        # "who" is a word and WHO an organisation.
        if long_form is not None and (token.isupper() or not (lowered in STOP_WORDS or self._is_everyday(lowered))):
            return f"{long_form} ({token.upper()})"
        if not self._misspelt(lowered):
            return token
        found = process.extractOne(lowered, self._spellings, scorer=fuzz.ratio, score_cutoff=SPELLING_CUTOFF)
        return found[0] if found is not None and found[0][0] == lowered[0] else token

    def _misspelt(self, word: str) -> bool:
        known = word in self._vocabulary or word in STOP_WORDS
        return len(word) >= SHORTEST_MISSPELLING and word.isalpha() and not known and not self._is_everyday(word)


def find_abbreviations(texts: Iterable[str]) -> dict[str, str]:
    """The abbreviations that texts explain in brackets, in lower case, with their long forms.

    After Schwartz and Hearst (Pacific Symposium on Biocomputing 2003): the long form is the shortest run of words before the
    bracket whose letters hold those of the abbreviation in order, beginning at a word's first letter.
    """
    found: dict[str, str] = {}
    for text in texts:
        for match in _BRACKETED.finditer(text):
            short = match.group(1)
            long_form = _long_form(short, text[: match.start()].split()[-min(len(short) + 5, 2 * len(short)) :])
            if long_form and short.casefold() not in found and len(long_form) > len(short):
                found[short.casefold()] = long_form
    return found


def _long_form(short: str, words: Sequence[str]) -> str | None:
    text = " ".join(words)
    place = len(text) - 1
    for position in range(len(short) - 1, -1, -1):
        letter = short[position].casefold()
        if not letter.isalnum():
            continue
        while place >= 0 and (text[place].casefold() != letter or (position == 0 and place > 0 and text[place - 1].isalnum())):
            place -= 1
        if place < 0:
            return None
        place -= 1
    return text[place + 1 :].strip(" ,;:(")
