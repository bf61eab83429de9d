"""OpenDocument texts (.odt) → Extract."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from datetime import date
from typing import Any

from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

from ragbot.errors import SourceError
from ragbot.reading.extracts import Extract, hidden_words_warning
from ragbot.reading.isolating import read_entry
from ragbot.reading.word import markdown_table

_TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_STYLE = "{urn:oasis:names:tc:opendocument:xmlns:style:1.0}"
_FO = "{urn:oasis:names:tc:opendocument:xmlns:xsl-fo-compatible:1.0}"
_OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_DC = "{http://purl.org/dc/elements/1.1/}"
_META = "{urn:oasis:names:tc:opendocument:xmlns:meta:1.0}"
_DRAW = "{urn:oasis:names:tc:opendocument:xmlns:drawing:1.0}"
_SVG = "{urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0}"
# Left out with what stands in them: comments, what was deleted, notes (they part sentences), indexes made of the text itself, scripts,
# what is said of pictures.
_LEFT_OUT = {f"{_TEXT}{name}" for name in ("tracked-changes", "note", "table-of-content", "script")}
_LEFT_OUT |= {f"{_OFFICE}annotation", f"{_OFFICE}annotation-end", f"{_SVG}title", f"{_SVG}desc"}
_GROUPS = {f"{_TEXT}section", f"{_OFFICE}text", f"{_TEXT}index-body", f"{_TEXT}numbered-paragraph", f"{_DRAW}frame", f"{_DRAW}text-box"}
# These part words that stand in frames within a paragraph, or in one item of a list.
_BLOCKS = {f"{_TEXT}p", f"{_TEXT}h", f"{_TEXT}list-item", f"{_TABLE}table-cell"}
_LENGTH = re.compile(r"(\d*\.?\d+)(pt|px|in|cm|mm|pc)")
_POINTS = {"pt": 1.0, "px": 0.75, "in": 72.0, "cm": 28.35, "mm": 2.835, "pc": 12.0}
_TINY_POINTS = 2.0


def read_opendocument(data: bytes, name: str) -> Extract:
    """The paragraphs, lists and tables of a document as Markdown, without comments, notes and hidden text.

    Raises:
        SourceError: it is encrypted, broken or holds no text.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as container:
            names = set(container.namelist())
            if "META-INF/manifest.xml" in names and b"encryption-data" in read_entry(container, "META-INF/manifest.xml"):
                raise SourceError("The document is protected by a password.", "Save it without a password.", path=name)
            content = ElementTree.fromstring(read_entry(container, "content.xml"))
            named = ElementTree.fromstring(read_entry(container, "styles.xml")) if "styles.xml" in names else None
            about = ElementTree.fromstring(read_entry(container, "meta.xml")) if "meta.xml" in names else None
        body = content.find(f"{_OFFICE}body/{_OFFICE}text")
        if body is None:
            raise SourceError("This is no text document.", "Save it as .odt from a word processor.", path=name)
        reading = _Reading(_hidden_styles(content, named))
        blocks = [block for block in reading.blocks(body) if block.strip()]
    except RecursionError as error:
        raise SourceError("The document is nested too deeply.", "Save it anew as .odt, or paste its text.", path=name) from error
    except (zipfile.BadZipFile, ElementTree.ParseError, DefusedXmlException, LookupError, ValueError, NotImplementedError, OSError) as error:
        raise SourceError("The document is damaged, or of a kind that cannot be read.", "Save it anew as .odt.", path=name) from error
    if not any(any(letter.isalnum() for letter in block) for block in blocks):
        raise SourceError("The document holds no text.", "Pictures of text cannot be read: type it, or paste it.", path=name)
    title, authors, made, language = _metadata(about)
    title = title or next((block.lstrip("# ") for block in blocks if block.startswith("#")), "")
    warnings = tuple(hidden_words_warning(words) for words in reading.hidden if words.strip())
    if reading.left_out:
        warnings += (f"{reading.left_out} notes or comments were left out.",)
    if made is not None:
        warnings += ("The date is that of the file's making; check it.",)
    return Extract("\n\n".join(blocks), title, authors, made, language=language, warnings=warnings)


class _Reading:
    """Walks a document once, and remembers what was left out."""

    def __init__(self, hidden_styles: set[tuple[str, str]]) -> None:
        self._hidden_styles = hidden_styles
        self.hidden: list[str] = []
        self.left_out = 0

    def blocks(self, parent: Any) -> Iterator[str]:
        for element in parent:
            tag = element.tag
            if tag in _LEFT_OUT:
                self.left_out += tag in (f"{_OFFICE}annotation", f"{_TEXT}note")
            elif tag == f"{_TEXT}h":
                yield self._heading(element)
            elif tag == f"{_TEXT}p":
                yield self._line(element)
            elif tag == f"{_TEXT}list":
                yield "\n".join(self._items(element, 0)).strip("\n")
            elif tag == f"{_TABLE}table":
                rows = [
                    [" ".join(" ".join(self.blocks(cell)).split()).replace("|", "\\|") for cell in row if cell.tag == f"{_TABLE}table-cell"]
                    for row in _rows(element)
                ]
                yield markdown_table(rows)
            elif tag in _GROUPS and element.get(f"{_TEXT}display") != "none":
                yield from self.blocks(element)
            elif tag in _GROUPS:
                self.hidden.append(" ".join("".join(element.itertext()).split()))

    def _heading(self, element: Any) -> str:
        level = element.get(f"{_TEXT}outline-level") or "1"
        words = self._line(element)
        return f"{'#' * min(6, (int(level) if level.isdecimal() else 1) + 1)} {words}" if words else ""

    def _items(self, parent: Any, depth: int) -> Iterator[str]:
        for item in parent:
            for element in item:
                if element.tag == f"{_TEXT}list":
                    yield from self._items(element, depth + 1)
                elif element.tag == f"{_TEXT}h":
                    # Numbered headings stand in lists.
                    yield f"\n{self._heading(element)}\n"
                elif words := self._line(element):
                    yield f"{'  ' * depth}- {words}"

    def _line(self, element: Any) -> str:
        marks = element.iter(f"{_TEXT}hidden-paragraph")
        if ("paragraph", element.get(f"{_TEXT}style-name")) in self._hidden_styles or any(mark.get(f"{_TEXT}is-hidden") == "true" for mark in marks):
            self.hidden.append(" ".join("".join(element.itertext()).split()))
            return ""
        return " ".join("".join(self._words(element)).split())

    def _words(self, element: Any) -> Iterator[str]:
        yield element.text or ""
        for part in element:
            if part.tag in _LEFT_OUT:
                self.left_out += part.tag in (f"{_OFFICE}annotation", f"{_TEXT}note")
            elif part.tag in (f"{_TEXT}s", f"{_TEXT}tab", f"{_TEXT}line-break"):
                yield " "
            elif part.tag == f"{_TEXT}hidden-text" or ("text", part.get(f"{_TEXT}style-name")) in self._hidden_styles:
                self.hidden.append(" ".join("".join(part.itertext()).split()))
            elif part.tag in _BLOCKS:
                yield f" {self._line(part)} "
            else:
                yield from self._words(part)
            yield part.tail or ""


def _rows(parent: Any) -> Iterator[Any]:
    """The rows of a table, also those in groups, but not those of a table within a cell."""
    for element in parent:
        if element.tag == f"{_TABLE}table-row":
            yield element
        elif element.tag != f"{_TABLE}table-cell":
            yield from _rows(element)


def _hidden_styles(content: Any, named: Any) -> set[tuple[str, str]]:
    """The families and names of styles that hide, or are based on one that does: display none, tiny letters, white ones without a background."""
    styles = {
        (style.get(f"{_STYLE}family") or "", style.get(f"{_STYLE}name") or ""): style
        for part in (named, content)
        if part is not None
        for style in part.iter(f"{_STYLE}style")
    }
    found = set()
    for family, name in styles:
        said: dict[str, str] = {}
        seen: set[Any] = set()
        place: Any = (family, name)
        while place in styles and place not in seen:
            seen.add(place)
            properties = styles[place].find(f"{_STYLE}text-properties")
            said = (dict(properties.attrib) if properties is not None else {}) | said
            place = (family, styles[place].get(f"{_STYLE}parent-style-name"))
        white = said.get(f"{_FO}color", "").lower() == "#ffffff" and said.get(f"{_FO}background-color") in (None, "transparent", "#ffffff")
        size = _LENGTH.fullmatch(said.get(f"{_FO}font-size", ""))
        tiny = size is not None and float(size.group(1)) * _POINTS[size.group(2)] <= _TINY_POINTS
        if said.get(f"{_TEXT}display") == "none" or white or tiny:
            found.add((family, name))
    return found


def _metadata(about: Any) -> tuple[str, tuple[str, ...], date | None, str]:
    if about is None:
        return "", (), None, ""

    def said(tag: str) -> str:
        return " ".join((about.findtext(f".//{tag}") or "").split())

    author = said(f"{_META}initial-creator") or said(f"{_DC}creator")
    try:
        made = date.fromisoformat((said(f"{_META}creation-date") or said(f"{_DC}date"))[:10])
    except ValueError:
        made = None
    return said(f"{_DC}title"), tuple(one.strip() for one in author.split(";") if one.strip()), made, said(f"{_DC}language")
