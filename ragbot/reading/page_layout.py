"""Lines of printed pages → paragraphs and headings of Markdown, with a marker where each page begins."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from ragbot.reading.extracts import PAGE_MARKER, break_comment_marks

# A gap this many times the usual one parts paragraphs; letters this many times the usual size make a heading.
PARAGRAPH_GAP, HEADING_SIZE = 1.35, 1.12
MOST_HEADING_CHARACTERS = 140
EDGE_LINES = 3
_PAGE_NUMBER = re.compile(r"(?:page\s*)?[-–]?\s*(?:\d{1,4}|[ivxlc]{1,6})\s*[-–]?(?:\s*(?:of|/|\|)\s*\d{1,4})?", re.IGNORECASE)
_BULLET = re.compile(r"^(?:[•●▪■◦‣∙·\uf0b7\uf0a7]|[-–—*](?=\s))\s*")
_NUMBERED = re.compile(r"^(?:\(?\d{1,2}[.)]|\(?[a-z]\))\s+\S")
_NUMBERED_HEADING = re.compile(r"^\d{1,2}(?:\.\d{1,2})*\.?\s+[A-Z]")
_ENDS = re.compile(r"[.!?:;…][\"'”’)\]]*$")


@dataclass(frozen=True, slots=True)
class Line:
    """A printed line: its words, where it begins (points from the lower left corner), the size of its letters in points, and whether they are bold."""

    text: str
    left: float
    height: float
    size: float
    bold: bool = False


def to_markdown(pages: Sequence[Sequence[Line]], title: str) -> str:
    """The pages' text. Running headers and footers and a repeated title are left out; a paragraph that runs over a page is not cut."""
    pages = _without_edges(pages)
    body = _body_size(pages)
    compounds = {word.lower() for page in pages for line in page for word in re.findall(r"\b[\w]+-[\w]+\b", line.text)}
    parts: list[str] = []
    open_paragraph = ""
    seen_title = False
    for number, lines in enumerate(pages, start=1):
        marked = False
        for kind, printed in _blocks(lines, body, compounds):
            # What is printed may look like a marker; only those that are set here are ones.
            words = break_comment_marks(printed)
            if kind == "heading" and not seen_title and _same(words, title):
                seen_title = True
                continue
            if open_paragraph and not marked and kind == "text" and words[:1].islower():
                open_paragraph = _joined(open_paragraph, words, compounds)
                continue
            if open_paragraph:
                parts.append(open_paragraph)
                open_paragraph = ""
            if not marked:
                parts.append(PAGE_MARKER.format(number=number))
                marked = True
            if kind == "text":
                open_paragraph = words
            else:
                parts.append(f"## {words}" if kind == "heading" else words)
        if _ENDS.search(open_paragraph):
            parts.append(open_paragraph)
            open_paragraph = ""
    if open_paragraph:
        parts.append(open_paragraph)
    return "\n\n".join(parts)


def largest_words(lines: Sequence[Line]) -> str:
    """The words in the largest letters of a page, where they stand out from the rest: mostly its title."""
    sizes = Counter({size: sum(len(line.text) for line in lines if round(line.size) == size) for size in {round(line.size) for line in lines}})
    if len(sizes) < 2:
        return ""
    largest = max(sizes)
    if largest < HEADING_SIZE * sizes.most_common(1)[0][0]:
        return ""
    words = " ".join(line.text for line in lines if round(line.size) == largest)
    return words if 3 <= len(words) <= 250 else ""


def _blocks(lines: Sequence[Line], body: float, compounds: set[str]) -> Iterator[tuple[str, str]]:
    """The blocks of a page: ("heading" | "item" | "text", words)."""
    gaps = Counter(round(one.height - other.height, 0) for one, other in pairwise(lines) if 0 < one.height - other.height < 4 * body)
    usual = gaps.most_common(1)[0][0] if gaps else body * 1.2
    kind, words, last = "", "", None
    for line in lines:
        heading = _is_heading(line, body)
        bullet = _BULLET.match(line.text)
        begins = last is None or bool(bullet) or bool(_NUMBERED.match(line.text) and _ENDS.search(words)) or _parts(last, line, usual, words)
        if heading:
            begins = last is None or kind != "heading" or abs(last.size - line.size) > 0.5 or last.height - line.height > 2.2 * line.size
        elif kind == "heading":
            begins = True
        if begins and words:
            yield kind, words
            words = ""
        if begins:
            kind = "heading" if heading else "item" if bullet else "text"
        text = line.text
        if bullet and begins:
            text = f"- {text[bullet.end() :]}"
        words = _joined(words, text, compounds) if words else text
        last = line
    if words:
        yield kind, words


def _parts(last: Line, line: Line, usual: float, words: str) -> bool:
    """Whether a new paragraph begins with this line."""
    gap = last.height - line.height
    if gap < -line.size:
        # A new column: a sentence may run on.
        return bool(_ENDS.search(words))
    if gap > PARAGRAPH_GAP * usual or abs(last.size - line.size) > 0.12 * last.size:
        return bool(_ENDS.search(words)) or gap > 2 * usual or not line.text[:1].islower()
    return line.left - last.left > line.size * 0.8 and bool(_ENDS.search(words)) and gap > 0


def _is_heading(line: Line, body: float) -> bool:
    if len(line.text) > MOST_HEADING_CHARACTERS or not any(letter.isalpha() for letter in line.text) or _BULLET.match(line.text):
        return False
    if line.size >= HEADING_SIZE * body:
        return True
    short = len(line.text) <= 80 and not line.text.endswith((".", ",", ";", ":")) and line.text[:1].isupper()
    return line.bold and line.size >= 0.95 * body and (short or bool(_NUMBERED_HEADING.match(line.text)))


def _body_size(pages: Sequence[Sequence[Line]]) -> float:
    sizes: Counter[float] = Counter()
    for page in pages:
        for line in page:
            sizes[round(line.size * 2) / 2] += len(line.text)
    return sizes.most_common(1)[0][0] if sizes else 10.0


def _joined(words: str, more: str, compounds: set[str]) -> str:
    """Two lines as one. A hyphen at the end goes where it only parted a word, and stays where the word is written with it elsewhere."""
    parted = re.search(r"(\w+)[-\u2010\u00ad]$", words)
    following = re.match(r"[a-zà-ÿ]+", more)
    if parted and following:
        whole = f"{parted.group(1)}-{following.group()}".lower()
        return words + more if whole in compounds else words[:-1] + more
    if words.endswith(("-", "–", "/")) and not words.endswith((" -", " –")):
        return words + more
    return f"{words} {more}"


def _without_edges(pages: Sequence[Sequence[Line]]) -> list[list[Line]]:
    """The pages without page numbers, and without the lines that stand at the top or bottom of half of them, but for their numbers."""
    edges = [_edges(page) for page in pages]
    seen = Counter(key for page, places in zip(pages, edges, strict=True) for key in {_shape(page[place].text) for place in places})
    often = max(3, len(pages) // 2) if len(pages) > 2 else 2
    kept: list[list[Line]] = []
    for page, places in zip(pages, edges, strict=True):
        dropped = {place for place in places if seen[_shape(page[place].text)] >= often or _PAGE_NUMBER.fullmatch(page[place].text.strip())}
        kept.append([replace(line, text=" ".join(line.text.split())) for place, line in enumerate(page) if place not in dropped])
    return kept


def _edges(page: Sequence[Line]) -> set[int]:
    order = sorted(range(len(page)), key=lambda place: -page[place].height)
    return {*order[:EDGE_LINES], *order[-EDGE_LINES:]}


def _shape(text: str) -> str:
    return re.sub(r"\d+", "#", " ".join(text.split())).casefold()


def _same(words: str, title: str) -> bool:
    return bool(title) and " ".join(words.split()).casefold() == " ".join(title.split()).casefold()
