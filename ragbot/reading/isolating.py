"""Foreign files are read in a process of their own, with bounds on memory, time and size: what breaks there breaks nothing here."""

from __future__ import annotations

import io
import json
import lzma
import resource
import signal
import stat
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date
from importlib import import_module
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

from ragbot.errors import SourceError
from ragbot.reading.extracts import Extract
from ragbot.working import PATIENCE, environment, give_way

# Endings of files that can be imported, and the function (data, name) → Extract that reads them; loaded in the child only.
FOREIGN_READERS: dict[str, str] = {
    ".txt": "plain:read_plain", ".text": "plain:read_plain", ".md": "plain:read_plain", ".markdown": "plain:read_plain",
    ".html": "html:read_html", ".htm": "html:read_html", ".xhtml": "html:read_html", ".pdf": "pdf:read_pdf",
    ".docx": "word:read_word", ".odt": "opendocument:read_opendocument", ".epub": "epub:read_epub",
}  # fmt: skip
_CONTAINERS = {".docx": "[Content_Types].xml", ".odt": "content.xml", ".epub": "META-INF/container.xml"}
# What Word puts around a document with a password, and the entry that LibreOffice puts one into.
_COMPOUND, _ENCRYPTED = b"\xd0\xcf\x11\xe0", "encrypted-package"
MEGABYTE = 1_000_000
_START = "from ragbot.reading.isolating import work; work()"


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one file may cost (SAFETY 17): ``seconds`` are those of a core; on a busy machine it may last ``PATIENCE`` times as long."""

    memory_megabytes: int = 512
    seconds: int = 30
    zip_entries: int = 1000
    unpacked_megabytes: int = 100
    ratio: int = 100
    input_megabytes: int = 20


def read_foreign(data: bytes, name: str, *, url: str = "", limits: Limits | None = None) -> Extract:
    """What a foreign file holds.

    Args:
        name: the file's name; its ending chooses the reader.
        url: where it was fetched from, if it was.

    Raises:
        SourceError: the kind is unknown, the file is too large, broken, empty, or cost more than the limits allow.
    """
    limits = limits or Limits()
    suffix = PurePath(name).suffix.lower()
    if suffix not in FOREIGN_READERS:
        raise SourceError(f"Files that end in {suffix or 'nothing'!r} cannot be read.", f"Known: {', '.join(sorted(FOREIGN_READERS))}.", path=name)
    if len(data) > limits.input_megabytes * MEGABYTE:
        raise SourceError(f"The file is larger than {limits.input_megabytes} MB.", "Split it, or take the pictures out.", path=name)
    if not data.strip():
        raise SourceError("The file is empty.", path=name)
    order = json.dumps({"name": name, "url": url, "reader": FOREIGN_READERS[suffix], "limits": asdict(limits)}).encode()
    with tempfile.TemporaryDirectory(prefix="ragbot-") as folder:
        try:
            outcome = subprocess.run(
                [sys.executable, "-I", "-c", _START],
                input=order + b"\n" + data,
                capture_output=True,
                timeout=PATIENCE * limits.seconds,
                check=False,
                env=environment(alone=True),
                cwd=folder,
            )
        except subprocess.TimeoutExpired:
            outcome = None
    if outcome is None or outcome.returncode == -signal.SIGXCPU:
        raise SourceError(f"The file could not be read within {limits.seconds} seconds.", "Save it anew, or split it.", path=name)
    return _understand(outcome.stdout, name)


def _understand(reply: bytes, name: str) -> Extract:
    """The extract that the child printed."""
    try:
        said: dict[str, Any] = json.loads(reply)
        if "problem" in said:
            raise SourceError(str(said["problem"]), str(said["hint"]), path=name)
        published = date.fromisoformat(said["published"]) if said["published"] else None
        extract = Extract(
            text=str(said["text"]),
            title=str(said["title"]),
            authors=tuple(str(one) for one in said["authors"]),
            published=published,
            publisher=str(said["publisher"]),
            license=str(said["license"]),
            url=str(said["url"]),
            language=str(said["language"]),
            pages=int(said["pages"]) if said["pages"] else None,
            warnings=tuple(str(one) for one in said["warnings"]),
        )
    except (ValueError, TypeError, KeyError) as error:
        raise SourceError("The file broke its reader.", "It may be damaged, or made to do harm. Save it anew or paste its text.", path=name) from error
    extract = extract.tidied()
    if not any(letter.isalnum() for letter in extract.text):
        raise SourceError("No text was found in the file.", "Paste the text instead.", path=name)
    return extract


def work() -> None:
    """The child: reads the order and the data from stdin, prints the extract or the problem as JSON."""
    order = json.loads(sys.stdin.buffer.readline())
    limits = Limits(**order["limits"])
    data = sys.stdin.buffer.read()
    name: str = order["name"]
    try:
        give_way()
        reader = _load(order["reader"])
        _bound(limits)
        check_container(data, name, limits)
        extract = reader(data, name, url=order["url"]) if order["url"] and order["reader"].startswith("html:") else reader(data, name)
        said = asdict(extract) | {"published": extract.published.isoformat() if extract.published else None}
    except SourceError as error:
        said = {"problem": error.message, "hint": error.hint}
    except MemoryError:
        said = {"problem": f"The file needs more than {limits.memory_megabytes} MB of memory.", "hint": "Split it, or take the pictures out."}
    except RecursionError:
        said = {"problem": "The file is nested too deeply.", "hint": "Save it anew or paste its text."}
    sys.stdout.buffer.write(json.dumps(said).encode())


def _load(name: str) -> Callable[..., Extract]:
    module, function = name.split(":")
    reader: Callable[..., Extract] = getattr(import_module(f"ragbot.reading.{module}"), function)
    return reader


def _bound(limits: Limits) -> None:
    """Sets the bounds of this process; nothing here may write a file or start another process's worth of work."""
    memory = limits.memory_megabytes * MEGABYTE
    for kind, most in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0)):
        resource.setrlimit(kind, (most, most))
    # The first of the two is told by its signal, SIGXCPU, from whatever else may kill a process.
    resource.setrlimit(resource.RLIMIT_CPU, (limits.seconds, limits.seconds + 1))


def check_container(data: bytes, name: str, limits: Limits) -> None:
    """Looks at a file's first bytes and, for those that are zip containers, at their table of contents, before anything is unpacked.

    Raises:
        SourceError: it is no such file, or unpacks to too much, or holds names that lead elsewhere.
    """
    suffix = PurePath(name).suffix.lower()
    if suffix == ".pdf" and b"%PDF-" not in data[:1024]:
        raise SourceError("This is no PDF file, whatever its name says.", "Save it as PDF anew.", path=name)
    if suffix not in _CONTAINERS:
        return
    wrong = SourceError(f"This is no {suffix} file, whatever its name says, or it is damaged.", "Save it anew.", path=name)
    if data.startswith(_COMPOUND):
        raise SourceError("The file is protected by a password, or of an older kind of Word.", f"Save it as {suffix} without a password.", path=name)
    if not data.startswith(b"PK"):
        raise wrong
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as container:
            entries = container.infolist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise wrong from error
    names = {entry.filename for entry in entries}
    if _ENCRYPTED in names:
        raise SourceError("The file is protected by a password.", "Save it without a password.", path=name)
    if _CONTAINERS[suffix] not in names:
        raise wrong
    _check_entries(entries, len(data), name, limits)


def _check_entries(entries: list[zipfile.ZipInfo], size: int, name: str, limits: Limits) -> None:
    unpacked = sum(entry.file_size for entry in entries)
    if len(entries) > limits.zip_entries or unpacked > limits.unpacked_megabytes * MEGABYTE or unpacked > limits.ratio * max(size, 10_000):
        raise SourceError("The file unpacks to far more than it seems to hold.", "It may be made to do harm. Paste its text instead.", path=name)
    for entry in entries:
        path = PurePosixPath(entry.filename.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or stat.S_ISLNK(entry.external_attr >> 16):
            raise SourceError(f"The file holds a name that leads elsewhere: {entry.filename[:80]!r}.", "It may be made to do harm.", path=name)
        if entry.flag_bits & 1:
            raise SourceError("The file is encrypted.", "Save it without a password.", path=name)


def read_entry(container: zipfile.ZipFile, name: str, most: int = 50 * MEGABYTE) -> bytes:
    """One entry of a container, unpacked to no more than it says and than ``most``.

    Raises:
        KeyError: there is no such entry.
        SourceError: it unpacks to more, or is damaged.
    """
    try:
        with container.open(name) as entry:
            data = entry.read(most + 1)
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise SourceError(f"The part {name[:80]!r} of the file is damaged.", "Save it anew.", path=Path(name).name) from error
    if len(data) > most:
        raise SourceError("The file unpacks to far more than it seems to hold.", "Paste its text instead.", path=Path(name).name)
    return data
