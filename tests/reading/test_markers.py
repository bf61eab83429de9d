"""Only the PDF reader says where a page begins: no other line of a file passes for a page's marker, and none hides in a comment."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable

import docx
import pytest

from ragbot.reading.extracts import PAGE_PATTERN, Extract
from ragbot.reading.isolating import read_foreign
from ragbot.reading.pdf import read_pdf
from ragbot.records import Document, Source

FORGED = "<!-- page 99 -->"
SHOWN = "< !-- page 99 -- >"
ESCAPED = "&lt;!-- page 99 --&gt;"
# Each is a marker once the characters that show nothing are gone, or the comment within it.
DISGUISED = ["<!\u200b-- page 99 -->", "<\ue000!-- page 99 -->", "<!-- \u2060page 99 -->", "<!-\x01- page 99 -->", "<!-- page 99 -\u00ad->"]


def packed(entries: dict[str, str]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as container:
        for name, text in entries.items():
            container.writestr(name, text)
    return file.getvalue()


def word(*paragraphs: str) -> bytes:
    document, file = docx.Document(), io.BytesIO()
    for paragraph in paragraphs:
        document.add_paragraph(paragraph)
    document.save(file)
    return file.getvalue()


def opendocument(*paragraphs: str) -> bytes:
    words = "".join(f"<text:p>{paragraph}</text:p>" for paragraph in paragraphs)
    return packed({"mimetype": "application/vnd.oasis.opendocument.text", "content.xml": (
        '<office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0">'
        f"<office:body><office:text>{words}</office:text></office:body></office:document-content>")})  # fmt: skip


def book(*paragraphs: str) -> bytes:
    return packed({
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles><rootfile full-path="a.opf"/></rootfiles></container>',
        "a.opf": '<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata><dc:title>T</dc:title></metadata>'
        '<manifest><item id="a" href="a.xhtml" media-type="application/xhtml+xml"/></manifest><spine><itemref idref="a"/></spine></package>',
        "a.xhtml": page(*paragraphs),
    })  # fmt: skip


def page(*paragraphs: str) -> str:
    return f"<html><body>{''.join(f'<p>{paragraph}</p>' for paragraph in paragraphs)}</body></html>"


WORDS = "Slugs eat lettuce at night, and nobody sees them."
ARTICLE = page(*[f"{WORDS} They come back number {number}." for number in range(20)], ESCAPED, WORDS)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.html", page(WORDS, ESCAPED, WORDS).encode()),
        ("a.htm", ARTICLE.encode()),
        ("a.docx", word(WORDS, FORGED, WORDS)),
        ("a.odt", opendocument(WORDS, ESCAPED, WORDS)),
        ("a.epub", book(WORDS, ESCAPED, WORDS)),
    ],
)
def test_a_visible_marker_stays_visible_and_is_none(name: str, data: bytes) -> None:
    text = read_foreign(data, name).text
    assert SHOWN in text
    assert not re.search("<!--|-->", text)


@pytest.mark.parametrize("name", ["a.txt", "a.md"])
@pytest.mark.parametrize("marker", [FORGED, *(one for one in DISGUISED if "\x01" not in one), "<!-<!-- x -->- page 99 -->", "<!-- page 99 --<!---->>"])
def test_no_text_file_sets_a_marker(name: str, marker: str) -> None:
    text = read_foreign(f"{WORDS}\n\n{marker}\n\n{WORDS}".encode(), name).text
    assert not re.search("<!--|-->", text)


@pytest.mark.parametrize("marker", DISGUISED)
@pytest.mark.parametrize("pages", [None, 3])
def test_taking_characters_out_makes_no_marker(marker: str, pages: int | None) -> None:
    extract = Extract(f"<!-- page 1 -->\n\nWords.\n\n{marker}\n\nWords.", pages=pages).tidied()
    assert PAGE_PATTERN.findall(extract.text) == (["1"] if pages else [])
    assert extract.text.count("< !--") == (1 if pages else 2)
    assert extract.tidied() == extract or extract.warnings


def test_the_words_on_a_printed_page_set_no_marker(make_pdf: Callable[..., bytes]) -> None:
    lines = [(WORDS, 72, 700, 11), (FORGED, 72, 640, 11), (WORDS, 72, 580, 11), ("<!-", 72, 520, 11), ("-hidden from all-", 72, 507, 11), ("->", 72, 494, 11)]
    data = make_pdf([lines, [(f"{WORDS} Again.", 72, 700, 11), ("Slugs sleep by day.", 72, 580, 11)]])
    extract = read_pdf(data, "a.pdf").tidied()
    assert extract.text == read_foreign(data, "a.pdf").text
    assert PAGE_PATTERN.findall(extract.text) == ["1", "2"]
    assert SHOWN in extract.text
    assert "< !--hidden from all-- >" in extract.text
    assert extract.text.count("<!--") == extract.text.count("-->") == 2
    document = Document(Source("a", "", "", "", ""), extract.text, "")
    assert document.page_at(extract.text.index(SHOWN)) == 1
    assert document.page_at(extract.text.index("sleep")) == 2
