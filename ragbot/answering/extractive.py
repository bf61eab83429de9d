"""Passages → a draft of whole sentences, quoted as they stand. It selects; it never writes a fact."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ragbot.answering.calibration import Calibration, load_calibration
from ragbot.answering.cautions import covered_sentences
from ragbot.answering.relevance import Candidate, rate_sentences
from ragbot.generation import Generation
from ragbot.models import Embedder
from ragbot.records import Draft, DraftStatement, Evidence, Passage, Span
from ragbot.terms import Rarity, terms_of, words_by_term, words_of

MODEL = "extractive"
MOST_STATEMENTS = 5
# A further sentence has to be worth the reader's time beside the first. On 382 questions, share of what is wanted and statements:
# at 0.55 .889 in 2.3, at 0.3 .912 in 3.2, at 0.2 .920 in 3.8, at 0.1 .924 in 4.5 …
SHARE_OF_BEST = 0.2
# … the second less so, because one sentence alone seldom gives enough to go on.
SHARE_OF_SECOND = 0.1
# Two sentences this close say the same thing.
SAME_COSINE = 0.88
SAME_WORDS = 0.75
# Sentences that a leaning one may bring along.
MOST_ANTECEDENTS = 2
# The gate looks at this many sentences.
BEST_SENTENCES = 5
# A word of plain English that the library does not know says less than a name that it does not know.
EVERYDAY_WEIGHT = 0.5
# A sentence that opens so leans on the one before it.
_LEANING = frozenset(
    "it its they their them this that these those he she his her such both neither also however but instead so then thus therefore "
    "otherwise besides similarly likewise nevertheless yet still".split()
)


@dataclass(frozen=True, slots=True)
class Gate:
    """Whether the passages answer at all: a calibrated probability and the features it was made of."""

    probability: float
    features: dict[str, float]


class ExtractiveAnswerer:
    """Answers from one generation of the index with the sentences that fit best."""

    def __init__(self, generation: Generation, embedder: Embedder, calibration: Calibration | None = None) -> None:
        self._generation = generation
        self._embedder = embedder
        self._calibration = calibration or load_calibration()
        self.rarity = Rarity(terms_of(f"{chunk.embedded}") for chunk in generation.chunks)
        self._covered = covered_sentences(generation, self.rarity)

    def rate(self, question: str, passages: Sequence[Passage]) -> list[Candidate]:
        """Every sentence of the passages with its score for the question, best first."""
        vector = self._embedder.encode_questions([question])[0]
        return rate_sentences(
            question,
            vector,
            self._embedder.question_tokens([question])[0],
            passages,
            [self._generation.vectors_of(passage.chunk) for passage in passages],
            [self._generation.chunk_vectors[self._generation.rows[passage.chunk.id]] for passage in passages],
            [self._generation.tokens_of(passage.chunk) for passage in passages],
            self.rarity,
            self._calibration.relevance_weights,
            self._calibration.relevance_bias,
        )

    def gate(self, question: str, candidates: Sequence[Candidate]) -> Gate:
        """How likely it is that the candidates answer the question, 0 to 1."""
        features = gate_features(question, candidates, self.rarity, self._embedder.is_everyday)
        return Gate(self._calibration.gate_probability(features) if candidates else 0.0, features)

    def answers(self, gate: Gate) -> bool:
        """Whether the gate lets an answer through."""
        return gate.probability >= self._calibration.gate_threshold

    def draft(self, question: str, passages: Sequence[Passage]) -> Draft | None:
        """The sentences that answer, or None where the passages do not answer."""
        candidates = self.rate(question, passages)
        gate = self.gate(question, candidates)
        if not self.answers(gate):
            return None
        runs = without_repeats([(candidate, first_needed(candidate)) for candidate in choose(candidates)])
        return Draft(tuple(self._statement(candidate, first) for candidate, first in runs), MODEL, gate.probability)

    def _statement(self, candidate: Candidate, first: int) -> DraftStatement:
        sentences = candidate.passage.chunk.sentences[first : candidate.position + 1]
        evidence = Evidence(candidate.passage, Span(sentences[0].span.start, sentences[-1].span.end))
        source = candidate.passage.chunk.source_id
        covered = next((found for sentence in sentences if (found := self._covered.get((source, sentence.span.start))) is not None), None)
        text = " ".join(sentence.text for sentence in sentences)
        if covered is None:
            return DraftStatement(text, (evidence,))
        return DraftStatement(text, (evidence,), covered.caution, covered.contrast)


def first_needed(candidate: Candidate) -> int:
    """The position of the sentence from which a candidate can be understood: what a sentence leans on comes with it."""
    sentences, first = candidate.passage.chunk.sentences, candidate.position
    while first > 0 and leans_on_previous(sentences[first].text) and candidate.position - first < MOST_ANTECEDENTS:
        first -= 1
    return first


def without_repeats(runs: Sequence[tuple[Candidate, int]]) -> list[tuple[Candidate, int]]:
    """Runs of sentences (last one and first position) of which none repeats another: those that overlap become one, in the place of
    the first of them."""
    kept: list[tuple[Candidate, int]] = []
    for run in runs:
        candidate, first = run
        for place, (other, start) in enumerate(kept):
            if other.passage.chunk.id == candidate.passage.chunk.id and start <= candidate.position and first <= other.position:
                last = other if other.position >= candidate.position else candidate
                kept[place] = (last, min(start, first))
                break
        else:
            kept.append(run)
    return kept if len(kept) == len(runs) else without_repeats(kept)


def gate_features(question: str, candidates: Sequence[Candidate], rarity: Rarity, is_everyday: Callable[[str], bool]) -> dict[str, float]:
    """What tells whether a question is answered, each 0 to 1.

    ``overlap``, ``context_overlap``, ``passage_cosine``: the best of each over the best sentences; ``cosine``, ``aligned``,
    ``weakest``, ``passage_aligned``, ``passage_weakest``: over all of them. ``cosine3``: the mean of the three best cosines;
    ``gap``: what the best is above the middle one. ``together``: the best sum of a sentence's cosine and ``weakest``, halved.
    ``score``: the best sentence's; ``margin``: what it is above that of the tenth. ``missing``: the share of the question's weight
    that the best passages do not hold; ``hardest``: the heaviest single word among it. A word weighs by its rarity in the
    library; one that the library does not know weighs most where it is no everyday word either, as names of drugs and illnesses
    are.
    """
    best = candidates[:BEST_SENTENCES]
    held = {term for candidate in best for term in terms_of(candidate.passage.chunk.embedded)}
    weights = {
        term: rarity(term) / rarity.highest if term in rarity else (EVERYDAY_WEIGHT if is_everyday(word) else 1.0)
        for term, word in words_by_term(question).items()
    }
    missing = {term: weight for term, weight in weights.items() if term not in held}
    total = sum(weights.values())

    def highest(name: str, among: Sequence[Candidate] = candidates) -> float:
        return max((getattr(candidate.features, name) for candidate in among), default=0.0)

    cosines = sorted((candidate.features.cosine for candidate in candidates), reverse=True) or [0.0]
    return {
        "cosine": cosines[0],
        "cosine3": sum(cosines[:3]) / len(cosines[:3]),
        "gap": cosines[0] - cosines[len(cosines) // 2],
        "aligned": highest("aligned"),
        "weakest": highest("weakest"),
        "passage_aligned": highest("passage_aligned"),
        "passage_weakest": highest("passage_weakest"),
        "together": max((candidate.features.cosine + candidate.features.weakest for candidate in candidates), default=0.0) / 2,
        "overlap": highest("overlap", best),
        "context_overlap": highest("context_overlap", best),
        "passage_cosine": highest("passage_cosine", best),
        "score": best[0].score if best else 0.0,
        "margin": best[0].score - candidates[min(9, len(candidates) - 1)].score if best else 0.0,
        "missing": sum(missing.values()) / total if total else 1.0,
        "hardest": max(missing.values(), default=0.0),
    }


def leans_on_previous(sentence: str) -> bool:
    """Whether a sentence opens with a word that points back."""
    words = words_of(sentence)
    return bool(words) and words[0] in _LEANING


def choose(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The sentences to quote: the best, and what adds to it; those of one article together, each article's in its own order."""
    chosen: list[Candidate] = []
    for candidate in candidates:
        if len(chosen) == MOST_STATEMENTS:
            break
        share = SHARE_OF_SECOND if len(chosen) == 1 else SHARE_OF_BEST
        if chosen and candidate.score < share * chosen[0].score:
            break
        if candidate.sentence.text.endswith("?") or any(_same(candidate, other) for other in chosen):
            continue
        chosen.append(candidate)
    best = {candidate.passage.chunk.source_id: rank for rank, candidate in reversed(list(enumerate(chosen)))}
    first, rest = chosen[:1], chosen[1:]
    return first + sorted(rest, key=lambda candidate: (best[candidate.passage.chunk.source_id], candidate.sentence.span.start))


def _same(one: Candidate, other: Candidate) -> bool:
    if float(one.vector @ other.vector) >= SAME_COSINE:
        return True
    words, others = set(terms_of(one.sentence.text)), set(terms_of(other.sentence.text))
    return bool(words and others) and len(words & others) / min(len(words), len(others)) >= SAME_WORDS

