"""What was done to the articles, by whom and when, and every version they ever had.

::

    sources/history/acts.jsonl           a line an act, only ever added to
    sources/history/versions/SHA256.md   each version of an article, under the digest of its bytes
    sources/history/originals/SHA256.pdf each file or page that an article was imported from

Versions stand beside the articles even where the folder is a git repository, where publishing is a commit as well (see
ragbot.curating.git): what staff do and undo in a browser must not depend on whether git is installed and what state it is in.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from ragbot.errors import SourceError

Action = Literal["imported", "drafted", "edited", "discarded", "published", "retired", "restored", "undone", "erased"]
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class State:
    """The sha256 of an article's file in the sources and of its draft; None where there is none."""

    article: str | None = None
    draft: str | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """What a draft was imported from: the file's or page's name, its address, its sha256 and ending, and what the reader warned of."""

    name: str
    url: str = ""
    sha256: str = ""
    suffix: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Act:
    """What somebody did to an article, and how it lay before and after. ``at`` is UTC, ISO 8601."""

    id: str
    article: str
    action: Action
    by: str
    at: str
    before: State = field(default_factory=State)
    after: State = field(default_factory=State)
    origin: Origin | None = None
    note: str = ""


def new_act(article: str, action: Action, by: str, before: State, after: State, *, origin: Origin | None = None, note: str = "") -> Act:
    """An act of this moment."""
    return Act(uuid.uuid4().hex[:12], article, action, by, datetime.now(UTC).isoformat(timespec="seconds"), before, after, origin, note)


class History:
    """The record of acts and the store of versions in one folder, made when it is first needed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def keep(self, data: bytes, kind: Literal["versions", "originals"] = "versions", suffix: str = ".md") -> str:
        """Keeps bytes under their digest, durably; the sha256. Keeping twice is keeping once."""
        digest = hashlib.sha256(data).hexdigest()
        path = self.folder / kind / f"{digest}{suffix}"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_durably(path, data)
        return digest

    def version(self, digest: str) -> bytes:
        """The bytes of a version.

        Raises:
            SourceError: it is not kept, or is damaged.
        """
        return self._read("versions", digest, ".md")

    def original(self, origin: Origin) -> bytes:
        """The bytes of what was imported.

        Raises:
            SourceError: it is not kept, or is damaged.
        """
        return self._read("originals", origin.sha256, origin.suffix)

    def _read(self, kind: str, digest: str, suffix: str) -> bytes:
        path = self.folder / kind / f"{digest}{suffix}"
        if not _DIGEST.fullmatch(digest) or not path.is_file():
            raise SourceError(f"The version {digest[:12]!r} is not kept.", "See the list of versions.", path=self.folder)
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != digest:
            raise SourceError("A kept version was changed or is damaged.", "Take it from a backup.", path=path)
        return data

    def record(self, act: Act) -> Act:
        """Adds an act to the record, durably."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "acts.jsonl"
        line = json.dumps(asdict(act), ensure_ascii=False).encode() + b"\n"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            # A line that a power cut left unfinished must not swallow this one.
            size = os.fstat(descriptor).st_size
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                line = b"\n" + line
            os.write(descriptor, line)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        return act

    def acts(self, article: str | None = None) -> list[Act]:
        """The acts on one article, or all, the oldest first. A line that cannot be read, as a power cut may leave, is left out."""
        return [act for act in self._lines() if article is None or act.article == article]

    def _lines(self) -> Iterator[Act]:
        try:
            text = (self.folder / "acts.jsonl").read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return
        for line in text.splitlines():
            try:
                values = json.loads(line)
                origin = values.pop("origin")
                before, after = State(**values.pop("before")), State(**values.pop("after"))
                known = Origin(**(origin | {"warnings": tuple(origin["warnings"])})) if origin else None
                yield Act(**values, before=before, after=after, origin=known)
            except (ValueError, TypeError, KeyError, AttributeError):
                continue


def write_durably(path: Path, data: bytes) -> None:
    """Replaces a file in one step: after a crash it holds the old bytes or the new ones, never half of them."""
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
