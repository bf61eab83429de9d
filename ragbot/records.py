"""The values that pass between the steps: frozen, slotted, tuples instead of lists.

A span always indexes into the text of the document that it belongs to, so that whatever is shown can be found again:
``document.text[span.start:span.end]`` is what was read.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any, Literal

# A page of a printed original begins here; readers write it, citations look it up, nobody sees it.
PAGE_MARKER = "<!-- page {number} -->"
PAGE_PATTERN = re.compile(r"<!-- page (\d+) -->")

Status = Literal["answered", "abstained", "referred", "emergency", "declined", "social"]
Label = Literal[
    "crisis",
    "medical_emergency",
    "personal_decision",
    "illicit",
    "sensitive_topic",
    "out_of_scope",
    "injection",
    "informational",
    "small_talk",
    "about",
]
# How much help a message calls for: a block first, where someone is in danger; a line beside the answer, where someone may be low.
Help = Literal["block", "line", "none"]


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open range of characters, ``text[start:end]``."""

    start: int
    end: int

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.end:
            raise ValueError(f"not a span: [{self.start}, {self.end})")

    def __contains__(self, other: Span) -> bool:
        return self.start <= other.start and other.end <= self.end

    def overlaps(self, other: Span) -> bool:
        return self.start < other.end and other.start < self.end

    def of(self, text: str) -> str:
        return text[self.start : self.end]


@dataclass(frozen=True, slots=True)
class Reference:
    """A publication that an article rests on; ``[key]`` in the article's text points to it."""

    key: str
    title: str
    authors: str = ""
    container: str = ""
    year: int | None = None
    doi: str | None = None
    url: str | None = None
    type: str = ""

    @property
    def link(self) -> str | None:
        return f"https://doi.org/{self.doi}" if self.doi else self.url


@dataclass(frozen=True, slots=True)
class Caution:
    """A claim of an article that another article sets right or puts in context.

    ``claim`` holds words of the article itself; ``see`` is the other article's id; ``why`` is one sentence for the reader.
    """

    claim: str
    see: str
    why: str


@dataclass(frozen=True, slots=True)
class Review:
    """Whether a qualified person has checked the article, who and when, and when it has to be looked at again."""

    state: Literal["pending", "reviewed"] = "pending"
    by: str | None = None
    on: date | None = None
    due: date | None = None

    def overdue_days(self, today: date) -> int:
        """How many days the article should have been looked at again; 0 where it is not due or has no such day."""
        return max(0, (today - self.due).days) if self.due is not None else 0


@dataclass(frozen=True, slots=True)
class Source:
    """The card of an article: what its front matter says.

    ``in_crisis`` is the curators' word that the article may be quoted beside a crisis block; ``contacts`` are the telephone numbers,
    short codes and addresses that its text may name beside the helplines of the policy.
    """

    id: str
    title: str
    summary: str
    publisher: str
    url: str
    authors: tuple[str, ...] = ()
    published: date | None = None
    retrieved: date | None = None
    license: str = ""
    status: Literal["draft", "published", "retired"] = "draft"
    review: Review = field(default_factory=Review)
    topics: tuple[str, ...] = ()
    references: tuple[Reference, ...] = ()
    cautions: tuple[Caution, ...] = ()
    in_crisis: bool = False
    contacts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """An article as read: its card, the text that all spans index into, and the sha256 of its file."""

    source: Source
    text: str
    digest: str

    def page_at(self, place: int) -> int | None:
        """The page of the printed original that the character at ``place`` stands on; None where the article has no pages."""
        page = None
        for marker in PAGE_PATTERN.finditer(self.text):
            if marker.start() > place:
                break
            page = int(marker.group(1))
        return page


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of a document: its span, its words without markup, and the reference keys that follow it."""

    span: Span
    text: str
    references: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Chunk:
    """A run of sentences under one heading, small enough to be embedded whole.

    ``text`` equals ``document.text[span.start:span.end]``; ``digest`` is the sha256 of ``embedded``, which is what is embedded.
    """

    id: str
    source_id: str
    title: str
    heading: str
    span: Span
    text: str
    sentences: tuple[Sentence, ...]

    @property
    def plain(self) -> str:
        """The words without markup and reference keys."""
        return " ".join(sentence.text for sentence in self.sentences)

    @property
    def embedded(self) -> str:
        """The words below their title and heading: a paragraph seldom repeats what it is about."""
        return f"{self.label}\n{self.plain}"

    @property
    def label(self) -> str:
        """What the words are about: title and heading."""
        return f"{self.title}. {self.heading}"

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.embedded.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk that was found for a question, its article's card, its fused score, and what found it
    (``dense``, ``sentence``, ``lexical``, ``feedback``, ``reranked``)."""

    chunk: Chunk
    source: Source
    score: float
    found_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Citation:
    """The exact words that a statement rests on: ``article_text[start:end] == quote``."""

    number: int
    article: str
    title: str
    url: str
    heading: str
    quote: str
    start: int
    end: int
    page: int | None = None
    reviewed: bool = False
    overdue: bool = False
    references: tuple[Reference, ...] = ()


@dataclass(frozen=True, slots=True)
class Statement:
    """One sentence of an answer with the numbers of its citations.

    ``support`` says how well the cited quotes carry it, 0 to 1. ``caution`` is a curator's sentence on why another article
    has to be read beside this one, and ``caution_citation`` the number of the citation that holds the other article's words.
    """

    text: str
    citations: tuple[int, ...]
    support: float
    caution: str | None = None
    caution_citation: int | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """Words of one passage that a drafted statement points to."""

    passage: Passage
    span: Span


@dataclass(frozen=True, slots=True)
class DraftStatement:
    """A statement before it was checked: its words, and the evidence claimed for it."""

    text: str
    evidence: tuple[Evidence, ...]
    caution: Caution | None = None
    contrast: Evidence | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """What an answerer proposes. Nothing of it is shown before the verifier has passed it."""

    statements: tuple[DraftStatement, ...]
    model: str
    score: float


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a rail decided: its label, how sure it is (0 to 1), the rule or the nearest examples behind it, and the version of the
    policy (the beginning of its sha256) that it decided by."""

    rail: str
    label: Label
    confidence: float
    reason: str
    policy: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """One earlier exchange of the conversation."""

    question: str
    answer: str = ""
    # What was offered to ask next, which "yes" takes up.
    offered: str = ""


@dataclass(frozen=True, slots=True)
class NearestArticle:
    """An article offered where none answers."""

    article: str
    title: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person is shown. See docs/answer.md for the JSON form.

    Raises:
        ValueError: an ``answered`` answer without a cited statement, an uncited statement anywhere, a citation that is
            missing or unused, or a statement in an ``abstained``, ``declined`` or ``social`` answer. An unsourced answer cannot be built.
    """

    question: str
    status: Status
    guardrail: Ruling
    statements: tuple[Statement, ...] = ()
    citations: tuple[Citation, ...] = ()
    notice: str | None = None
    help: Literal["block", "line"] | None = None
    follow_ups: tuple[str, ...] = ()
    nearest: tuple[NearestArticle, ...] = ()
    withheld: tuple[str, ...] = ()
    model: str = "extractive"
    index: str | None = None
    timings_ms: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.status in ("abstained", "declined", "social") and self.statements:
            raise ValueError(f"an answer that is {self.status!r} carries no statements")
        if self.status == "answered" and not self.statements:
            raise ValueError("an 'answered' answer needs at least one statement")
        numbers = [citation.number for citation in self.citations]
        if numbers != list(range(1, len(numbers) + 1)):
            raise ValueError(f"citations are numbered from 1 in order, not {numbers}")
        used: set[int] = set()
        for statement in self.statements:
            if not statement.citations:
                raise ValueError(f"uncited statement: {statement.text!r}")
            used.update(statement.citations)
            if statement.caution_citation is not None:
                used.add(statement.caution_citation)
        if used != set(numbers):
            raise ValueError(f"citations {sorted(numbers)} do not match those used, {sorted(used)}")

    def __add__(self, later: Answer) -> Answer:
        """The later, fuller answer: a stream gives whole answers that grow, and LangChain adds up what is streamed."""
        return later

    @property
    def text(self) -> str:
        """The answer as plain text with [1] markers; the notice stands first where someone may be in danger."""
        body = " ".join(_statement_text(statement) for statement in self.statements)
        parts = [body, self.notice or ""]
        if self.status in ("emergency", "referred"):
            parts.reverse()
        return "\n\n".join(part for part in parts if part)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form of the contract."""
        return {
            "question": self.question,
            "status": self.status,
            "text": self.text,
            "statements": [_without_none(asdict(statement)) for statement in self.statements],
            "citations": [asdict(citation) for citation in self.citations],
            "notice": self.notice,
            "help": self.help,
            "guardrail": {
                "label": self.guardrail.label,
                "confidence": round(self.guardrail.confidence, 4),
                "rule": self.guardrail.reason or None,
                "policy": self.guardrail.policy or None,
            },
            "follow_ups": list(self.follow_ups),
            "nearest": [asdict(article) for article in self.nearest],
            "withheld": list(self.withheld),
            "model": self.model,
            "index": self.index,
            "timings_ms": {step: round(value, 2) for step, value in self.timings_ms.items()},
        }


def _statement_text(statement: Statement) -> str:
    text = statement.text + "".join(f" [{number}]" for number in statement.citations)
    if statement.caution:
        text += f" (Caution: {statement.caution}"
        text += f" See [{statement.caution_citation}].)" if statement.caution_citation else ")"
    return text


def _without_none(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def as_turns(history: Sequence[Turn | str | Mapping[str, Any]]) -> tuple[Turn, ...]:
    """The turns in a history that may hold turns, bare questions, question–answer mappings or role–content messages.

    Raises:
        ValueError: an entry has none of these forms.
    """
    turns: list[Turn] = []
    for entry in history:
        if isinstance(entry, Turn):
            turns.append(entry)
        elif isinstance(entry, str):
            turns.append(Turn(entry))
        elif isinstance(entry, Mapping) and isinstance(entry.get("question"), str):
            answer = entry.get("answer", entry.get("text", ""))
            offered = entry.get("follow_ups")
            first = offered[0] if isinstance(offered, list | tuple) and offered and isinstance(offered[0], str) else ""
            turns.append(Turn(entry["question"], answer if isinstance(answer, str) else "", first))
        elif isinstance(entry, Mapping) and isinstance(entry.get("content"), str):
            if entry.get("role") == "user":
                turns.append(Turn(entry["content"]))
            elif turns:
                turns[-1] = Turn(turns[-1].question, entry["content"])
        else:
            raise ValueError(f"not a turn of a conversation: {entry!r}")
    return tuple(turns)
