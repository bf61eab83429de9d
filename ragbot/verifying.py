"""Draft → checked statements. One gate for every answerer; what fails is withheld and its reason recorded.

A statement passes when

1. its evidence lies in a passage that was retrieved for this question, and the words quoted are the article's own;
2. each number in it stands in its quote, with the same unit;
3. it says no where the quote says no, and up where the quote says up;
4. its words are carried by the quote: ``support`` reaches ``SUPPORT_THRESHOLD``.

A statement that is its own quote passes 2 to 4 by being the same words.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from ragbot.alignment import align, weakest
from ragbot.models import Embedder
from ragbot.records import Citation, Document, Draft, DraftStatement, Evidence, Passage, Statement
from ragbot.terms import terms_of, words_of

# Claims of K-QA (185, MIT licence) that three physicians found supported score .60 on average, others .45; area under the curve .82.
SUPPORT_THRESHOLD = 0.55
# Terms help with names and add nothing else: the area on K-QA is .82 at 0, .81 at 0.15, .76 at 0.5.
OVERLAP_WEIGHT = 0.1

_SMALL = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
_TENS = {word: 10 * value for value, word in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), start=2)}
_NUMBER_WORDS = {word: value for value, word in enumerate(_SMALL) if value} | _TENS
# "one" is mostly no number ("one of", "no one"), so it counts only before a unit of time.
_NUMBER_WORD = re.compile(
    rf"\b(?:(?P<tens>{'|'.join(_TENS)})[- ](?P<ones>{'|'.join(_SMALL[1:10])})|(?P<word>{'|'.join([*_SMALL[2:], *_TENS])})"
    r"|(?P<one>one)(?= (?:second|minute|hour|day|week|month|year)s?\b))\b"
)
_TIMES = re.compile(r"\b(once|twice|thrice)\b")
_FRACTION = re.compile(r"\b(half|halves|(?:a|one|two)[ -]thirds?|(?:a|one|three)[ -]quarters?|(?:a|one) (?:fifth|tenth))\b")
_UNITS = {
    "%": "%", "percent": "%", "mg/kg": "mg/kg", "mg": "mg", "mcg": "mcg", "µg": "mcg", "g": "g", "ml": "ml", "mmhg": "mmhg",
    "second": "second", "minute": "minute", "min": "minute", "hour": "hour", "hr": "hour", "day": "day", "week": "week",
    "month": "month", "year": "year", "point": "point", "dollar": "$", "pound": "£", "euro": "€", "time": "time",
    "mm": "mm", "cm": "cm", "m": "m", "km": "km", "l": "l", "kg": "kg", "°c": "°c", "°f": "°f",
}  # fmt: skip
_NUMBER = re.compile(
    r"(?P<sign>(?<![\w.-])[-−–])?(?P<currency>[$£€])?(?P<number>\d+(?:,\d{3})+(?:\.\d+)?|\d*\.\d+|\d+)(?:[\s-]*(?P<unit>%|mg/kg|°\s?[cf]|[a-zµ]+))?",
    re.IGNORECASE,
)
_NEGATIONS = frozenset(
    """hardly barely scarcely unsafe unlikely unable no not never none nor neither without cannot nobody nothing fails failed lack lacks
    lacking isn't aren't wasn't weren't don't doesn't didn't can't won't couldn't hasn't haven't""".split()
)
_UP = frozenset(
    """lengthen lengthens lengthened widens strengthens increase increases increased increasing raise raises raised rise rises rose
    higher more greater improve improves improved improvement better gain gains activate activates activated activating longer worsen
    worsens worsened""".split()
)
_DOWN = frozenset(
    """lowers lowering lowered shorten shortens shortened weakens weakened decrease decreases decreased decreasing reduce reduces reduced
    reduction fall falls fell lower less fewer drop drops dropped decline declined quieten quietens silence silences silenced suppress
    suppresses suppressed block blocks blocked shorter worse""".split()
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a statement may be shown, how well it is carried (0 to 1), and why not."""

    passed: bool
    support: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Checked:
    """The statements that may be shown with their citations, and what was withheld and why."""

    statements: tuple[Statement, ...]
    citations: tuple[Citation, ...]
    withheld: tuple[str, ...]


class Verifier:
    """Checks drafts against the articles as they were indexed."""

    def __init__(self, documents: Mapping[str, Document], embedder: Embedder) -> None:
        self._documents = documents
        self._embedder = embedder

    def check(self, draft: Draft, passages: Sequence[Passage]) -> Checked:
        """The statements of a draft that hold, numbered citations, and the reasons for what does not."""
        checking = Checking(self, passages)
        for statement in draft.statements:
            checking.add(statement)
        return checking.result()

    def judge(self, statement: DraftStatement, allowed: frozenset[str]) -> Verdict:
        """Whether one statement holds, by the four checks above."""
        if not statement.evidence:
            return Verdict(False, 0.0, "it cites nothing")
        quotes: list[str] = []
        for evidence in statement.evidence:
            if evidence.passage.chunk.id not in allowed:
                return Verdict(False, 0.0, f"it cites {evidence.passage.chunk.id!r}, which was not retrieved")
            quote = self.quote(evidence)
            if quote is None:
                return Verdict(False, 0.0, f"its quote does not stand in {evidence.passage.chunk.source_id!r}")
            quotes.append(self._plain(evidence, quote))
        return self.compare(statement.text, *quotes)

    def compare(self, text: str, *quotes: str) -> Verdict:
        """Whether a text says no more than its quotes do together."""
        quote = " ".join(quotes)
        if _same_words(text, quote):
            return Verdict(True, 1.0)
        if missing := missing_numbers(text, quote):
            return Verdict(False, 0.0, f"{missing[0]!r} does not stand in its quote")
        if reason := turned_around(text, quote):
            return Verdict(False, 0.0, reason)
        support = self.support(text, *quotes)
        if support < SUPPORT_THRESHOLD:
            return Verdict(False, support, f"its quote does not carry it (support {support:.2f})")
        return Verdict(True, support)

    def support(self, text: str, *quotes: str) -> float:
        """How well quotes carry a text, 0 to 1: how well the worst-met of its word pieces are met there (see ragbot.alignment),
        and, a little, the share of its terms that they hold."""
        terms = set(terms_of(text))
        shared = len(terms & set(terms_of(" ".join(quotes)))) / len(terms) if terms else 0.0
        said, *held = self._embedder.question_tokens([text, *quotes])
        met = max(0.0, weakest(align(said.vectors, [one.vectors for one in held])))
        return round(OVERLAP_WEIGHT * shared + (1 - OVERLAP_WEIGHT) * min(1.0, met), 4)

    def quote(self, evidence: Evidence) -> str | None:
        """The words of the article that evidence points to, or None where it points outside the passage or the article."""
        chunk = evidence.passage.chunk
        document = self._documents.get(chunk.source_id)
        if document is None or evidence.span not in chunk.span or chunk.span.of(document.text) != chunk.text:
            return None
        return evidence.span.of(document.text) or None

    def citation(self, evidence: Evidence, number: int) -> Citation | None:
        """A numbered citation of evidence, or None where its quote does not stand in the article."""
        quote = self.quote(evidence)
        if quote is None:
            return None
        source, chunk = evidence.passage.source, evidence.passage.chunk
        keys = {key for sentence in chunk.sentences if sentence.span in evidence.span for key in sentence.references}
        return Citation(
            number=number,
            article=source.id,
            title=source.title,
            url=source.url,
            heading=chunk.heading,
            quote=quote,
            start=evidence.span.start,
            end=evidence.span.end,
            page=self._documents[source.id].page_at(evidence.span.start),
            reviewed=source.review.state == "reviewed",
            overdue=source.review.overdue_days(date.today()) > 0,
            references=tuple(reference for reference in source.references if reference.key in keys),
        )

    @staticmethod
    def _plain(evidence: Evidence, quote: str) -> str:
        sentences = [sentence.text for sentence in evidence.passage.chunk.sentences if sentence.span in evidence.span]
        return " ".join(sentences) or quote


class Checking:
    """The check of one answer, statement by statement, so that a streamed answer can be shown as it is checked."""

    def __init__(self, verifier: Verifier, passages: Sequence[Passage]) -> None:
        self._verifier = verifier
        self._allowed = frozenset(passage.chunk.id for passage in passages)
        self._statements: list[Statement] = []
        self._citations: list[Citation] = []
        self._withheld: list[str] = []

    def add(self, draft: DraftStatement) -> bool:
        """Checks one statement; whether it holds."""
        verdict = self._verifier.judge(draft, self._allowed)
        if not verdict.passed:
            self.withhold(draft.text, verdict.reason)
            return False
        if draft.caution is not None and (draft.contrast is None or self._verifier.quote(draft.contrast) is None):
            self.withhold(draft.text, "the article that its caution points to cannot be quoted")
            return False
        numbers = self._numbers(draft.evidence)
        contrast = self._numbers([draft.contrast]) if draft.contrast is not None else []
        why = draft.caution.why if draft.caution is not None else None
        self._statements.append(Statement(draft.text, tuple(numbers), verdict.support, why, contrast[0] if contrast else None))
        return True

    def withhold(self, text: str, reason: str) -> None:
        """Records a statement that is not shown."""
        self._withheld.append(f"{text} — withheld: {reason}")

    def result(self) -> Checked:
        """What has been checked so far."""
        return Checked(tuple(self._statements), tuple(self._citations), tuple(self._withheld))

    def _numbers(self, evidence: Iterable[Evidence]) -> list[int]:
        """The citations' numbers; the same words are cited under the same number."""
        numbers: list[int] = []
        for one in evidence:
            known = next(
                (
                    citation.number
                    for citation in self._citations
                    if (citation.article, citation.start, citation.end) == (one.passage.chunk.source_id, one.span.start, one.span.end)
                ),
                None,
            )
            if known is None:
                citation = self._verifier.citation(one, len(self._citations) + 1)
                if citation is None:
                    return []
                self._citations.append(citation)
                known = citation.number
            numbers.append(known)
        return numbers


def _same_words(text: str, quote: str) -> bool:
    return " ".join(text.split()) == " ".join(quote.split())


def missing_numbers(text: str, quote: str) -> list[str]:
    """The figures of a text that do not stand in a quote with the same unit: numbers, doses, shares, durations."""
    held = figures(quote)
    missing = [f"{value}{' ' + unit if unit else ''}" for value, unit in figures(text) if not _held(value, unit, held)]
    parts = set(_FRACTION.findall(quote.casefold()))
    return missing + [part for part in _FRACTION.findall(text.casefold()) if part not in parts]


def _held(value: str, unit: str, held: Sequence[tuple[str, str]]) -> bool:
    # "0.5 to 1.0 mg/kg" gives its unit only once, so a bare number in the quote may take the unit that follows it there.
    return any(value == other and (not unit or unit == other_unit) for other, other_unit in held)


def figures(text: str) -> list[tuple[str, str]]:
    """The figures of a text as (value, unit); the unit is empty where none is known.

    A number before "to", "or", "and" or a dash takes the unit of the number after it.
    """
    words = unicodedata.normalize("NFKC", text).casefold().replace("−", "-")
    words = _TIMES.sub(lambda match: {"once": "1 time", "twice": "2 times", "thrice": "3 times"}[match.group()], words)
    words = _NUMBER_WORD.sub(_in_digits, words)
    found: list[tuple[str, str]] = []
    matches = list(_NUMBER.finditer(words))
    units = [match.group("currency") or _unit(match.group("unit")) for match in matches]
    for index in range(len(matches) - 2, -1, -1):
        between = words[matches[index].end("number") : matches[index + 1].start("number")].strip()
        if not units[index] and between in ("to", "or", "and", "-", "–", ","):
            units[index] = units[index + 1]
    for match, unit in zip(matches, units, strict=True):
        value = match.group("number").replace(",", "")
        value = f"{float(value):f}".rstrip("0").rstrip(".") if "." in value else value
        sign = "-" if match.group("sign") and unit == "point" else ""
        found.append((sign + value, unit))
    return found


def _in_digits(match: re.Match[str]) -> str:
    if match.group("tens"):
        return str(_NUMBER_WORDS[match.group("tens")] + _NUMBER_WORDS[match.group("ones")])
    return str(_NUMBER_WORDS[match.group("word") or match.group("one")])


def _unit(word: str | None) -> str:
    if not word:
        return ""
    word = word.replace(" ", "")
    return _UNITS.get(word, _UNITS.get(word.removesuffix("s"), ""))


def turned_around(text: str, quote: str) -> str | None:
    """Why a text says the contrary of its quote, or None: a "no" on one side only, or up where the quote says only down."""
    said, held = set(words_of(text)), set(words_of(quote))
    if bool(said & _NEGATIONS) != bool(held & _NEGATIONS):
        return "it says no where its quote does not, or the other way round"
    for one, other, name in ((_UP, _DOWN, "up"), (_DOWN, _UP, "down")):
        if said & one and not said & other and held & other and not held & one:
            return f"it says {name} where its quote says the contrary"
    return None
