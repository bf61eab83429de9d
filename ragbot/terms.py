"""Words as the lexical side sees them: stems without stop words, and how telling each is. The only file that knows PyStemmer."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache

import Stemmer

# Function words, and the words that questions are made of: they say how something is asked, not about what.
STOP_WORDS = frozenset(
    """a about after all also am an and any are as at be because been before being between both but by can could d did do does doing don
    down during each etc for from further get gets getting got had has have having he her here hers him his how i if in into is it its
    just ll m may me might mine more most much must my no nor not of off on once only or other our ours out over own please re s same
    she should so some such t tell than that the their theirs them then there these they thing things this those through to too
    under until up ve very was we were what when where whether which while who whom whose why will with would you your yours
    actually know want really say said say says like explain question wondering hi hello thanks thank ok okay im ive whats hows whos
    dont doesnt isnt cant kind sort work works working happen happens use used using take takes taking mean means
    long many often people person someone anyone something anything lot""".split()
)
_WORD = re.compile(r"\d+(?:[.,]\d+)*%?|[^\W\d_]+(?:['’][^\W\d_]+)?", re.UNICODE)
_STEMMER = Stemmer.Stemmer("english")


def words_of(text: str) -> list[str]:
    """The words and numbers of a text in lower case; compatibility forms and curly apostrophes are made plain."""
    return [word.replace("’", "'").casefold() for word in _WORD.findall(unicodedata.normalize("NFKC", text))]


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """The Snowball stem of a lower-case word, without its possessive."""
    result: str = _STEMMER.stemWord(word.removesuffix("'s").replace("'", ""))
    return result


def terms_of(text: str) -> list[str]:
    """The stems of the telling words of a text, in order, with repetition; ``30%`` also counts as ``30``."""
    terms: list[str] = []
    for word in words_of(text):
        if word.replace("'", "") in STOP_WORDS:
            continue
        if word.endswith("%"):
            terms += [word, word[:-1]]
        else:
            terms.append(stem(word))
    return terms


def words_by_term(text: str) -> dict[str, str]:
    """The terms of a text, each with the first word that it stands for."""
    pairs = ((word, terms_of(word)) for word in words_of(text))
    return {term: word for word, terms in reversed(list(pairs)) for term in terms}


class Rarity:
    """How telling a term is in a collection of texts: its inverse document frequency.

    ``log(1 + (N - n + 0.5) / (n + 0.5))`` as in BM25 (Robertson and Zaragoza, 2009). A term that no text holds is the rarest.
    """

    def __init__(self, texts_terms: Iterable[Sequence[str]]) -> None:
        counts: Counter[str] = Counter()
        total = 0
        for terms in texts_terms:
            counts.update(set(terms))
            total += 1
        self._counts = counts
        self._total = total

    def __contains__(self, term: str) -> bool:
        return term in self._counts

    def __call__(self, term: str) -> float:
        count = self._counts.get(term, 0)
        return math.log(1 + (self._total - count + 0.5) / (count + 0.5))

    @property
    def highest(self) -> float:
        """The rarity of a term that no text holds."""
        return self("")
