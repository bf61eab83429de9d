"""How well a sentence answers a question: a few features that a person can read, and a calibrated weight for each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

import numpy as np

from ragbot.alignment import align, telling, weakest
from ragbot.models import Tokens, TokenVectors, Vectors
from ragbot.records import Passage, Sentence
from ragbot.terms import Rarity, terms_of, words_of

_TIME_UNITS = frozenset("second minute hour day night week month year seconds minutes hours days nights weeks months years daily weekly".split())
_MONEY = frozenset("dollar dollars cost costs price prices pay pays paid fee fees pound pounds euro euros".split())
# What the opening words of a question ask for.
_ASKED_KINDS = {
    "share": (
        "what percentage", "what percent", "how many people", "how many patients", "what share", "what proportion", "how common", "how likely",
        "odds", "chance", "success rate", "response rate", "remission rate", "rates",
    ),
    "time": (
        "how long", "how soon", "how fast", "how quick", "how often", "how many minutes", "how many hours", "how many days", "how many weeks",
        "how many months", "how many times", "when ", "what year", "half-life", "wear off", "last",
    ),
    "money": ("how much does", "how much is", "cost", "price", "pay", "expensive", "afford"),
    "number": ("how many", "how much", "what dose", "which dose", "what number", "phone number", "at what age", "how old", "score"),
}  # fmt: skip


def asked_kinds(question: str) -> frozenset[str]:
    """What kinds of figure a question asks for: ``share``, ``time``, ``money``, ``number``; empty for most questions."""
    lowered = " ".join(words_of(question)) + " "
    return frozenset(kind for kind, openings in _ASKED_KINDS.items() if any(opening in lowered for opening in openings))


def holds_kind(sentence: str, kind: str) -> bool:
    """Whether a sentence holds a figure of a kind."""
    words = words_of(sentence)
    digits = any(word[0].isdigit() for word in words)
    if kind == "share":
        return any(word.endswith("%") for word in words) or (digits and ("in" in words or "of" in words))
    if kind == "time":
        return not _TIME_UNITS.isdisjoint(words)
    if kind == "money":
        return "$" in sentence or "£" in sentence or "€" in sentence or not _MONEY.isdisjoint(words)
    return digits


@dataclass(frozen=True, slots=True)
class Features:
    """What is known of a sentence beside a question, each about 0 to 1.

    ``cosine``: question and sentence. ``passage_cosine``: question and the sentence's passage. ``overlap``: share of the
    question's rarity that the sentence's words hold. ``context_overlap``: the same with heading and title. ``rank``:
    1 / rank of the passage. ``kind``: whether it holds the kind of figure asked for (0.5 where none is asked).
    ``heading_overlap``: the share that the passage's heading holds. ``aligned``: how well the question's telling word pieces are
    met by those of the sentence, its heading and its title, on average; ``weakest``: how well the worst-met of them are.
    ``passage_aligned``, ``passage_weakest``: the same with the whole passage, ``passage_weakest`` over all pieces of the question.
    """

    cosine: float
    passage_cosine: float
    overlap: float
    context_overlap: float
    heading_overlap: float
    rank: float
    kind: float
    aligned: float
    weakest: float
    passage_aligned: float
    passage_weakest: float

    def as_array(self) -> Vectors:
        return np.array([getattr(self, field.name) for field in fields(self)], dtype=np.float32)


FEATURE_NAMES = tuple(field.name for field in fields(Features))


def overlap(asked: Iterable[str], held: Iterable[str], rarity: Rarity) -> float:
    """The share of the asked terms' rarity that is held, 0 to 1; 0 where nothing telling is asked."""
    terms = set(asked)
    total = sum(rarity(term) for term in terms)
    return sum(rarity(term) for term in terms & set(held)) / total if total else 0.0


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sentence of a passage that might answer, with its features, its vector and its score."""

    passage: Passage
    sentence: Sentence
    position: int
    features: Features
    vector: Vectors
    score: float


def rate_sentences(
    question: str,
    question_vector: Vectors,
    question_tokens: Tokens,
    passages: Sequence[Passage],
    vectors: Sequence[Vectors],
    passage_vectors: Sequence[Vectors],
    tokens: Sequence[tuple[Sequence[TokenVectors], TokenVectors]],
    rarity: Rarity,
    weights: Vectors,
    bias: float,
) -> list[Candidate]:
    """Every sentence of the passages with its score, best first.

    Args:
        vectors: for each passage the vectors of its sentences.
        passage_vectors: the vector of each passage.
        tokens: for each passage the word pieces of its sentences, and those of its title and heading.
        weights: one for each of ``FEATURE_NAMES``; the score is the logistic function of the weighted sum.
    """
    asked = terms_of(question)
    kinds = asked_kinds(question)
    candidates: list[Candidate] = []
    said = telling(question_tokens)
    for rank, (passage, rows, whole, (pieces, label)) in enumerate(zip(passages, vectors, passage_vectors, tokens, strict=True), start=1):
        heading = terms_of(passage.chunk.heading)
        context = heading + terms_of(passage.chunk.title)
        heading_overlap = overlap(asked, heading, rarity)
        passage_cosine = float(whole @ question_vector)
        met_by_label = align(question_tokens.vectors, [label])
        met = [np.maximum(align(question_tokens.vectors, [one]), met_by_label) for one in pieces]
        met_by_passage = np.max(np.stack(met), axis=0)
        passage_aligned, passage_weakest = float(met_by_passage[said].mean()), weakest(met_by_passage)
        for position, (sentence, vector) in enumerate(zip(passage.chunk.sentences, rows, strict=True)):
            terms = terms_of(sentence.text)
            features = Features(
                cosine=float(vector @ question_vector),
                passage_cosine=passage_cosine,
                overlap=overlap(asked, terms, rarity),
                context_overlap=overlap(asked, terms + context, rarity),
                heading_overlap=heading_overlap,
                rank=1.0 / rank,
                kind=0.5 if not kinds else float(any(holds_kind(sentence.text, kind) for kind in kinds)),
                aligned=float(met[position][said].mean()),
                weakest=weakest(met[position][said]),
                passage_aligned=passage_aligned,
                passage_weakest=passage_weakest,
            )
            score = float(1.0 / (1.0 + np.exp(-(features.as_array() @ weights + bias))))
            candidates.append(Candidate(passage, sentence, position, features, vector, score))
    return sorted(candidates, key=lambda candidate: -candidate.score)
