"""Plain text and Markdown without a card → Extract."""

from __future__ import annotations

import re

from ragbot.errors import SourceError
from ragbot.reading.extracts import Extract, leave_out_comments
from ragbot.reading.front_matter import split_file

_TITLE = re.compile(r"\A\s*#[ \t]+([^\s#][^\r\n]*)")
_MAGIC = (b"%PDF-", b"PK\x03\x04", b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"MZ", b"\x7fELF", b"\x1f\x8b", b"{\\rtf", b"\xd0\xcf\x11\xe0")


def read_plain(data: bytes, name: str) -> Extract:
    """The text of a file as it stands, without HTML comments; a first-level heading at the top is its title.

    Raises:
        SourceError: it is no text.
    """
    if data.startswith(_MAGIC):
        raise SourceError("This is no text file, whatever its name says.", "Give it the ending that it should have.", path=name)
    text, warnings = decode(data, name)
    if name.lower().endswith((".md", ".markdown")):
        card, body = split_file(text)
        if card:
            warnings += ("The front matter could not be used and was left out.",)
            text = body
    text, hidden = leave_out_comments(text)
    warnings += hidden
    title = _TITLE.search(text)
    if title:
        text = text[: title.start()] + text[title.end() :]
    return Extract(text, title=title.group(1).strip().rstrip("#").strip() if title else "", warnings=warnings)


def decode(data: bytes, name: str) -> tuple[str, tuple[str, ...]]:
    """Bytes as text, with a warning where the encoding had to be guessed.

    Raises:
        SourceError: they are no text.
    """
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            return data.decode("utf-16"), ()
        except UnicodeDecodeError as error:
            raise SourceError("The file's UTF-16 is damaged.", "Save it as UTF-8.", path=name) from error
    if b"\0" in data:
        raise SourceError("This is no text file: it holds NUL bytes.", "Save it as plain text in UTF-8.", path=name)
    try:
        return data.decode("utf-8-sig"), ()
    except UnicodeDecodeError:
        from charset_normalizer import from_bytes

        best = from_bytes(data).best()
        if best is None:
            raise SourceError("It cannot be told how the file's letters are encoded.", "Save it as UTF-8.", path=name) from None
        return str(best), (f"The file is not UTF-8; it was read as {best.encoding}. Look at letters beyond a to z.",)
