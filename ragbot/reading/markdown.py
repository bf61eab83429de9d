"""Markdown files with front matter → Document."""

from __future__ import annotations

import hashlib
from pathlib import Path

from markdown_it import MarkdownIt
from mdit_py_plugins.front_matter import front_matter_plugin

from ragbot.errors import SourceError
from ragbot.reading.front_matter import read_front_matter
from ragbot.records import Document

MAX_BYTES = 10_000_000


def read_markdown(path: Path) -> Document:
    """The article in a Markdown file. Its text is everything below the front matter, as it stands.

    Raises:
        SourceError: not UTF-8, over 10 MB, no front matter, a wrong card, or no text; with file and line.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SourceError(f"The file cannot be read: {error.strerror}.", path=path) from error
    if len(data) > MAX_BYTES:
        raise SourceError(f"The file has {len(data):,} bytes; at most {MAX_BYTES:,} are read.", "Split the article.", path=path)
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise SourceError("The file is not UTF-8.", "Save it as UTF-8.", path=path, line=line) from error
    if "\0" in text:
        raise SourceError("The file holds a NUL character.", "Save it as plain text.", path=path, line=text[: text.index("\0")].count("\n") + 1)
    # Only the card is looked for: reading what stands within the lines of a long text takes time by the square of its length.
    tokens = MarkdownIt("zero").use(front_matter_plugin).disable("inline").parse(text)
    if not tokens or tokens[0].type != "front_matter" or tokens[0].map is None:
        raise SourceError("There is no front matter.", "Begin the file with a line '---', the card in YAML, and another line '---'.", path=path, line=1)
    source = read_front_matter(tokens[0].content, path, first_line=2)
    lines = text.split("\n")
    body = "\n".join(lines[tokens[0].map[1] :]).lstrip("\n")
    if not body.strip():
        raise SourceError("The article has no text.", "Write it below the front matter.", path=path, line=len(lines))
    return Document(source=source, text=body, digest=hashlib.sha256(data).hexdigest())
