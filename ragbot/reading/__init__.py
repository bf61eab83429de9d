"""sources/ → Document, and foreign files → Extract, of which a person makes an article. One file a format; adding one is a file, a line in
READERS (articles) or in FOREIGN_READERS (what staff bring, see ``isolating``), a test."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from ragbot.errors import RagbotError, SourceError
from ragbot.reading.front_matter import read_values, split_file
from ragbot.reading.markdown import read_markdown
from ragbot.records import Document

_MAYBE_RETIRED = re.compile(r"retired", re.IGNORECASE)
READERS: dict[str, Callable[[Path], Document]] = {".md": read_markdown}


def list_source_files(folder: Path) -> list[Path]:
    """The articles' files, by name. Hidden files and README.md are no articles.

    Raises:
        SourceError: the folder is missing.
    """
    if not folder.is_dir():
        raise SourceError("There is no such folder of sources.", "Name it with --sources DIR or RAGBOT_SOURCES.", path=folder)
    return sorted(
        path for path in folder.iterdir() if path.suffix.lower() in READERS and not path.name.startswith(".") and path.name != "README.md" and path.is_file()
    )


def read_source(path: Path) -> Document:
    """The article in one file.

    Raises:
        SourceError: its format is unknown, or it cannot be read.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise SourceError(f"No reader for {path.suffix!r} files.", f"Known: {', '.join(READERS)}.", path=path)
    return reader(path)


def read_sources(folder: Path, known: Mapping[str, Document] = MappingProxyType({})) -> tuple[list[Document], list[RagbotError]]:
    """All articles of a folder, and every problem found in them; a broken article hides no other.

    Beside what each reader finds: two articles with one id, and a caution that points to no article.

    Args:
        known: articles by id that were read before; where a file still has the digest it had then, it is not parsed again.
    """
    documents: list[Document] = []
    problems: list[RagbotError] = []
    seen: dict[str, Path] = {}
    for path in list_source_files(folder):
        try:
            before = known.get(path.stem)
            document = before if before is not None and _digest(path) == before.digest else read_source(path)
        except SourceError as error:
            problems.append(error)
            continue
        twin = seen.get(document.source.id.casefold())
        if twin is not None:
            problems.append(SourceError(f"The id {document.source.id!r} is taken by {twin.name!r}.", "Rename one of the files.", path=path))
            continue
        seen[document.source.id.casefold()] = path
        documents.append(document)
    published = {document.source.id for document in documents if document.source.status == "published"}
    for document in documents:
        path = seen[document.source.id.casefold()]
        problems += [
            SourceError(f"A caution points to {caution.see!r}, which is no published article.", "Name an article's id in 'see'.", path=path, line=1)
            for caution in document.source.cautions
            if caution.see not in published
        ]
    return documents, problems


def retired_ids(folder: Path) -> frozenset[str]:
    """The ids of the articles whose files say that they are retired; none where there is no such folder.

    Only a card that holds the word is read, because a bot asks when it starts.
    """
    if not folder.is_dir():
        return frozenset()
    found = set()
    for path in list_source_files(folder):
        try:
            card, _ = split_file(path.read_text(encoding="utf-8-sig", errors="replace"))
        except OSError:
            continue
        if _MAYBE_RETIRED.search(card) and read_values(card).get("status") == "retired":
            found.add(path.stem)
    return frozenset(found)


def _digest(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None
