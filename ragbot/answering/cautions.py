"""Which sentences a curator's caution covers, and the words of the other article that belong beside them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ragbot.answering.relevance import overlap
from ragbot.generation import Generation
from ragbot.models import Vectors
from ragbot.records import Caution, Chunk, Evidence, Passage, Sentence
from ragbot.terms import Rarity, terms_of

# A claim in other words than the article's covers the sentence that holds most of it, if that is at least this share.
CLAIM_OVERLAP = 0.5


@dataclass(frozen=True, slots=True)
class CoveredSentence:
    """A sentence that a caution covers, and the other article's words."""

    caution: Caution
    contrast: Evidence


def covered_sentences(generation: Generation, rarity: Rarity) -> dict[tuple[str, int], CoveredSentence]:
    """The covered sentences by article id and start. A caution whose claim or other article is not found is left out;
    ``ragbot sources check`` tells of it."""
    chunks: dict[str, list[Chunk]] = {}
    for chunk in generation.chunks:
        chunks.setdefault(chunk.source_id, []).append(chunk)
    covered: dict[tuple[str, int], CoveredSentence] = {}
    for document in generation.documents.values():
        for caution in document.source.cautions:
            others = [chunk for chunk in chunks.get(caution.see, ()) if chunk.source_id != document.source.id]
            for chunk, sentence, position in claimed_sentences(caution, chunks.get(document.source.id, []), rarity):
                vector = generation.vectors_of(chunk)[position]
                contrast = _contrast(caution, vector, others, generation, rarity)
                if contrast is not None:
                    covered[document.source.id, sentence.span.start] = CoveredSentence(caution, contrast)
    return covered


def claimed_sentences(caution: Caution, chunks: list[Chunk], rarity: Rarity) -> Iterator[tuple[Chunk, Sentence, int]]:
    """The sentences of an article that hold a caution's claim: word for word, else the one that shares most of its words."""
    claim = " ".join(caution.claim.split()).casefold().rstrip(".")
    places = [(chunk, sentence, position) for chunk in chunks for position, sentence in enumerate(chunk.sentences)]
    exact = [place for place in places if claim in place[1].text.casefold()]
    if exact or not places:
        yield from exact
        return
    asked = terms_of(caution.claim)
    best = max(places, key=lambda place: overlap(asked, terms_of(place[1].text), rarity))
    if overlap(asked, terms_of(best[1].text), rarity) >= CLAIM_OVERLAP:
        yield best


def _contrast(caution: Caution, claim: Vectors, chunks: list[Chunk], generation: Generation, rarity: Rarity) -> Evidence | None:
    """The sentence of the other article that speaks of the same as the claim and of the reason given."""
    asked = terms_of(f"{caution.claim} {caution.why}")
    best: tuple[float, Evidence] | None = None
    for chunk in chunks:
        cosines = generation.vectors_of(chunk) @ claim
        for sentence, cosine in zip(chunk.sentences, np.asarray(cosines).tolist(), strict=True):
            score = cosine + overlap(asked, terms_of(sentence.text), rarity)
            if best is None or score > best[0]:
                source = generation.documents[chunk.source_id].source
                best = (score, Evidence(Passage(chunk, source, score, ("caution",)), sentence.span))
    return best[1] if best else None
