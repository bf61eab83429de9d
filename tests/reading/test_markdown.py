from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from ragbot.errors import SourceError
from ragbot.reading.markdown import MAX_BYTES, read_markdown

CARD = b"---\ntitle: Tomatoes\nsummary: On tomatoes.\npublisher: Example Garden Society\nurl: https://example.org/\n"
ARTICLE = CARD + b"---\n\n# Tomatoes\n\nThey are red.\n"


def read(data: bytes, folder: Path) -> str:
    path = folder / "tomatoes.md"
    path.write_bytes(data)
    return read_markdown(path).text


def problem(data: bytes, folder: Path) -> SourceError:
    path = folder / "tomatoes.md"
    path.write_bytes(data)
    with pytest.raises(SourceError) as caught:
        read_markdown(path)
    assert caught.value.path == path
    return caught.value


def test_the_text_is_what_stands_below_the_front_matter(library: Path) -> None:
    path = library / "moon-planting.md"
    document = read_markdown(path)
    assert document.text == path.read_text(encoding="utf-8").split("---\n", 2)[2]
    assert document.source.id == "moon-planting"
    assert document.digest == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    "data",
    [
        ARTICLE,
        ARTICLE.replace(b"\n", b"\r\n"),
        ARTICLE.replace(b"\n", b"\r"),
        b"\xef\xbb\xbf" + ARTICLE,
        b"\xef\xbb\xbf" + ARTICLE.replace(b"\n", b"\r\n"),
    ],
    ids=["plain", "CRLF", "CR", "BOM", "BOM and CRLF"],
)
def test_line_ends_and_byte_order_marks_change_no_word(data: bytes, tmp_path: Path) -> None:
    assert read(data, tmp_path) == "# Tomatoes\n\nThey are red.\n"


def test_a_rule_in_the_text_ends_nothing(tmp_path: Path) -> None:
    assert read(CARD + b"---\nOne.\n\n---\n\nTwo.\n", tmp_path) == "One.\n\n---\n\nTwo.\n"


def test_letters_of_every_script_are_kept(tmp_path: Path) -> None:
    words = "Помидоры, トマト, naïve – “quoted” 🍅\n"
    assert read(CARD + b"---\n" + words.encode(), tmp_path) == words


@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
def test_the_line_of_a_problem_is_that_of_an_editor(end: bytes, tmp_path: Path) -> None:
    wrong = (CARD + b"colour: red\n---\nThey are red.\n").replace(b"\n", end)
    assert problem(wrong, tmp_path).line == 6
    assert problem(b"\xef\xbb\xbf" + wrong, tmp_path).line == 6


@pytest.mark.parametrize(
    ("data", "line", "message"),
    [
        (b"", 1, "There is no front matter"),
        (b"They are red.\n", 1, "There is no front matter"),
        (b"\n" + ARTICLE, 1, "There is no front matter"),
        (CARD + b"\nThey are red.\n", 1, "There is no front matter"),
        (CARD + b"---\n", None, "The article has no text"),
        (CARD + b"---\n\n \t \n\n", None, "The article has no text"),
        (CARD + b"---\nThey are\nr\xe9d.\n", 8, "The file is not UTF-8"),
        (ARTICLE.decode().encode("utf-16"), 1, "The file is not UTF-8"),
        (CARD + b"---\nThey\0are red.\n", 7, "The file holds a NUL character"),
        (b"---\ntitle: \0\n" + CARD, 2, "The file holds a NUL character"),
        ((CARD + b"---\nThey are\n\0\n").replace(b"\n", b"\r\n"), 8, "The file holds a NUL character"),
    ],
)
def test_what_cannot_be_read_is_an_error_with_its_line(data: bytes, line: int | None, message: str, tmp_path: Path) -> None:
    error = problem(data, tmp_path)
    assert error.message.startswith(message)
    assert error.hint
    if line is not None:
        assert error.line == line


def test_ten_megabytes_are_read_and_one_byte_more_is_not(tmp_path: Path) -> None:
    start, end = CARD + b"---\n```\n", b"\n```\n"
    largest = start + b"." * (MAX_BYTES - len(start) - len(end)) + end
    assert len(read(largest, tmp_path)) == MAX_BYTES - len(CARD) - len(b"---\n")
    assert "10,000,001 bytes; at most 10,000,000" in str(problem(largest + b"\n", tmp_path))


def test_a_file_that_is_gone_is_an_error_and_no_traceback(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"gone\.md: The file cannot be read: No such file"):
        read_markdown(tmp_path / "gone.md")
