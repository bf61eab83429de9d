"""What a curator should look at before a draft is published. Findings inform; only an incomplete card keeps a draft from being published."""

from __future__ import annotations

import functools
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ragbot import chunking
from ragbot.curating.desk import Draft
from ragbot.curating.findings import Finding
from ragbot.curating.planting import planted
from ragbot.curating.versions import Origin
from ragbot.generation import Generation
from ragbot.guardrails import OutputRail
from ragbot.library import article_problems
from ragbot.models import Embedder
from ragbot.records import Chunk, Document, Sentence
from ragbot.terms import terms_of
from ragbot.verifying import figures

# Words in a row that two texts share by chance only seldom; half of them shared is the usual sign of a near-duplicate (Broder 1997).
SHINGLE_WORDS = 5
DUPLICATE_SHARE = 0.5
# Sentences this near to each other (cosine) are mostly about the same thing, so differing figures deserve a look.
SAME_MATTER = 0.72
MOST_CONTRADICTIONS = 10
# A page of a staff member's time: embedding a sentence takes some 20 ms.
MOST_COMPARED = 40
MOST_PROOFED = 250_000
# Health texts for the public aim at US grade 8 or lower (AHRQ Health Literacy Universal Precautions Toolkit); above 12 it is college text.
PLAIN_GRADE, HARD_GRADE = 8.0, 12.0
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")


def proof(
    draft: Draft, origin: Origin | None, rail: OutputRail, others: Iterable[Document], generation: Generation | None, embedder: Embedder | None
) -> list[Finding]:
    """Everything that was found, the gravest first.

    Args:
        others: the articles and drafts that it may repeat; one of the same id is its own earlier version.
        generation, embedder: the index and model for comparing figures; without them figures are not compared.
    """
    # An unfinished card must not hide what is wrong with the text.
    document = replace(draft.document, text=draft.document.text[:MOST_PROOFED] or " ")
    chunks = chunking.split_document(document)
    found: list[Finding] = []
    if draft.problem is not None:
        missing = still_missing(draft)
        found += [Finding("incomplete", f"The {words} is not filled in.") for words in missing]
        if not missing:
            found.append(Finding("incomplete", f"{draft.problem.message} {draft.problem.hint}".strip()))
    found += [Finding("hidden" if "idden" in warning or "nvisible" in warning else "reading", warning) for warning in (origin.warnings if origin else ())]
    found += list(planted(document, chunks, rail))
    found += list(_duplicates(document, others))
    if generation is not None and embedder is not None:
        found += list(_contradictions(document, chunks, generation, embedder))
    found += _card(document)
    if draft.problem is None and len(draft.document.text) <= MOST_PROOFED:
        found += [Finding("reference", f"{message} {hint}".strip()) for message, hint in article_problems(document)]
    if len(draft.document.text) > MOST_PROOFED:
        found.append(Finding("reading", f"The text is so long that only its first {MOST_PROOFED:,} characters were looked at. Split it."))
    grade = reading_grade(chunks)
    if grade is not None and grade > PLAIN_GRADE:
        hard = "hard to read for most people" if grade > HARD_GRADE else "harder than health information for the public should be"
        found.append(Finding("reading", f"The text reads at US school grade {grade:.0f}, which is {hard} (aim at {PLAIN_GRADE:.0f} or lower)."))
    return found


def still_missing(draft: Draft) -> list[str]:
    """What an article must have and this draft has not: of title, summary, publisher, address and text."""
    source = draft.document.source
    required = (("title", source.title), ("summary", source.summary), ("publisher", source.publisher), ("address", source.url))
    return [words for words, value in (*required, ("text", draft.document.text.strip())) if not value]


def reading_grade(chunks: Sequence[Chunk]) -> float | None:
    """The Flesch–Kincaid grade of the sentences (Kincaid et al. 1975): 0.39 × words per sentence + 11.8 × syllables per word − 15.59.

    None where there are fewer than 30 words, which say nothing. Syllables are counted by hyphenation, which misses some.
    """
    sentences = [sentence.text for chunk in chunks for sentence in chunk.sentences]
    words = [word for sentence in sentences for word in _WORD.findall(sentence)]
    if len(words) < 30:
        return None
    syllables = sum(len(_hyphenation().positions(word.lower())) + 1 for word in words)
    return round(0.39 * len(words) / len(sentences) + 11.8 * syllables / len(words) - 15.59, 1)


@functools.cache
def _hyphenation() -> Any:
    import pyphen

    return pyphen.Pyphen(lang="en_US")


def _duplicates(document: Document, others: Iterable[Document]) -> Iterable[Finding]:
    mine = _shingles(document.text)
    if not mine:
        return
    for other in others:
        if other.source.id == document.source.id:
            continue
        shared = len(mine & _shingles(other.text)) / len(mine)
        if shared >= DUPLICATE_SHARE:
            yield Finding(
                "duplicate", f"Near-duplicate of {other.source.title!r} ({other.source.id}): {shared:.0%} of its runs of {SHINGLE_WORDS} words stand there too."
            )


def _contradictions(document: Document, chunks: Sequence[Chunk], generation: Generation, embedder: Embedder) -> Iterable[Finding]:
    """Sentences whose figures differ, in the same unit, from those of a published sentence about the same matter."""
    theirs = [(chunk, sentence) for chunk in generation.chunks for sentence in chunk.sentences]
    own = _likely(_sentences(chunks), [sentence for chunk, sentence in theirs if chunk.source_id != document.source.id])
    if not own:
        return
    likeness = embedder.encode([sentence.text for sentence in own]) @ generation.sentence_vectors.T
    found: list[tuple[float, Finding]] = []
    for row, sentence in enumerate(own):
        said = _measured(sentence.text)
        for place in np.argsort(-likeness[row])[:5]:
            chunk, other = theirs[int(place)]
            if likeness[row, place] < SAME_MATTER:
                break
            held = _measured(other.text)
            differing = [unit for unit in said if unit in held and not said[unit] & held[unit]]
            if chunk.source_id == document.source.id or not said.keys() & held.keys():
                continue
            if not differing:
                # A nearer sentence says the same, so one farther off speaks of something else.
                break
            message = f"Compare the figures ({', '.join(differing)}) with {chunk.title!r}, which may speak of another situation: “{other.text}”"
            found.append((float(likeness[row, place]), Finding("contradiction", message, sentence.text, sentence.span)))
            break
    found.sort(key=lambda pair: -pair[0])
    yield from (finding for _, finding in found[:MOST_CONTRADICTIONS])


def _likely(sentences: Sequence[Sentence], others: Sequence[Sentence]) -> list[Sentence]:
    """The sentences that share most words with another one that measures something in the same unit: those worth being embedded."""
    held: dict[tuple[str, str], list[int]] = {}
    for place, other in enumerate(others):
        for unit, term in itertools.product(_measured(other.text), set(terms_of(other.text))):
            held.setdefault((unit, term), []).append(place)
    found: list[tuple[float, int]] = []
    for row, sentence in enumerate(sentences):
        terms = set(terms_of(sentence.text))
        for unit in _measured(sentence.text):
            shared = Counter(place for term in terms for place in held.get((unit, term), ()))
            if shared:
                found.append((shared.most_common(1)[0][1] / len(terms), row))
    rows = list(dict.fromkeys(row for _, row in sorted(found, reverse=True)))[:MOST_COMPARED]
    return [sentences[row] for row in sorted(rows)]


def _measured(text: str) -> dict[str, set[str]]:
    """The values of a sentence's figures by unit; bare numbers, which may be years or counts of anything, are left out."""
    values: dict[str, set[str]] = {}
    for value, unit in figures(text):
        if unit:
            values.setdefault(unit, set()).add(value)
    return values


def _card(document: Document) -> list[Finding]:
    source = document.source
    missing = [
        ("no date of publication", source.published is None),
        ("no licence, so it cannot be told whether its words may be shown", not source.license),
        ("no date by which it has to be reviewed again", source.review.due is None),
        ("no references", not source.references),
    ]
    return [Finding("card", f"There {'are' if words.endswith('references') else 'is'} {words}.") for words, holds in missing if holds]


def _sentences(chunks: Sequence[Chunk]) -> list[Sentence]:
    return [sentence for chunk in chunks for sentence in chunk.sentences]


def _shingles(text: str) -> set[tuple[str, ...]]:
    words = [word.casefold() for word in _WORD.findall(text)]
    return {tuple(words[place : place + SHINGLE_WORDS]) for place in range(len(words) - SHINGLE_WORDS + 1)}
