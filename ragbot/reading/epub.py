"""EPUB books → Extract, chapter after chapter."""

from __future__ import annotations

import io
import posixpath
import zipfile
from datetime import date
from typing import Any
from urllib.parse import unquote

from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

from ragbot.errors import SourceError
from ragbot.reading.extracts import Extract
from ragbot.reading.html import read_html
from ragbot.reading.isolating import MEGABYTE, read_entry

_OPF = "{http://www.idpf.org/2007/opf}"
_DC = "{http://purl.org/dc/elements/1.1/}"
_CHAPTER_TYPES = ("application/xhtml+xml", "text/html")
MOST_TEXT_BYTES = 100 * MEGABYTE


def read_epub(data: bytes, name: str) -> Extract:
    """The chapters of a book in their order, and its metadata.

    Raises:
        SourceError: it is protected, broken or holds no text.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as container:
            names = set(container.namelist())
            if "META-INF/encryption.xml" in names and b"html" in read_entry(container, "META-INF/encryption.xml"):
                raise SourceError("The book is protected against copying.", "Ask its publisher for a file without protection.", path=name)
            package_name = _package_name(ElementTree.fromstring(read_entry(container, "META-INF/container.xml")))
            package = ElementTree.fromstring(read_entry(container, package_name))
            return _read(container, names, package, posixpath.dirname(package_name), name)
    except RecursionError as error:
        raise SourceError("The book is nested too deeply.", "Save it anew, or paste its text.", path=name) from error
    except (zipfile.BadZipFile, ElementTree.ParseError, DefusedXmlException, LookupError, ValueError, AttributeError, NotImplementedError, OSError) as error:
        raise SourceError("The book is damaged, or of a kind that cannot be read.", "Save it anew, or paste its text.", path=name) from error


def _package_name(container: Any) -> str:
    # The namespace of OCF has a longer name in some versions.
    found = next((element.get("full-path") for element in container.iter() if element.tag.endswith("}rootfile")), None)
    if not found:
        raise KeyError("rootfile")
    return str(found)


def _read(container: zipfile.ZipFile, names: set[str], package: Any, folder: str, name: str) -> Extract:
    items = {item.get("id"): item for item in package.iter(f"{_OPF}item")}
    chapters: list[str] = []
    warnings: list[str] = []
    missing = size = 0
    for place in package.iter(f"{_OPF}itemref"):
        item = items.get(place.get("idref"))
        if item is None or item.get("media-type") not in _CHAPTER_TYPES or "nav" in (item.get("properties") or "").split():
            continue
        path = posixpath.normpath(posixpath.join(folder, unquote((item.get("href") or "").split("#")[0])))
        if path not in names:
            missing += 1
            continue
        data = read_entry(container, path)
        size += len(data)
        if size > MOST_TEXT_BYTES:
            raise SourceError("The book holds more text than can be read.", "Split it.", path=name)
        try:
            chapter = read_html(data, name, whole=True)
        except SourceError:
            # Covers and pictures are chapters without words.
            continue
        chapters.append(chapter.text.strip())
        warnings += chapter.warnings
    if missing:
        warnings.append(f"{missing} chapters are named in the book but not in the file.")
    if not chapters:
        raise SourceError("The book holds no text.", "Paste its text instead.", path=name)
    authors = tuple(" ".join((one.text or "").split()) for one in package.iter(f"{_DC}creator") if (one.text or "").strip())
    return Extract(
        "\n\n".join(chapters),
        title=_said(package, "title"),
        authors=authors,
        published=_day(_said(package, "date")),
        publisher=_said(package, "publisher"),
        license=_said(package, "rights"),
        url=next((one for one in (_said(package, "source"), _said(package, "identifier")) if one.startswith(("http://", "https://"))), ""),
        language=_said(package, "language"),
        warnings=tuple(dict.fromkeys(warnings)),
    )


def _said(package: Any, key: str) -> str:
    found = next(package.iter(f"{_DC}{key}"), None)
    return "" if found is None else " ".join((found.text or "").split())


def _day(words: str) -> date | None:
    try:
        return date.fromisoformat(words[:10])
    except ValueError:
        return None
