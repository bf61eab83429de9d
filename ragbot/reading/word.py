"""Word documents (.docx) → Extract. The only file that knows python-docx."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from datetime import date
from typing import Any

import docx
from docx.opc.exceptions import PackageNotFoundError
from lxml import etree

from ragbot.errors import SourceError
from ragbot.reading.extracts import Extract, hidden_words_warning

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_HEADING = re.compile(r"heading\s*([1-6])", re.IGNORECASE)
_TINY_HALF_POINTS = 4


def read_word(data: bytes, name: str) -> Extract:
    """The paragraphs, lists and tables of a document as Markdown, without comments and without what was deleted or hidden.

    Raises:
        SourceError: it is broken or holds no text.
    """
    try:
        document = docx.Document(io.BytesIO(data))
        hidden: list[str] = []
        blocks = list(_blocks(document.element.body, document, hidden))
        properties = document.core_properties
        comments = sum(1 for _ in document.element.iter(f"{_W}commentReference"))
        title = " ".join((properties.title or "").split())
        authors = tuple(one.strip() for one in re.split(r"[;,]", properties.author or "") if one.strip())
        made, language = properties.created, properties.language or ""
    except (PackageNotFoundError, zipfile.BadZipFile, etree.LxmlError, KeyError, ValueError, AttributeError, TypeError, OSError, EOFError) as error:
        raise SourceError("The document is damaged, or of a kind that cannot be read.", "Save it anew as .docx.", path=name) from error
    if not any(any(letter.isalnum() for letter in block) for block in blocks):
        raise SourceError("The document holds no text.", "Pictures of text cannot be read: type it, or paste it.", path=name)
    warnings = [hidden_words_warning(words) for words in _runs_together(hidden)]
    if comments:
        warnings.append(f"{comments} comments were left out.")
    if made is not None:
        warnings.append("The date is that of the file's making; check it.")
    heading = next((block.lstrip("# ") for block in blocks if block.startswith("#")), "")
    published = date(made.year, made.month, made.day) if made is not None else None
    return Extract("\n\n".join(blocks), title or heading, authors, published, language=language, warnings=tuple(warnings))


def _blocks(parent: Any, document: Any, hidden: list[str]) -> Iterator[str]:
    """The blocks of a body or cell in order; the items of a list follow each other without an empty line."""
    items: list[str] = []
    for element in parent:
        if element.tag == f"{_W}sdt":
            content = element.find(f"{_W}sdtContent")
            inner = list(_blocks(content, document, hidden)) if content is not None else []
        elif element.tag == f"{_W}tbl":
            inner = [_table(element, document, hidden)]
        elif element.tag == f"{_W}p":
            words = _words(element, hidden)
            item = _item_level(element, document)
            if words and item is not None:
                items.append(f"{'  ' * item}- {words}")
                continue
            inner = [f"{_marks(element, document)}{words}"] if words else []
        else:
            continue
        inner = [block for block in inner if block.strip()]
        if items and inner:
            yield "\n".join(items)
            items = []
        yield from inner
    if items:
        yield "\n".join(items)


def _words(paragraph: Any, hidden: list[str]) -> str:
    """The words of a paragraph that a reader sees: inserted text is in, deleted text and field codes are out."""
    seen: list[str] = []
    for run in paragraph.iter(f"{_W}r"):
        above = {ancestor.tag for ancestor in run.iterancestors()}
        if above & {f"{_W}del", f"{_W}moveFrom", _FALLBACK}:
            continue
        words = "".join(
            (part.text or "") if part.tag == f"{_W}t" else " "
            for part in run
            if part.tag in (f"{_W}t", f"{_W}tab", f"{_W}br", f"{_W}cr")
        )  # fmt: skip
        if _is_hidden(run):
            hidden.append(words)
        else:
            seen.append(words)
    return " ".join("".join(seen).split())


def _is_hidden(run: Any) -> bool:
    properties = run.find(f"{_W}rPr")
    if properties is None:
        return False
    vanish = properties.find(f"{_W}vanish")
    if vanish is not None and vanish.get(f"{_W}val") not in ("0", "false"):
        return True
    size = properties.find(f"{_W}sz")
    if size is not None and (size.get(f"{_W}val") or "").isdigit() and int(size.get(f"{_W}val")) <= _TINY_HALF_POINTS:
        return True
    colour = properties.find(f"{_W}color")
    painted = properties.find(f"{_W}shd") is not None or properties.find(f"{_W}highlight") is not None
    in_a_painted_cell = any(ancestor.find(f"{_W}tcPr/{_W}shd") is not None for ancestor in run.iterancestors(f"{_W}tc"))
    painted = painted or in_a_painted_cell or any(ancestor.find(f"{_W}pPr/{_W}shd") is not None for ancestor in run.iterancestors(f"{_W}p"))
    return colour is not None and (colour.get(f"{_W}val") or "").upper() == "FFFFFF" and not painted


def _style(paragraph: Any, document: Any) -> str:
    found = paragraph.find(f"{_W}pPr/{_W}pStyle")
    if found is None:
        return ""
    identity = found.get(f"{_W}val") or ""
    return next((str(style.name) for style in document.styles if style.style_id == identity), identity)


def _marks(paragraph: Any, document: Any) -> str:
    style = _style(paragraph, document)
    heading = _HEADING.match(style)
    if heading:
        return "#" * min(6, int(heading.group(1)) + 1) + " "
    return "# " if style.lower() == "title" else ""


def _item_level(paragraph: Any, document: Any) -> int | None:
    """How deep a list item stands, from 0; None where the paragraph is none."""
    if _HEADING.match(_style(paragraph, document)):
        return None
    number = paragraph.find(f"{_W}pPr/{_W}numPr")
    if number is not None:
        identity, level = number.find(f"{_W}numId"), number.find(f"{_W}ilvl")
        if identity is None or identity.get(f"{_W}val") != "0":
            return min(5, int(level.get(f"{_W}val") or 0)) if level is not None else 0
    return 0 if _style(paragraph, document).lower().startswith("list ") else None


def _table(table: Any, document: Any, hidden: list[str]) -> str:
    rows = []
    for row in table.iterchildren(f"{_W}tr"):
        cells = [" ".join(" ".join(_blocks(cell, document, hidden)).split()).replace("|", "\\|") for cell in row.iter(f"{_W}tc")]
        rows.append(cells)
    return markdown_table(rows)


def markdown_table(rows: list[list[str]]) -> str:
    """A table of pipes, its first row as the head; one cell alone is a paragraph."""
    rows = [row for row in rows if any(row)]
    if not rows:
        return ""
    width = max(len(row) for row in rows)
    if width == 1 and len(rows) == 1:
        return rows[0][0]
    lines = [f"| {' | '.join([*row, *([''] * (width - len(row)))])} |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * width, *lines[1:]])


def _runs_together(hidden: list[str]) -> list[str]:
    """The hidden words as one piece: runs part words at every change of style."""
    words = " ".join("".join(hidden).split())
    return [words] if words else []
