"""Foreign files are read elsewhere: what breaks, eats memory or never ends there is a clear error here."""

from __future__ import annotations

import io
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from ragbot.errors import SourceError
from ragbot.reading import isolating
from ragbot.reading.isolating import FOREIGN_READERS, Limits, check_container, read_foreign


def packed(**entries: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as container:
        for name, data in {"[Content_Types].xml": b"<Types/>", **entries}.items():
            container.writestr(name, data)
    return file.getvalue()


def test_a_file_is_read_in_under_two_seconds_without_the_heavy_parts() -> None:
    started = time.perf_counter()
    extract = read_foreign("# Ä title\n\nWords\u200b here.".encode(), "a.md")
    assert time.perf_counter() - started < 2
    assert (extract.title, extract.text) == ("Ä title", "Words here.")
    assert "1 invisible character" in extract.warnings[0]


@pytest.mark.parametrize(
    ("data", "name", "message"),
    [
        (b"words", "a.exe", "cannot be read"),
        (b"words", "noending", "cannot be read"),
        (b"  \n", "a.txt", "is empty"),
        (b"words but no PDF", "a.pdf", "no PDF file"),
        (b"words but no zip", "a.docx", r"no .docx file"),
        (b"PK\x03\x04 cut off", "a.docx", r"no .docx file"),
        (packed(), "a.odt", r"no .odt file"),
        (packed(), "a.epub", r"no .epub file"),
        (b"%PDF-1.4\nbroken", "a.pdf", "damaged"),
        (packed(**{"word/document.xml": b"<broken"}), "a.docx", "damaged"),
        (b"\x89PNG\r\n\x1a\n0000", "a.txt", "no text file"),
        (b"\xff\xd8\xff\xe0 jpeg", "a.md", "no text file"),
        (b"<html><body><script>1</script></body></html>", "a.html", "No text was found"),
        ("\u200b\u200b".encode(), "a.txt", "No text was found"),
    ],
)
def test_what_cannot_be_read_is_told_clearly(data: bytes, name: str, message: str) -> None:
    with pytest.raises(SourceError, match=message) as caught:
        read_foreign(data, name)
    assert str(caught.value.path) == name


def test_a_file_over_the_limit_is_not_even_given_to_the_child() -> None:
    with pytest.raises(SourceError, match="larger than 1 MB"):
        read_foreign(b"a" * 1_000_001, "a.txt", limits=Limits(input_megabytes=1))


@pytest.fixture
def hostile(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts code in the place of a reader: it runs in the child before the reader would."""

    def put(code: str) -> None:
        start = f"import ragbot.reading.isolating as i\ndef bad(data, name):\n    {code}\ni._load = lambda name: bad\ni.work()"
        monkeypatch.setattr(isolating, "_START", start)

    return put


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("while True: pass", "within 2 seconds"),
        ("import time; time.sleep(60)", "within 2 seconds"),
        ("return 'a' * 2_000_000_000", "memory"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "broke its reader"),
        ("raise RuntimeError('something else')", "broke its reader"),
        ("print('{\"text\": 1'); raise SystemExit(0)", "broke its reader"),
        ("f = lambda n: f(n + 1); f(0)", "nested too deeply"),
        ("open('a file', 'w').write('words' * 10_000)", "broke its reader"),
    ],
)
def test_whatever_the_child_does_is_a_clear_error_here(hostile: Callable[[str], None], code: str, message: str) -> None:
    hostile(code)
    with pytest.raises(SourceError, match=message):
        read_foreign(b"words", "a.txt", limits=Limits(seconds=2))


def test_the_child_knows_nothing_of_the_environment(hostile: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET", "of the server")
    hostile("import os; from ragbot.errors import SourceError; raise SourceError(' '.join(os.environ), path='a')")
    with pytest.raises(SourceError) as caught:
        read_foreign(b"words", "a.txt")
    assert "A_SECRET" not in caught.value.message
    assert "PATH" in caught.value.message


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({f"entry-{number}": b"" for number in range(1001)}, "unpacks to far more"),
        ({"bomb": b"\0" * 30_000_000}, "unpacks to far more"),
        ({"../../etc/passwd": b"words"}, "leads elsewhere"),
        ({"/etc/passwd": b"words"}, "leads elsewhere"),
        ({"..\\windows": b"words"}, "leads elsewhere"),
    ],
)
def test_containers_made_to_do_harm_are_refused_before_they_are_unpacked(entries: dict[str, bytes], message: str) -> None:
    with pytest.raises(SourceError, match=message):
        check_container(packed(**entries), "a.docx", Limits())


def test_billion_laughs_end_in_an_error() -> None:
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    bomb = f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY l0 "lol">{laughs}]><x>&l11;</x>'.encode()
    for name, entries in {
        "a.odt": {"content.xml": bomb},
        "a.epub": {"META-INF/container.xml": bomb},
        "a.docx": {"word/document.xml": bomb, "_rels/.rels": bomb},
    }.items():
        with pytest.raises(SourceError):
            read_foreign(packed(**entries), name)


def test_every_format_has_its_reader() -> None:
    for place in set(FOREIGN_READERS.values()):
        module, function = place.split(":")
        assert callable(isolating._load(f"{module}:{function}"))
        assert Path(isolating.__file__).with_name(f"{module}.py").exists()


def test_the_reading_package_stays_light() -> None:
    import subprocess

    code = "import sys, ragbot.reading.isolating; print([m for m in ('torch', 'chromadb', 'gradio', 'sklearn', 'langchain_core') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
