"""Document → chunks and sentences, with exact character spans.

The Markdown is read by markdown-it-py and the sentences are told apart by syntok, which keeps "0.5 mg/kg", "e.g.", "et al."
and "U.S." whole. Both work on a copy of the text in which markers and reference keys are blanked out letter for letter, so
that every offset still counts in the document's own text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import syntok.segmenter
from markdown_it import MarkdownIt
from markdown_it.token import Token

from ragbot.records import PAGE_PATTERN, Chunk, Document, Sentence, Span

# Part of the index's identity: raise it when the same file gives another document or other chunks.
VERSION = 3
# About 200 tokens of English, which leaves room for title and heading under the embedding model's 256.
CHUNK_CHARACTERS = 800
SENTENCE_CHARACTERS = 700

_MARKDOWN = MarkdownIt("commonmark").enable("table")
_KEY = re.compile(r"\[([^\[\]\s]+)\](?![(:])")
_LIKE_KEY = re.compile(r"(?=.*[\d-])[a-z][a-z0-9-]+")
_TERMINAL = (".", "!", "?", ":", ";", "”", '"', ")")


@dataclass(frozen=True, slots=True)
class _Block:
    """A paragraph, list item, table row or code block: its lines, its words line by line, its heading."""

    section: int
    heading: str
    first_line: int
    contents: tuple[str, ...]
    whole: bool = False  # a table row or code is one sentence, whatever its punctuation
    item: bool = False


def split_document(document: Document) -> tuple[Chunk, ...]:
    """The chunks of a document in reading order; ``document.text[chunk.span.start:chunk.span.end] == chunk.text``.

    A block quote at the very top is the article's notice to its reader: it is shown with the article, not searched. Raw HTML
    is neither shown nor searched.
    """
    chunks: list[Chunk] = []
    gathered: list[Sentence] = []
    heading, last_section = "", 0

    def close() -> None:
        if gathered:
            span = Span(gathered[0].span.start, gathered[-1].span.end)
            identity = f"{document.source.id}#{len(chunks)}"
            chunk = Chunk(identity, document.source.id, document.source.title, heading, span, span.of(document.text), tuple(gathered))
            chunks.append(chunk)
            gathered.clear()

    for section, paragraph_heading, paragraph in _paragraphs(document):
        if section != last_section:
            close()
            last_section, heading = section, paragraph_heading
        if gathered and paragraph[-1].span.end - gathered[0].span.start > CHUNK_CHARACTERS:
            close()
        for sentence in paragraph:
            if gathered and sentence.span.end - gathered[0].span.start > CHUNK_CHARACTERS:
                close()
            gathered.append(sentence)
    close()
    return tuple(chunks)


def _paragraphs(document: Document) -> Iterator[tuple[int, str, list[Sentence]]]:
    """The sentences of each block with its section's number and heading; fragments of a list are joined to the line that leads to them."""
    keys = {reference.key for reference in document.source.references}
    offsets = _line_offsets(document.text)
    last: tuple[int, str, list[Sentence]] | None = None
    for block in _blocks(_MARKDOWN.parse(document.text)):
        sentences = list(_sentences(document.text, block, offsets, keys))
        if not sentences:
            continue
        if last is not None and last[0] == block.section and block.item and _is_fragment(sentences) and _leads(last[2][-1], sentences[0]):
            lead, fragment = last[2][-1], sentences[0]
            joint = " " if lead.text.endswith(":") else "; "
            last[2][-1] = Sentence(
                Span(lead.span.start, fragment.span.end), lead.text + joint + fragment.text, lead.references + fragment.references
            )
            continue
        if last is not None:
            yield last
        last = (block.section, block.heading, sentences)
    if last is not None:
        yield last


def _is_fragment(sentences: list[Sentence]) -> bool:
    return len(sentences) == 1 and not sentences[0].text.endswith(_TERMINAL)


def _leads(lead: Sentence, fragment: Sentence) -> bool:
    joined = ":" in lead.text and not lead.text.endswith((".", "!", "?"))
    return joined and fragment.span.end - lead.span.start <= SENTENCE_CHARACTERS


def _blocks(tokens: list[Token]) -> Iterator[_Block]:
    headings: dict[int, str] = {}
    skip_until: str | None = "blockquote_close" if tokens and tokens[0].type == "blockquote_open" else None
    items = section = 0
    in_table = False
    for index, token in enumerate(tokens):
        if skip_until is not None:
            skip_until = None if token.type == skip_until and token.level == 0 else skip_until
            continue
        if token.type in ("list_item_open", "list_item_close"):
            items += token.nesting
        elif token.type in ("table_open", "table_close"):
            in_table = token.nesting == 1
        elif token.type == "heading_open":
            section += 1
            level = int(token.tag[1:])
            headings = {key: text for key, text in headings.items() if key < level} | {level: plain_text(tokens[index + 1].content)}
        elif token.type == "html_block" and PAGE_PATTERN.fullmatch(token.content.strip()):
            # No passage runs over a page, so that each quote stands on the page that its citation names.
            section += 1
        elif token.type == "tr_open" and token.map:
            cells = [plain_text(cell.content) for cell in _row(tokens[index:]) if cell.content]
            yield _Block(section, _path(headings), token.map[0], (" | ".join(cells),), whole=True)
        elif token.type in ("fence", "code_block") and token.map:
            first = token.map[0] + (token.type == "fence")
            yield _Block(section, _path(headings), first, tuple(token.content.rstrip("\n").split("\n")), whole=True)
        elif token.type == "inline" and token.map and not in_table and tokens[index - 1].type != "heading_open":
            yield _Block(section, _path(headings), token.map[0], tuple(token.content.split("\n")), item=items > 0)


def _row(tokens: list[Token]) -> Iterator[Token]:
    for token in tokens:
        if token.type == "tr_close":
            return
        if token.type == "inline":
            yield token


def _path(headings: dict[int, str]) -> str:
    return " › ".join(headings[level] for level in sorted(headings))


def _line_offsets(text: str) -> list[int]:
    offsets = [0]
    for line in text.split("\n"):
        offsets.append(offsets[-1] + len(line) + 1)
    return offsets


def _sentences(text: str, block: _Block, offsets: list[int], keys: set[str]) -> Iterator[Sentence]:
    start = offsets[block.first_line]
    if block.whole:
        end = min(offsets[block.first_line + len(block.contents)] - 1, len(text))
        words = " ".join(line.strip() for line in block.contents if line.strip())
        if words:
            raw = text[start:end]
            span = Span(start + len(raw) - len(raw.lstrip()), start + len(raw.rstrip()))
            yield Sentence(span, words)
        return
    masked = _without_html(_only_words(text, block, offsets))
    found: list[tuple[Span, str]] = []
    for match in _KEY.finditer(masked):
        if match.group(1) in keys:
            found.append((Span(start + match.start(), start + match.end()), match.group(1)))
            masked = masked[: match.start()] + " " * (match.end() - match.start()) + masked[match.end() :]
    spans = [Span(start + span.start, start + span.end) for span in _split(masked)]
    for index, span in enumerate(spans):
        following = spans[index + 1].start if index + 1 < len(spans) else start + len(masked)
        references = tuple(dict.fromkeys(key for place, key in found if span.start <= place.start < following))
        words = plain_text(masked[span.start - start : span.end - start])
        if words and not _holds_html(span.of(text)):
            yield Sentence(span, words, references)


def _only_words(text: str, block: _Block, offsets: list[int]) -> str:
    """The block's lines with list, quote and heading markers blanked out; as long as the lines themselves."""
    lines: list[str] = []
    for number, content in enumerate(block.contents, start=block.first_line):
        line = text[offsets[number] : offsets[number + 1]]
        words = content.strip()
        at = line.find(words)
        lines.append(" " * at + words + " " * (len(line) - at - len(words)) if at >= 0 else " " * len(line))
    return "".join(lines)


def _without_html(text: str) -> str:
    """The text with everything from its first to its last inline HTML tag or comment blanked out: what stands between may be hidden."""
    places: list[tuple[int, int]] = []
    start = 0
    for token in _MARKDOWN.parseInline(text)[0].children or []:
        if token.type == "html_inline" and (at := text.find(token.content, start)) >= 0:
            start = at + len(token.content)
            places.append((at, start))
    if not places:
        return text
    first, last = places[0][0], places[-1][1]
    return text[:first] + " " * (last - first) + text[last:]


def _split(text: str) -> Iterator[Span]:
    """The spans of the sentences in a text, without the white space around them."""
    for paragraph in syntok.segmenter.analyze(text):
        for tokens in paragraph:
            start, end = tokens[0].offset, tokens[-1].offset + len(tokens[-1].value)
            words = text[start:end]
            yield from _cut(text, Span(start + len(words) - len(words.lstrip()), max(start, end - len(words) + len(words.rstrip()))))


def _cut(text: str, span: Span) -> Iterator[Span]:
    """A sentence as it is, or, where it is too long to be embedded, in pieces cut at white space."""
    while span.end - span.start > SENTENCE_CHARACTERS:
        at = text.rfind(" ", span.start + 1, span.start + SENTENCE_CHARACTERS)
        at = at if at > span.start else span.start + SENTENCE_CHARACTERS
        piece = text[span.start : at].rstrip()
        yield Span(span.start, span.start + len(piece))
        rest = text[at : span.end]
        span = replace(span, start=at + len(rest) - len(rest.lstrip()))
    if span.end > span.start:
        yield span


def reference_keys(document: Document) -> set[str]:
    """The reference keys in the text: those that the front matter holds, and what looks like one, with a digit or a hyphen."""
    known = {reference.key for reference in document.source.references}
    keys: set[str] = set()
    for token in _MARKDOWN.parse(document.text):
        if token.type == "inline":
            found = {match.group(1) for match in _KEY.finditer(token.content)}
            keys |= {key for key in found if key in known or _LIKE_KEY.fullmatch(key)}
    return keys


def split_sentences(text: str) -> list[str]:
    """The sentences of a plain text, for those who need no spans."""
    return [span.of(text) for span in _split(text)]


def plain_text(markdown: str) -> str:
    """The words of a line of Markdown without its markup; raw HTML is left out."""
    children = _MARKDOWN.parseInline(markdown)[0].children or []
    return " ".join("".join(_words(children)).split())


def _words(tokens: Iterable[Token]) -> Iterator[str]:
    for token in tokens:
        if token.type in ("text", "code_inline", "text_special"):
            yield token.content
        elif token.type in ("softbreak", "hardbreak"):
            yield " "
        elif token.type == "image":
            yield token.content


def _holds_html(markdown: str) -> bool:
    return any(token.type == "html_inline" for token in _MARKDOWN.parseInline(markdown)[0].children or [])
