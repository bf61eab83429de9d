"""What somebody planted in a draft: words to the bot or the staff, false help, dangerous advice, hidden text. Each with its place.

A classifier on sentence embeddings (logistic regression on all-MiniLM-L6-v2) was tried beside the rules and left out: at a threshold where
it found 19 of 35 planted sentences, it found something in 25 of 37 sound articles, and embedding a long article took over a minute.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

from markdown_it import MarkdownIt

from ragbot.curating.findings import Finding, Kind
from ragbot.guardrails import OutputRail
from ragbot.guardrails.normalising import ACTING
from ragbot.guardrails.policies import OutputRule
from ragbot.records import PAGE_PATTERN, Chunk, Document, Sentence, Span
from ragbot.terms import terms_of

_KINDS: dict[str, Kind] = {
    "planted-instruction": "instruction", "leaked-instructions": "instruction", "link": "link", "advertising": "suspect", "request": "suspect",
}  # fmt: skip
MEND = "Put it in other words or leave it out."
# A question or an order that shares fewer of its telling words than this with the rest of the article does not belong to it.
LEAST_SHARED = 0.4
LEAST_TERMS = 2
MOST_HIDDEN = 20
# Only questions that speak to nobody: those to the reader ("Are you sleeping?") are at home in an article.
_ASKS = re.compile(r"^\W*(?:what|whats|who|whose|which|how|where|when|why|if)\b(?!.*\b(?:you|your|i|my|we|our|they)\b)", re.IGNORECASE)
_ORDERS = re.compile(
    r"^\W*(?:please |kindly |now |also |then )*(?:explain|describe|recommend|suggest|name|define|compare|discuss|list|provide|identify|solve)\b", re.IGNORECASE
)
_CODED = re.compile(r"(?<![\w/+=])[A-Za-z0-9+/]{40,}={0,2}(?![\w/+=])")
_NOTE = re.compile(r"^ {0,3}\[[^\]\n]+\]:[ \t]*(?:<>|#)[ \t]*[\"'(].*$|^ {0,3}\[[^\]\n]+\]:[ \t]*\S+[ \t]+[\"'(].{40,}$", re.MULTILINE)
_ENTITIES = re.compile(r"(?:&#x?[0-9a-fA-F]+;[ ]?){4,}")
_MIXED = re.compile(r"\b(?=\w{0,60}[A-Za-z])(?=\w{0,60}[\u0370-\u03ff\u0400-\u04ff]{1})[A-Za-z\u0370-\u03ff\u0400-\u04ff]{4,}\b")
# From a word's beginning and within so many letters: otherwise a text without spaces takes time by the square of its length.
_SOFT = re.compile(r"\b(?:\w{1,40}\u00ad){2,40}\w{1,40}")
_ODD_BLANK = re.compile(r"[^\S\n]{60,}(?=\S)")
_MARKDOWN = MarkdownIt("commonmark").enable("table")


# The kinds of finding that an honest article does not have once it is mended.
GRAVE: tuple[Kind, ...] = ("hidden", "instruction", "danger", "contact", "link", "suspect")


def planted(document: Document, chunks: Sequence[Chunk], rail: OutputRail) -> Iterator[Finding]:
    """Everything of this kind that was found, in the order of the text."""
    yield from _beside(document, chunks, rail)
    yield from hidden(document)
    sentences = [sentence for chunk in chunks for sentence in chunk.sentences]
    yield from _in_sentences(document, sentences, rail)
    yield from _out_of_place(document, chunks)


def _beside(document: Document, chunks: Sequence[Chunk], rail: OutputRail) -> Iterator[Finding]:
    """Titles, headings and fields of the card, which are shown beside quotes."""
    source = document.source
    card = (source.title, source.summary, source.publisher, *source.authors, *source.topics, *(reference.title for reference in source.references))
    for words in dict.fromkeys((*card, *(caution.why for caution in source.cautions), *(chunk.heading for chunk in chunks))):
        if rail.objection(words, "answered") or rail.stranger(words, source if words == source.summary else None):
            message = (
                "A title, a heading or a field holds an address, a number or words that no answer may hold; nothing below it is quoted. Put it in other words."
            )
            yield Finding("instruction", message, words)
    if source.contacts:
        named = ", ".join(source.contacts)
        yield Finding("card", f"Answers may show these numbers and addresses of the card ({named}); call or open each before you publish.")


def hidden(document: Document) -> Iterator[Finding]:
    """What stands in the text and no reader sees: raw HTML, comments, characters that act on others, coded words, words pushed aside."""
    text = document.text
    if acting := ACTING.search(text):
        name = f"U+{ord(acting.group()):04X}"
        near = " ".join(ACTING.sub("", text[max(0, acting.start() - 30) : acting.end() + 30]).split())
        message = f"An invisible character ({name}) stands in the text; sentences that hold one are not quoted. Type the words anew."
        yield Finding("hidden", message, near, Span(*acting.span()))
    end = 0
    for raw in islice((raw for raw in _raw_html(text) if not PAGE_PATTERN.fullmatch(raw.strip())), MOST_HIDDEN):
        at = text.find(raw, end)
        end = max(end, at + len(raw))
        span = Span(at, at + len(raw)) if at >= 0 else None
        message = "Raw HTML or a comment stands in the text; readers do not see it as such. Take it out, or write its words as plain text."
        yield Finding("hidden", message, raw, span)
    for pattern, message in (
        (_CODED, "A long run of letters and digits stands in the text, as coded words look. Take it out."),
        (_ODD_BLANK, "A long blank pushes words out of sight. Take it out."),
        (_NOTE, "A line in the form of a link's definition holds words that no reader sees. Take it out."),
        (_ENTITIES, "Words are written as character codes. Write them as plain text, or take them out."),
        (_MIXED, "A word mixes letters of two scripts that look alike. Type it anew."),
        (_SOFT, "A word is broken by soft hyphens that do not show. Type it anew."),
    ):
        if found := pattern.search(text):
            yield Finding("hidden", message, found.group().strip()[:80], Span(*found.span()))


def _raw_html(text: str) -> Iterator[str]:
    if "<" not in text:
        return
    for token in _MARKDOWN.parse(text):
        if token.type == "html_block":
            yield token.content
        for child in token.children or ():
            if child.type == "html_inline":
                yield child.content


def _in_sentences(document: Document, sentences: Iterable[Sentence], rail: OutputRail) -> Iterator[Finding]:
    source = document.source
    for sentence in sentences:
        written = sentence.span.of(document.text)
        if rule := next(filter(None, map(rail.reservation, _parts(sentence, written))), None):
            yield Finding(_KINDS.get(rule.name, "danger"), explain(rule), sentence.text, sentence.span)
        elif contact := rail.strange_contact(written, source):
            yield Finding(
                "contact",
                f"{contact!r} is neither a helpline of the policy nor a contact of the card; the sentence is not quoted. "
                "Check it, and name it in the card's contacts or take it out.",
                sentence.text,
                sentence.span,
            )
        elif address := rail.strange_link(written, source):
            yield Finding(
                "link",
                f"The address {address!r} does not stand in the card; the sentence is not quoted. Name it among the references or contacts, or take it out.",
                sentence.text,
                sentence.span,
            )


def _parts(sentence: Sentence, written: str) -> tuple[str, ...]:
    """A sentence, and its lines by themselves: what was added in a line of its own is no sentence where no full stop stands before it."""
    lines = [line.strip() for line in written.split("\n") if line.strip()]
    return (sentence.text, *lines) if len(lines) > 1 else (sentence.text,)


def explain(rule: OutputRule) -> str:
    """What a rule says to a curator."""
    return f"{rule.about} {rule.mend or MEND} (rule {rule.name!r})"


def _out_of_place(document: Document, chunks: Sequence[Chunk]) -> Iterator[Finding]:
    """Questions and orders in running text that have nothing to do with the rest of it."""
    said: list[tuple[Sentence, set[str]]] = [(sentence, set(terms_of(sentence.text))) for chunk in chunks for sentence in chunk.sentences]
    counts: dict[str, int] = {}
    for _, terms in said:
        for term in terms:
            counts[term] = counts.get(term, 0) + 1
    headings = set(terms_of(" ".join((document.source.title, document.source.summary, *(chunk.heading for chunk in chunks)))))
    for sentence, _ in said:
        if any(_is_foreign(part, headings, counts) for part in _parts(sentence, sentence.span.of(document.text))):
            yield Finding(
                "suspect",
                "This asks for something that the rest of the text does not speak of; a bot that reads it could obey. "
                "Take it out, or say as a statement what a reader should know.",
                sentence.text,
                sentence.span,
            )


def _is_foreign(words: str, headings: set[str], counts: Mapping[str, int]) -> bool:
    """Whether words ask or order something that the headings do not name and no other sentence speaks of."""
    terms = set(terms_of(words))
    if len(terms) < LEAST_TERMS or not (_ORDERS.match(words) or (words.rstrip().endswith("?") and _ASKS.match(words))):
        return False
    return sum(term in headings or counts.get(term, 0) > 1 for term in terms) / len(terms) < LEAST_SHARED
