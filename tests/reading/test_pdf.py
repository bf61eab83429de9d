"""PDFs: reading order, paragraphs, pages, headings, what is hidden, and files that are no good."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable

import pytest

from ragbot.errors import SourceError
from ragbot.reading.pdf import read_pdf

Maker = Callable[..., bytes]
BODY = 11.0


def column(*lines: str, left: float = 72, top: float = 700, size: float = BODY) -> list[tuple[str, float, float, float]]:
    return [(words, left, top - 14 * place, size) for place, words in enumerate(lines)]


def test_wrapped_lines_are_one_paragraph_and_parted_words_are_whole(make_pdf: Maker) -> None:
    page = column("Tomatoes like warm nights, and a green-", "house keeps them warm until the treat-", "ment with lime is over.") + column(
        "Another paragraph begins lower down.", top=600
    )
    extract = read_pdf(make_pdf([page]), "a.pdf")
    assert extract.text.split("\n\n") == [
        "<!-- page 1 -->",
        "Tomatoes like warm nights, and a greenhouse keeps them warm until the treatment with lime is over.",
        "Another paragraph begins lower down.",
    ]
    assert extract.pages == 1


def test_a_hyphen_stays_where_the_word_is_written_with_it_elsewhere(make_pdf: Maker) -> None:
    page = column("The trial was double-blind. In a second double-", "blind trial nothing was seen.")
    assert "second double-blind trial" in read_pdf(make_pdf([page]), "a.pdf").text


def test_pages_are_marked_where_a_paragraph_begins_and_none_is_cut(make_pdf: Maker) -> None:
    first = column("A first paragraph ends here.") + column("A sentence that begins on the first page", "and that goes on", top=600)
    second = column("over the page until it ends here.") + column("The second page has its own words.", top=600)
    text = read_pdf(make_pdf([first, second]), "a.pdf").text
    assert "that goes on over the page until it ends here." in text
    assert text.index("until it ends here.") < text.index("<!-- page 2 -->") < text.index("The second page has its own words.")


def test_running_headers_footers_and_page_numbers_are_left_out(make_pdf: Maker) -> None:
    pages = [
        [("The Garden Leaflet 2026", 72, 800, 9.0), *column(f"Page words number {word} stand here alone."), (f"Page {number} of 4", 280, 30, 9.0)]
        for number, word in enumerate(("one", "two", "three", "four"), start=1)
    ]
    text = read_pdf(make_pdf(pages), "a.pdf").text
    assert "Leaflet" not in text
    assert "of 4" not in text
    assert all(f"number {word} stand" in text for word in ("one", "two", "three", "four"))


def test_headings_bullets_title_and_authors(make_pdf: Maker) -> None:
    page = [
        ("Growing tomatoes", 72, 780, 22.0),
        *column("Some words come first, as they do in a leaflet.", top=740),
        ("When to sow", 72, 690, 16.0),
        *column("Sow in March.", top=660),
        ("\xb7 a warm place", 72, 630, BODY),
        ("\xb7 clean earth", 72, 616, BODY),
    ]
    extract = read_pdf(make_pdf([page], info="/Title (Microsoft Word - leaflet.doc) /Author (Ada Green; Bo Reed)"), "a.pdf")
    assert extract.title == "Growing tomatoes"
    assert extract.authors == ("Ada Green", "Bo Reed")
    assert "# Growing" not in extract.text
    assert "\n## When to sow\n" in extract.text
    assert "- a warm place" in extract.text


@pytest.mark.parametrize(
    "hiding",
    [
        b"BT /F1 11 Tf 3 Tr 72 600 Td (SECRET ORDER TO THE BOT) Tj ET",
        b"BT /F1 11 Tf 1 1 1 rg 72 600 Td (SECRET ORDER TO THE BOT) Tj ET",
        b"BT /F1 11 Tf 1 g 72 600 Td (SECRET ORDER TO THE BOT) Tj ET",
        b"BT /F1 11 Tf 0 0 0 0 k 72 600 Td (SECRET ORDER TO THE BOT) Tj ET",
        b"BT /F1 0.5 Tf 72 600 Td (SECRET ORDER TO THE BOT) Tj ET",
        b"BT /F1 11 Tf 9000 600 Td (SECRET ORDER TO THE BOT) Tj ET",
        b"q 0.05 0 0 0.05 0 0 cm BT /F1 11 Tf 72 600 Td (SECRET ORDER TO THE BOT) Tj ET Q",
        b"1 1 1 rg 50 590 400 30 re f BT /F1 11 Tf 72 600 Td (SECRET ORDER TO THE BOT) Tj ET",
    ],
)
def test_what_nobody_sees_is_left_out_and_named(make_pdf: Maker, hiding: bytes) -> None:
    seen = b"BT /F1 11 Tf 0 g 72 700 Td (Words that everybody sees.) Tj ET\n"
    extract = read_pdf(make_pdf([seen + hiding]), "a.pdf")
    assert "SECRET" not in extract.text
    assert "everybody sees" in extract.text
    assert any("SECRET ORDER" in warning and "page 1" in warning for warning in extract.warnings)


def test_white_words_on_a_dark_bar_are_seen(make_pdf: Maker) -> None:
    page = b"0 0 0.4 rg 50 590 400 30 re f 1 1 1 rg BT /F1 11 Tf 72 600 Td (White on blue is a table's head.) Tj ET"
    extract = read_pdf(make_pdf([page]), "a.pdf")
    assert "White on blue" in extract.text
    assert not extract.warnings


def test_scans_are_told_and_pages_without_text_named(make_pdf: Maker) -> None:
    with pytest.raises(SourceError, match=r"looks scanned.*OCR"):
        read_pdf(make_pdf([b"", b""]), "a.pdf")
    extract = read_pdf(make_pdf([column("Words of the first page."), b"", column("Words of the third.")]), "a.pdf")
    assert any("1 of 3 pages hold no text (pages 2)" in warning for warning in extract.warnings)


def test_an_encrypted_file_is_refused_with_a_hint(make_pdf: Maker) -> None:
    import io

    import pypdf

    writer = pypdf.PdfWriter(clone_from=io.BytesIO(make_pdf([column("Words.")])))
    writer.encrypt("a password", algorithm="RC4-128")
    locked = io.BytesIO()
    writer.write(locked)
    with pytest.raises(SourceError, match="protected by a password"):
        read_pdf(locked.getvalue(), "a.pdf")


def test_too_many_pages_are_refused(make_pdf: Maker) -> None:
    with pytest.raises(SourceError, match="501 pages"):
        read_pdf(make_pdf([b""] * 501), "a.pdf")


def test_a_damaged_file_never_raises_anything_else(make_pdf: Maker) -> None:
    whole = make_pdf([column("Words of a page.", "And more words."), column("Second page.")], info="/Title (T)")
    chance = random.Random(7)
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 30)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        cut = bytes(data[: chance.randrange(20, len(data))]) if chance.random() < 0.4 else bytes(data)
        with contextlib.suppress(SourceError):
            read_pdf(cut, "a.pdf")


def test_the_licence_is_found_in_the_words(make_pdf: Maker) -> None:
    page = column("This leaflet may be copied under CC BY 4.0 by everybody.")
    assert read_pdf(make_pdf([page]), "a.pdf").license == "CC BY 4.0"
