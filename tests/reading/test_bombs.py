"""Files made to eat memory or time, to go in circles or to reach other files. The quick ones are read here, the dangerous ones in the child."""

from __future__ import annotations

import io
import random
import stat
import struct
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import docx
import pytest

from ragbot.errors import SourceError
from ragbot.reading.epub import read_epub
from ragbot.reading.isolating import Limits, check_container, read_foreign
from ragbot.reading.opendocument import read_opendocument
from ragbot.reading.pdf import read_pdf
from ragbot.reading.word import read_word
from ragbot.working import PATIENCE

DEEP = 100_000
OFFICE = "urn:oasis:names:tc:opendocument:xmlns"
READERS = {".pdf": read_pdf, ".docx": read_word, ".odt": read_opendocument, ".epub": read_epub}


@pytest.fixture(autouse=True)
def _nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield
    assert list(tmp_path.iterdir()) == []


def read_or_problem(read: Callable[..., object], data: bytes, name: str) -> str:
    """The text or the problem's message; anything else that is raised fails the test."""
    try:
        return read(data, name).tidied().text  # type: ignore[attr-defined]
    except SourceError as problem:
        return str(problem)


def packed(entries: dict[str, bytes], padding: int = 0) -> bytes:
    """A container. The padding, which cannot be compressed, keeps the ratio of a bomb within the limit, so that the bomb reaches its reader."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as container:
        for name, data in entries.items():
            container.writestr(name, data)
        container.writestr("padding", random.Random(2).randbytes(padding))
    return file.getvalue()


def word(body: str, prolog: str = "", padding: int = 0) -> bytes:
    file = io.BytesIO()
    docx.Document().save(file)
    with zipfile.ZipFile(file) as container:
        entries = {name: container.read(name) for name in container.namelist()}
    start = f"{prolog}<w:document xmlns:w='http://schemas.openxmlformats.org/wordprocessingml/2006/main'><w:body>"
    return packed(entries | {"word/document.xml": f"{start}{body}</w:body></w:document>".encode()}, padding)


def opendocument(body: str, prolog: str = "", padding: int = 0) -> bytes:
    start = f"{prolog}<o:document-content xmlns:o='{OFFICE}:office:1.0' xmlns:text='{OFFICE}:text:1.0'><o:body><o:text>"
    return packed({"content.xml": f"{start}{body}</o:text></o:body></o:document-content>".encode()}, padding)


def epub(chapter: str, prolog: str = "", padding: int = 0, spine: int = 1, href: str = "a.xhtml") -> bytes:
    places = "<itemref idref='a'/>" * spine
    items = f"<manifest><item id='a' href='{href}' media-type='text/html'/></manifest><spine>{places}</spine>"
    entries = {
        "META-INF/container.xml": f"<c xmlns='{OFFICE}:container'><rootfile full-path='a.opf'/></c>",
        "a.opf": f"{prolog}<package xmlns='http://www.idpf.org/2007/opf'>{items}</package>",
        "a.xhtml": chapter,
    }
    return packed({name: text.encode() for name, text in entries.items()}, padding)


def pdf(*objects: bytes, trailer: bytes = b"") -> bytes:
    """A PDF of any objects, sound or not; the first is the catalogue."""
    out, places = b"%PDF-1.7\n", []
    for number, body in enumerate(objects, start=1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    end = b"trailer\n<< /Size %d /Root 1 0 R %s >>\nstartxref\n%d\n%%%%EOF" % (len(places) + 1, trailer, len(out))
    return out + b"xref\n0 %d\n0000000000 65535 f \n" % (len(places) + 1) + table + end


def stream(content: bytes, entries: bytes = b"") -> bytes:
    return b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(content), entries, content)


def deflated(megabytes: int, filling: bytes) -> bytes:
    packer = zlib.compressobj(9)
    return b"".join(packer.compress(filling * (1_000_000 // len(filling))) for _ in range(megabytes)) + packer.flush()


def one_page(content: bytes, entries: bytes = b"", *others: bytes, font: bytes = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>") -> bytes:
    return pdf(CATALOGUE, TREE, PAGE, stream(content, entries), font, *others)


CATALOGUE, TREE = b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>"
PAGE = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> /XObject << /X 6 0 R >> >> >>"
WORDS = b"BT /F1 11 Tf 72 700 Td (Sow in March.) Tj ET "
MAPPED = b"<< /Type /Font /Subtype /Type0 /BaseFont /A /ToUnicode 6 0 R >>"
ITSELF = stream(b"/X Do " * 10, b"/Type /XObject /Subtype /Form /Resources << /XObject << /X 6 0 R >> >>")

# name → (bytes, what the text or the message says)
PDFS = {
    "a tree that holds itself": (pdf(CATALOGUE, b"<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 2 >>"), "damaged"),
    "a tree in a circle": (pdf(CATALOGUE, TREE, b"<< /Type /Pages /Parent 2 0 R /Kids [2 0 R] /Count 1 >>"), "damaged"),
    "a page that is its own parent": (pdf(CATALOGUE, TREE, b"<< /Type /Page /Parent 3 0 R >>"), "PDF"),
    "a thousand million pages": (pdf(CATALOGUE, b"<< /Type /Pages /Kids [] /Count 999999999 >>"), "no pages"),
    "an object's huge number": (pdf(CATALOGUE, b"<< /Type /Pages /Kids [99999999999999999999 99999999 R] /Count 1 >>"), "no pages"),
    "a table of huge size": (one_page(WORDS).replace(b"/Root", b"/Size 99999999999 /Root"), "Sow in March."),
    "a table that goes before itself": (one_page(WORDS).replace(b"/Root", b"/Prev 9 /Root"), "Sow in March."),
    "a length that is its own": (pdf(CATALOGUE, TREE, PAGE, b"<< /Length 4 0 R >>\nstream\nx\nendstream"), "PDF"),
    "a form that draws itself": (one_page(WORDS + b"/X Do", b"", ITSELF), "Sow in March."),
    "ten thousand filters": (one_page(zlib.compress(WORDS), b"/Filter [" + b"/FlateDecode " * 10_000 + b"]"), "PDF"),
    "an unknown filter": (one_page(WORDS, b"/Filter /NoSuchDecode"), "PDF"),
    "a map of four thousand million letters": (
        one_page(WORDS, b"", stream(b"begincmap 1 beginbfrange <0000> <ffffffff> <0000> endbfrange endcmap"), font=MAPPED),
        "PDF",
    ),
    "an encryption of the future": (pdf(CATALOGUE, TREE, PAGE, trailer=b"/Encrypt << /Filter /Standard /V 99 /R 99 /O (a) /U (b) /P -1 >> /ID [(a) (a)]"), "encrypted in a way"),
    "an encryption of its own": (pdf(CATALOGUE, TREE, PAGE, trailer=b"/Encrypt << /Filter /Mine >>"), "encrypted in a way"),
    "a page of no size": (one_page(WORDS).replace(b"[0 0 595 842]", b"[(a) /b null]"), "PDF"),
    "no catalogue": (pdf(b"null"), "damaged"),
    "no end": (one_page(WORDS)[:-200], "damaged"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "says"), PDFS.values(), ids=PDFS)
def test_pdfs_made_to_mislead(data: bytes, says: str) -> None:
    assert says in read_or_problem(read_pdf, data, "a.pdf")


DANGEROUS = {
    "a PDF's stream of 600 MB": ("a.pdf", lambda: one_page(deflated(600, b"\0"), b"/Filter /FlateDecode"), "unpacks to far more"),
    "a PDF's arrays in arrays": ("a.pdf", lambda: one_page(b"[" * DEEP + b"]" * DEEP + b" TJ"), "damaged"),
    "a page's tags in tags": ("a.html", lambda: b"<div>" * DEEP + b"Sow in March.", "No text was found"),
    "a document's controls in controls": ("a.docx", lambda: word("<w:sdt><w:sdtContent>" * DEEP, padding=200_000), "damaged"),
    "a document of 15 million paragraphs": ("a.docx", lambda: word("<w:p/>" * 15_000_000, padding=1_500_000), "damaged"),
    "a document's sections in sections": ("a.odt", lambda: opendocument("<text:section>" * DEEP + "</text:section>" * DEEP, padding=100_000), "nested too deeply"),
    "a document's spans in spans": ("a.odt", lambda: opendocument(f"<text:p>{'<text:span>' * DEEP}{'</text:span>' * DEEP}</text:p>", padding=100_000), "nested"),
    "a document's one huge part": ("a.odt", lambda: opendocument("<text:p/>" * 9_000_000, padding=1_500_000), "unpacks to far more"),
    "a book's tags in tags": ("a.epub", lambda: epub("<div>" * DEEP + "Sow in March.", padding=100_000), "holds no text"),
    "a book's one huge chapter": ("a.epub", lambda: epub("<p>Sow.</p>" * 8_000_000, padding=1_500_000), "unpacks to far more"),
}  # fmt: skip
# As much work as one can put into few bytes; most of these end at a limit.
SLOW = {
    "a PDF's 35 million operators": ("a.pdf", lambda: one_page(deflated(70, b"q Q "), b"/Filter /FlateDecode"), "PDF"),
    "a PDF's 300,000 words in one line": ("a.pdf", lambda: one_page(b"BT /F1 11 Tf 72 700 Td " + b"(Sow in March.) Tj " * 300_000 + b"ET"), ""),
    "a PDF's tree of ten thousand million": ("a.pdf", lambda: pdf(CATALOGUE, *[b"<< /Type /Pages /Count 1 /Kids [" + b"%d 0 R " % n * 10 + b"] >>" for n in range(3, 13)], PAGE), "PDF"),
    "a page of 10 MB": ("a.html", lambda: b"<p>Sow tomatoes in March, and keep them warm at night.</p>\n" * 170_000, ""),
    "a page of one paragraph of 10 MB": ("a.html", lambda: b"<p>" + b"Sow tomatoes in March. " * 430_000, ""),
    "a page of a million tags": ("a.html", lambda: b"<p>Sow." + b"<i></i>" * 1_400_000, ""),
    "a tag of 200,000 attributes": ("a.html", lambda: b"<p " + b" ".join(b"a%d=1" % n for n in range(200_000)) + b">Sow.", ""),
    "20,000 styles for 50,000 paragraphs": ("a.html", lambda: b"<style>" + b"".join(b".a%d{display:none}" % n for n in range(20_000)) + b"</style>" + b"<p>Sow." * 50_000, ""),
    "a book of one chapter 50,000 times": ("a.epub", lambda: epub("<p>Sow in March.</p>" * 100, padding=100_000, spine=50_000), ""),
    "noise of 19 MB": ("a.txt", lambda: random.Random(3).randbytes(19_000_000).replace(b"\0", b""), ""),
}  # fmt: skip


@pytest.mark.parametrize(("name", "make", "says"), DANGEROUS.values(), ids=DANGEROUS)
def test_files_that_could_take_the_process_along(name: str, make: Callable[[], bytes], says: str) -> None:
    assert says in read_or_problem(read_foreign, make(), name)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "make", "says"), SLOW.values(), ids=SLOW)
def test_files_that_work_without_end(name: str, make: Callable[[], bytes], says: str) -> None:
    data = make()
    started = time.perf_counter()
    assert says in read_or_problem(read_foreign, data, name)
    # The child has 30 seconds of a core, however long they last; the rest is for a busy machine to start and to end it.
    assert time.perf_counter() - started < 30 * PATIENCE + 10


OUTSIDE = f"<!DOCTYPE a [<!ENTITY secret SYSTEM '{Path(__file__).as_uri()}'>]>"
LAUGHS = "<!DOCTYPE a [<!ENTITY l0 'lol'>" + "".join(f"<!ENTITY l{n} '" + f"&l{n - 1};" * 10 + "'>" for n in range(1, 12)) + "]>"
LONG = f"<!DOCTYPE a [<!ENTITY long '{'lol' * 20_000}'>]>"
ENTITIES = {"of another file": (OUTSIDE, "&secret;"), "that grow": (LAUGHS, "&l11;"), "that are long and many": (LONG, "&long;" * 10_000)}


@pytest.mark.parametrize(("prolog", "entity"), ENTITIES.values(), ids=ENTITIES)
def test_entities_are_not_expanded(prolog: str, entity: str) -> None:
    files = {
        "a.docx": word(f"<w:p><w:r><w:t>Sow {entity}</w:t></w:r></w:p>", prolog), "a.odt": opendocument(f"<text:p>Sow {entity}</text:p>", prolog),
        "a.epub": epub(f"{prolog}<p>Sow {entity}</p>", prolog), "b.epub": epub(f"{prolog}<p>Sow {entity}</p>"), "a.html": f"{prolog}<p>Sow {entity}</p>".encode(),
    }  # fmt: skip
    for name, data in files.items():
        said = read_or_problem(read_foreign, data, name)
        assert "import annotations" not in said
        assert "lollol" not in said.partition("]")[2]


def with_entry(name: str, data: bytes = b"words", mode: int = 0, times: int = 1) -> bytes:
    """A sound document with one more entry, or many."""
    file = io.BytesIO(opendocument("<text:p>Sow in March.</text:p>"))
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as container:
        for number in range(times):
            entry = zipfile.ZipInfo(name.format(number))
            entry.external_attr = mode << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            container.writestr(entry, data)
    return file.getvalue()


def lying(size: int) -> bytes:
    """A document whose table of contents gives another size for its text than there is."""
    data = bytearray(opendocument("<text:p>Sow in March.</text:p>" * 1000))
    place = data.rindex(b"PK\x01\x02", 0, data.rindex(b"content.xml"))
    struct.pack_into("<I", data, place + 24, size)
    return bytes(data)


INNER = packed({f"{number}.zip": b"\0" * 1000 for number in range(50)})
CONTAINERS = {
    "up": (with_entry("../../a.xml"), "leads elsewhere"), "up within": (with_entry("a/../../b.xml"), "leads elsewhere"), "absolute": (with_entry("/a.xml"), "leads elsewhere"),
    "backslashes": (with_entry("a\\..\\..\\b.xml"), "leads elsewhere"), "a link": (with_entry("a.xml", b"/etc/passwd", stat.S_IFLNK | 0o777), "leads elsewhere"),
    "1001 entries": (with_entry("{}.xml", times=1001), "far more"), "too large": (with_entry("a.bin", b"\0" * 101_000_000), "far more"),
    "a ratio over 100": (with_entry("a.bin", b"\0" * 5_000_000), "far more"), "a container within": (with_entry("a.zip", INNER), "Sow in March."),
    "a size too small": (lying(10), "damaged"), "a size too large": (lying(90_000_000), "far more"), "a size a little too large": (lying(60_000), ""),
}  # fmt: skip


@pytest.mark.parametrize(("data", "says"), CONTAINERS.values(), ids=CONTAINERS)
def test_containers_made_to_mislead(data: bytes, says: str) -> None:
    def read(data: bytes, name: str) -> object:
        check_container(data, name, Limits())
        return read_opendocument(data, name)

    assert says in read_or_problem(read, data, "a.odt")


@pytest.mark.parametrize(
    "href",
    ["../../../etc/passwd", "/etc/passwd", "file:///etc/passwd", "..%2f..%2fetc%2fpasswd", "a.opf/../../a", "https://evil.example/a", "%00", "a" * 70_000],
)
def test_a_book_that_names_files_elsewhere(href: str) -> None:
    assert "holds no text" in read_or_problem(read_epub, epub("<p>Sow.</p>", href=href), "a.epub")
