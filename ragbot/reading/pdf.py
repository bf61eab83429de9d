"""PDF → Extract, page by page. Words that no reader of the page sees are left out, and a warning names them and their page."""

from __future__ import annotations

import io
import re
import warnings as python_warnings
from datetime import date
from typing import Any

import pypdf
from pypdf.generic import ContentStream, NameObject

from ragbot.errors import SourceError
from ragbot.reading.extracts import Extract, hidden_words_warning
from ragbot.reading.page_layout import Line, largest_words, to_markdown
from ragbot.reading.unseen import part_unseen

MOST_PAGES = 500
_LIGATURES = {ord(one): many for one, many in zip("ﬀﬁﬂﬃﬄﬅﬆ", ("ff", "fi", "fl", "ffi", "ffl", "st", "st"), strict=True)}
_FILE_NAME = re.compile(r"^(?:microsoft (?:word|powerpoint) - .*|untitled.*|.*\.(?:docx?|pdf|indd|tex|odt|pptx?|qxd|dvi|html?)|\W*)$", re.IGNORECASE)
_LICENSE = re.compile(
    r"\b(?:CC[ -]BY(?:[ -](?:NC|SA|ND))*(?:[ -]\d\.\d)?|Creative Commons Attribution[\w -]*?(?= licen[cs]e)|CC0|public domain)\b", re.IGNORECASE
)
_SCANNED = "Run character recognition (OCR) over it first, for example with ocrmypdf, and upload the result."


def read_pdf(data: bytes, name: str) -> Extract:
    """The text of a PDF with ``<!-- page n -->`` before the first paragraph that begins on page n.

    Raises:
        SourceError: it is encrypted, scanned, broken, or has more than 500 pages.
    """
    try:
        with python_warnings.catch_warnings():
            python_warnings.simplefilter("ignore")
            return _read(data, name)
    except SourceError:
        raise
    except MemoryError:
        raise
    except pypdf.errors.LimitReachedError as error:
        raise SourceError("The PDF unpacks to far more than it seems to hold.", "Print it to a new PDF and upload that.", path=name) from error
    except Exception as error:  # pypdf raises what its parsing runs into: KeyError, TypeError, RecursionError, zlib.error and its own
        raise SourceError(f"The PDF is damaged: {type(error).__name__}.", "Print it to a new PDF and upload that.", path=name) from error


def _read(data: bytes, name: str) -> Extract:  # noqa: C901 — one look at the file after the other
    try:
        reader = pypdf.PdfReader(io.BytesIO(data))
    except NotImplementedError as error:
        raise SourceError("The PDF is encrypted in a way that cannot be read here.", "Save it without encryption.", path=name) from error
    if reader.is_encrypted:
        _open_encrypted(reader, name)
    count = len(reader.pages)
    if count > MOST_PAGES:
        raise SourceError(f"The PDF has {count} pages; at most {MOST_PAGES} are read.", "Split it.", path=name)
    if not count:
        raise SourceError("The PDF has no pages.", path=name)
    pages: list[list[Line]] = []
    warnings: list[str] = []
    recognised: list[int] = []
    for number, page in enumerate(reader.pages, start=1):
        hidden, from_recognition = _show_only_the_visible(page, reader)
        pages.append(_lines(page))
        if hidden.strip():
            warnings.append(hidden_words_warning(hidden, f"on page {number}"))
        if from_recognition:
            recognised.append(number)
    empty = [number for number, lines in enumerate(pages, start=1) if not lines]
    if len(empty) == count:
        raise SourceError("The PDF holds no text: it looks scanned.", _SCANNED, path=name)
    if empty:
        warnings.append(f"{len(empty)} of {count} pages hold no text (pages {', '.join(map(str, empty[:10]))}): pictures or scans.")
    if recognised:
        warnings.append(f"The text of pages {', '.join(map(str, recognised[:10]))} comes from character recognition of scans; compare figures and units.")
    title, authors, published = _metadata(reader)
    title = title or " ".join(largest_words(pages[0]).split())
    if published:
        warnings.append("The date is that of the file's making; check it.")
    text = to_markdown(pages, title)
    rights = _LICENSE.search(text[:8000])
    language = reader.root_object.get("/Lang") if reader.root_object else None
    return Extract(
        text,
        title=title,
        authors=authors,
        published=published,
        license=rights.group() if rights else "",
        language=str(language or "")[:12],
        pages=count,
        warnings=tuple(warnings),
    )


def _open_encrypted(reader: pypdf.PdfReader, name: str) -> None:
    try:
        opened = reader.decrypt("")
    except (pypdf.errors.DependencyError, ImportError) as error:
        raise SourceError("The PDF is encrypted in a way that cannot be read here.", "Save it without encryption.", path=name) from error
    if not opened:
        raise SourceError("The PDF is protected by a password.", "Save it without a password and upload that.", path=name)


def _show_only_the_visible(page: pypdf.PageObject, reader: pypdf.PdfReader) -> tuple[str, bool]:
    """Takes what nobody sees out of the page; its words, and whether the page's text lies unseen over a scan."""
    contents = page.get_contents()
    if contents is None:
        return "", False
    stream = ContentStream(contents, reader)
    box = page.mediabox
    parted = part_unseen(stream.operations, page, (float(box.left), float(box.bottom), float(box.right), float(box.top)))
    if not parted.hidden:
        return "", parted.over_a_scan
    stream.operations = parted.hidden
    page[NameObject("/Contents")] = stream
    words = page.extract_text()
    seen = ContentStream(None, reader)
    seen.operations = parted.seen
    page[NameObject("/Contents")] = seen
    return words, parted.over_a_scan


def _lines(page: pypdf.PageObject) -> list[Line]:
    """The lines of a page in reading order, as pypdf gives it."""
    lines: list[Line] = []
    words, first = "", (0.0, 0.0, 0.0, False)

    def close() -> None:
        nonlocal words
        text = " ".join(words.translate(_LIGATURES).split())
        if text:
            left, height, size, bold = first
            lines.append(Line(text, left, height, size, bold))
        words = ""

    def take(text: str, user: Any, matrix: Any, font: Any, size: Any) -> None:
        nonlocal words, first
        left = matrix[4] * user[0] + matrix[5] * user[2] + user[4]
        height = matrix[4] * user[1] + matrix[5] * user[3] + user[5]
        scale = abs(float(size) * (matrix[3] or matrix[0] or 1) * (user[3] or user[0] or 1))
        for place, piece in enumerate(text.split("\n")):
            if place:
                close()
            if not piece.strip():
                words += piece
                continue
            if words.strip() and abs(first[1] - height) > max(first[2], scale, 1.0) * 0.6:
                close()
            if not words.strip():
                first = (float(left), float(height), scale or 10.0, "bold" in str((font or {}).get("/BaseFont", "")).lower())
            words += piece

    page.extract_text(visitor_text=take)
    close()
    return lines


def _metadata(reader: pypdf.PdfReader) -> tuple[str, tuple[str, ...], date | None]:
    said = reader.metadata
    if said is None:
        return "", (), None
    title = " ".join(str(said.title or "").split())
    names = re.split(r"\s*;\s*|\s*,\s*(?=[A-Z])|\s+and\s+", str(said.author or ""))
    try:
        made = said.creation_date
    except ValueError:
        made = None
    return "" if _FILE_NAME.match(title) else title, tuple(one.strip() for one in names if one.strip()), made.date() if made else None
