"""Word documents (.docx) → Extract. The only file that knows python-docx."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from datetime import date
from typing import Any

import docx
from docx.opc.constants import RELATIONSHIP_TYPE

from ragbot.errors import SourceError
from ragbot.reading.extracts import Extract, hidden_words_warning
from ragbot.reading.isolating import read_entry

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_COMPATIBILITY = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_FALLBACK = f"{_COMPATIBILITY}Fallback"
# What stands around blocks, rows and cells, and is none itself.
_WRAPPERS = {f"{_W}{name}" for name in ("sdt", "sdtContent", "customXml", "ins", "moveTo")} | {f"{_COMPATIBILITY}AlternateContent", f"{_COMPATIBILITY}Choice"}
_SHOWN = {f"{_W}tab": " ", f"{_W}br": " ", f"{_W}cr": " ", f"{_W}ptab": " ", f"{_W}noBreakHyphen": "-"}
_HEADING = re.compile(r"heading\s*([1-9])", re.IGNORECASE)
_STRICT = re.compile(rb"http://purl\.oclc\.org/ooxml/(\w+)/")
_TINY_HALF_POINTS = 4
_MOST_COLUMNS = 50


def read_word(data: bytes, name: str) -> Extract:
    """The paragraphs, lists and tables of a document as Markdown, without comments, notes and what was deleted or hidden.

    Raises:
        SourceError: it is broken or holds no text.
    """
    try:
        document = docx.Document(io.BytesIO(_without_strictness(data)))
        hidden: list[str] = []
        blocks = list(_blocks(document.element.body, _Styles(document), hidden))
        comments = sum(1 for _ in document.element.iter(f"{_W}commentReference"))
        notes = sum(1 for _ in document.element.iter(f"{_W}footnoteReference", f"{_W}endnoteReference"))
        title, authors, published, language = _metadata(document)
    except (SourceError, MemoryError):
        raise
    except Exception as error:  # python-docx raises what its parsing runs into: KeyError, zlib.error, RecursionError, lxml's errors and its own
        raise SourceError("The document is damaged, or of a kind that cannot be read.", "Save it anew as .docx.", path=name) from error
    if not any(any(letter.isalnum() for letter in block) for block in blocks):
        raise SourceError("The document holds no text.", "Pictures of text cannot be read: type it, or paste it.", path=name)
    warnings = [hidden_words_warning(words) for words in _runs_together(hidden)]
    if comments:
        warnings.append(f"{comments} comments were left out.")
    if notes:
        warnings.append(f"{notes} footnotes or endnotes were left out.")
    if published is not None:
        warnings.append("The date is that of the file's making; check it.")
    heading = next((block.lstrip("# ") for block in blocks if block.startswith("#")), "")
    return Extract("\n\n".join(blocks), title or heading, authors, published, language=language, warnings=tuple(warnings))


def _without_strictness(data: bytes) -> bytes:
    """A document saved as "Strict Open XML" with the usual names of namespaces, which are the only ones that python-docx knows."""
    with zipfile.ZipFile(io.BytesIO(data)) as container:
        if not _STRICT.search(read_entry(container, "_rels/.rels")):
            return data
        usual = io.BytesIO()
        with zipfile.ZipFile(usual, "w") as copy:
            for name in container.namelist():
                if name.endswith((".xml", ".rels")):
                    copy.writestr(name, _STRICT.sub(rb"http://schemas.openxmlformats.org/\1/2006/", read_entry(container, name)))
                else:
                    copy.writestr(name, read_entry(container, name))
    return usual.getvalue()


def _metadata(document: Any) -> tuple[str, tuple[str, ...], date | None, str]:
    package = document.part.package
    # Where a document says nothing of itself, python-docx makes up a title and a day.
    if not any(relation.reltype == RELATIONSHIP_TYPE.CORE_PROPERTIES for relation in package.rels.values()):
        return "", (), None, ""
    said = package.core_properties
    made = said.created
    authors = tuple(one.strip() for one in re.split(r"[;,]", said.author or "") if one.strip())
    return " ".join((said.title or "").split()), authors, date(made.year, made.month, made.day) if made is not None else None, said.language or ""


class _Styles:
    """The styles of a document by their identity, looked up once: python-docx goes through all of them at each question."""

    def __init__(self, document: Any) -> None:
        self._styles = {style.get(f"{_W}styleId"): style for style in document.styles.element.iterchildren(f"{_W}style")}
        self._chains: dict[str, list[Any]] = {}

    def chain(self, identity: str) -> list[Any]:
        """A style and those that it is based on, the nearest first."""
        if identity not in self._chains:
            found: list[Any] = []
            style = self._styles.get(identity)
            while style is not None and style not in found:
                found.append(style)
                style = self._styles.get(_value(style.find(f"{_W}basedOn")))
            self._chains[identity] = found
        return self._chains[identity]

    def name(self, paragraph: Any) -> str:
        """The name of a paragraph's style, or of the heading that its style is based on."""
        identity = _value(paragraph.find(f"{_W}pPr/{_W}pStyle"))
        names = [_value(style.find(f"{_W}name")) for style in self.chain(identity)] or [identity]
        return next((name for name in names if _HEADING.match(name)), names[0])

    def properties(self, run: Any) -> list[Any]:
        """The properties that a run has of itself, of its style and of its paragraph's style, the strongest first."""
        own = run.find(f"{_W}rPr")
        paragraph = next(run.iterancestors(f"{_W}p"))
        styles = [] if own is None else self.chain(_value(own.find(f"{_W}rStyle")))
        styles = [*styles, *self.chain(_value(paragraph.find(f"{_W}pPr/{_W}pStyle")))]
        found = [style.find(f"{_W}rPr") for style in styles]
        return [one for one in (own, *found) if one is not None]


def _value(element: Any) -> str:
    return "" if element is None else element.get(f"{_W}val") or ""


def _blocks(parent: Any, styles: _Styles, hidden: list[str]) -> Iterator[str]:
    """The blocks of a body or cell in order; the items of a list follow each other without an empty line."""
    items: list[str] = []
    for element in parent:
        if element.tag in _WRAPPERS:
            inner = list(_blocks(element, styles, hidden))
        elif element.tag == f"{_W}tbl":
            inner = [_table(element, styles, hidden)]
        elif element.tag == f"{_W}p":
            words = _words(element, styles, hidden)
            item = _item_level(element, styles)
            if words and item is not None:
                items.append(f"{'  ' * item}- {words}")
                continue
            inner = [f"{_marks(element, styles)}{words}"] if words else []
        else:
            continue
        inner = [block for block in inner if block.strip()]
        if items and inner:
            yield "\n".join(items)
            items = []
        yield from inner
    if items:
        yield "\n".join(items)


def _words(paragraph: Any, styles: _Styles, hidden: list[str]) -> str:
    """The words of a paragraph that a reader sees: inserted text is in, deleted text and field codes are out."""
    seen: list[str] = []
    last = None
    for run in paragraph.iter(f"{_W}r"):
        above = {ancestor.tag for ancestor in run.iterancestors()}
        if above & {f"{_W}del", f"{_W}moveFrom", _FALLBACK}:
            continue
        # A text box holds paragraphs of its own within the paragraph it is fixed to.
        holder = next(run.iterancestors(f"{_W}p"))
        words = "" if holder is last else " "
        last = holder
        words += "".join((part.text or "") if part.tag == f"{_W}t" else _SHOWN.get(part.tag, "") for part in run)
        if _is_hidden(run, styles):
            hidden.append(words)
        else:
            seen.append(words)
    return " ".join("".join(seen).split())


def _is_hidden(run: Any, styles: _Styles) -> bool:
    layers = styles.properties(run)

    def said(tag: str) -> Any:
        return next((found for found in (one.find(f"{_W}{tag}") for one in layers) if found is not None), None)

    vanish = said("vanish")
    if vanish is not None and _value(vanish) not in ("0", "false", "off"):
        return True
    size = _value(said("sz"))
    if size.isdecimal() and int(size) <= _TINY_HALF_POINTS:
        return True
    if _value(said("color")).upper() != "FFFFFF":
        return False
    if _value(said("highlight")) not in ("", "none", "white") or _paints(said("shd")):
        return False
    around = [one.find(f"{_W}tcPr/{_W}shd") for one in run.iterancestors(f"{_W}tc")]
    for paragraph in run.iterancestors(f"{_W}p"):
        around += [one.find(f"{_W}pPr/{_W}shd") for one in (paragraph, *styles.chain(_value(paragraph.find(f"{_W}pPr/{_W}pStyle"))))]
    return not any(_paints(one) for one in around)


def _paints(shading: Any) -> bool:
    """Whether a shading is dark enough to tell of: one that is clear or white makes white letters no more visible."""
    if shading is None:
        return False
    return (shading.get(f"{_W}fill") or "auto").upper() not in ("AUTO", "FFFFFF") or _value(shading) not in ("", "clear", "nil")


def _marks(paragraph: Any, styles: _Styles) -> str:
    style = styles.name(paragraph)
    heading = _HEADING.match(style)
    if heading:
        return "#" * min(6, int(heading.group(1)) + 1) + " "
    return "# " if style.lower() == "title" else ""


def _item_level(paragraph: Any, styles: _Styles) -> int | None:
    """How deep a list item stands, from 0; None where the paragraph is none."""
    style = styles.name(paragraph).lower()
    if _HEADING.match(style):
        return None
    number = paragraph.find(f"{_W}pPr/{_W}numPr")
    if number is not None:
        identity, level = number.find(f"{_W}numId"), number.find(f"{_W}ilvl")
        if identity is None or _value(identity) != "0":
            return min(5, int(_value(level) or 0))
    if not style.startswith("list "):
        return None
    return int(style[-1]) - 1 if style[-1] in "23456" else 0


def _table(table: Any, styles: _Styles, hidden: list[str]) -> str:
    rows = []
    for row in _own(table, f"{_W}tr"):
        if row.find(f"{_W}trPr/{_W}del") is not None:
            continue
        cells: list[str] = []
        for cell in _own(row, f"{_W}tc"):
            cells.append(" ".join(" ".join(_blocks(cell, styles, hidden)).split()).replace("|", "\\|"))
            wide = _value(cell.find(f"{_W}tcPr/{_W}gridSpan"))
            cells += [""] * (min(int(wide), _MOST_COLUMNS) - 1 if wide.isdecimal() else 0)
        rows.append(cells)
    return markdown_table(rows)


def _own(parent: Any, tag: str) -> Iterator[Any]:
    """The rows of a table or the cells of a row, also within content controls, but not those of a table within a cell."""
    for element in parent:
        if element.tag == tag:
            yield element
        elif element.tag in _WRAPPERS:
            yield from _own(element, tag)


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
