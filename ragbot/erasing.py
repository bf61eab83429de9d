"""Deletes an article everywhere the product keeps it, and proves it: what was searched, what was found and removed, and, in the end, whether
any file still holds its words.

What is outside of the product's hands is named with what to do: backups (see ``ragbot.backup``), the history of a git repository, copies
that people made. Blocks of a disk that files were removed from are the file system's affair.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ragbot import generations
from ragbot.backup import recorded_backups
from ragbot.borrowing import sweep_folders
from ragbot.curating.desk import DRAFTS, HISTORY, WAIT_SECONDS, Desk
from ragbot.curating.forgetting import Mentions
from ragbot.curating.git import commit_article, commits_of
from ragbot.curating.missing import FOLDER
from ragbot.curating.versions import State, new_act, write_durably
from ragbot.embedded import names_of
from ragbot.errors import BackupError, IndexBusyError, SourceError
from ragbot.library import build_index
from ragbot.locking import acquire_lock
from ragbot.reading import READERS, list_source_files, read_sources
from ragbot.restoring import read_entries
from ragbot.settings import Settings
from ragbot.tracing import Tracer, telling_pieces

MENTIONS = "counts and kept questions"
BUSY_SECONDS, BUSY_PAUSE_SECONDS = 600, 1.0
Progress = Callable[[str, int, int], Any]


@dataclass(frozen=True, slots=True)
class Place:
    """One place that was searched: how many items of the article were found there, and how many removed."""

    name: str
    found: int
    removed: int = 0


@dataclass(frozen=True, slots=True)
class Erasure:
    """What was searched and found.

    ``files_searched`` were searched byte by byte for ``pieces`` of the article's words, and ``left`` are those that hold one still, or
    could not be read. ``elsewhere`` says what a person has to do.
    """

    article: str
    places: tuple[Place, ...]
    files_searched: int = 0
    pieces: int = 0
    left: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether nothing is left that this product knows of."""
        return not self.left and not self.elsewhere

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return asdict(self) | {"complete": self.complete}


@dataclass
class Erasing:
    """One article, where it stands, and its removal.

    Raises:
        SourceError: its id is none, it is found nowhere, or other articles cannot do without it.
    """

    settings: Settings
    identity: str
    _removed: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._desk = Desk(self.settings)
        self._desk.has_draft(self.identity)
        self._sources, self._history = self.settings.sources, self.settings.sources / HISTORY
        acts = self._desk.history.acts()
        self._own = [act for act in acts if act.article == self.identity]
        others = [act for act in acts if act.article != self.identity]
        self._kept = {digest for act in others for state in (act.before, act.after) for digest in (state.article, state.draft)}
        self._kept |= {hashlib.sha256(path.read_bytes()).hexdigest() for path in self._other_files()}
        versions = {digest for act in self._own for state in (act.before, act.after) for digest in (state.article, state.draft)} - self._kept
        imported = {act.origin.sha256 for act in others if act.origin is not None}
        originals = [act.origin for act in self._own if act.origin is not None and act.origin.sha256 not in imported | {""}]
        self.found: dict[str, list[Path]] = {
            "article": self._files(self._sources),
            "draft": self._files(self._sources / DRAFTS),
            "versions": _there(self._history / "versions" / f"{digest}.md" for digest in versions),
            "originals": _there({self._history / "originals" / f"{one.sha256}{one.suffix}" for one in originals}),
            "generations of the index": [folder for folder in generations.list_generations(self.settings.index) if self._in_generation(folder)],
        }
        self._mentions = Mentions(self._sources / FOLDER, self.identity)
        self._counted = {"record of acts": len(self._own), MENTIONS: self._mentions.count()}
        if not any(self.found.values()) and all(act.action == "erased" for act in self._own) and not self._counted[MENTIONS]:
            raise SourceError(f"There is no article {self.identity!r}.", "See: ragbot sources list", path=self._sources)
        self._tracer = Tracer(telling_pieces(self._texts(), b"\n".join(path.read_bytes() for path in self._other_files())))

    @property
    def places(self) -> tuple[Place, ...]:
        """What was found, and what was removed of it so far."""
        found = {name: len(paths) for name, paths in self.found.items()} | self._counted
        return tuple(Place(name, count, self._removed.get(name, 0)) for name, count in found.items())

    def run(self, by: str, progress: Progress = lambda step, done, total: None) -> Erasure:
        """Removes it everywhere, and searches every file. Running it again goes on where it was interrupted.

        Raises:
            SourceError: another article cannot be read, or points to this one, or somebody is changing the sources; nothing is removed.
            StoreError, ModelError, PolicyError: the index could not be built without it; the sources are rid of it, run it again.
        """
        documents, problems = read_sources(self._sources)
        pointing = [one.source.id for one in documents if one.source.id != self.identity and any(see.see == self.identity for see in one.source.cautions)]
        if pointing:
            raise SourceError(f"A caution of {pointing[0]!r} points to {self.identity!r}.", "Take the caution out first.", path=self._sources)
        own = set(self.found["article"])
        linked = [path.resolve() for name in ("article", "draft") for path in self.found[name] if path.is_symlink()]
        if wrong := [problem for problem in problems if getattr(problem, "path", None) not in own]:
            raise wrong[0]
        self._erase_sources(by)
        self._removed[MENTIONS] = self._mentions.remove()
        self._erase_generations(progress)
        links = (path for path in linked if path.exists())
        elsewhere = [f"{path} still holds it: the article was a link to that file, which is not ragbot's. Delete it yourself." for path in links]
        elsewhere += [*self._search_backups(), *self._search_git()]
        files, left = self._search_files(progress)
        return Erasure(self.identity, self.places, files, len(self._tracer.pieces), tuple(left), tuple(elsewhere))

    # Finding.

    def _files(self, folder: Path) -> list[Path]:
        """Its file in a folder, and what a crash may have left of writing it."""
        own = (path for path in folder.glob("*") if path.stem == self.identity and path.suffix.lower() in READERS)
        return sorted(path for path in (*own, *folder.glob(f".{self.identity}.md.*")) if path.is_file())

    def _other_files(self) -> list[Path]:
        drafts = self._sources / DRAFTS
        there = [*list_source_files(self._sources), *(list_source_files(drafts) if drafts.is_dir() else ())]
        return [path for path in there if path.stem != self.identity]

    def _in_generation(self, folder: Path) -> bool:
        return self._is_named_by(folder / "manifest.json") or any((folder / name).exists() for name in names_of(self.identity))

    def _is_named_by(self, manifest: Path) -> bool:
        if not manifest.is_file():
            return False
        data = manifest.read_bytes()
        try:
            return self.identity in json.loads(data)["documents"]
        except (ValueError, KeyError, TypeError):
            # What is damaged may have named it.
            return f'"{self.identity}"'.encode() in data

    def _texts(self) -> Iterator[str]:
        for path in (*self.found["article"], *self.found["draft"], *self.found["versions"]):
            yield path.read_bytes().decode("utf-8-sig", errors="replace")
        for folder in self.found["generations of the index"]:
            try:
                document = json.loads((folder / names_of(self.identity)[0]).read_bytes())["document"]
                yield f"{document['source']['title']}\n{document['text']}"
            except (OSError, ValueError, KeyError, TypeError):
                continue

    # Removing.

    def _erase_sources(self, by: str) -> None:
        self._history.mkdir(parents=True, exist_ok=True)
        try:
            release = acquire_lock(self._history / ".lock", WAIT_SECONDS)
        except TimeoutError:
            raise SourceError("Somebody else is changing the sources just now.", "Try again in a moment.", path=self._sources) from None
        try:
            for name in ("article", "draft", "versions", "originals"):
                for path in self.found[name]:
                    path.unlink(missing_ok=True)
                    self._removed[name] = self._removed.get(name, 0) + 1
            record = self._history / "acts.jsonl"
            if self._own:
                kept = [line for line in record.read_bytes().splitlines() if not self._speaks_of_it(line)]
                write_durably(record, b"".join(line + b"\n" for line in kept))
                self._removed["record of acts"] = len(self._own)
            # Who erased what and when is all that stays.
            self._desk.history.record(new_act(self.identity, "erased", by, State(), State()))
        finally:
            release()
        if self.settings.commit_sources and self._removed.get("article"):
            commit_article(self._sources / f"{self.identity}.md", f"Erased: {self.identity}", by)

    def _speaks_of_it(self, line: bytes) -> bool:
        try:
            return bool(json.loads(line)["article"] == self.identity)
        except (ValueError, KeyError, TypeError):
            # What a power cut left of a line.
            return self.identity.encode() in line

    def _erase_generations(self, progress: Progress) -> None:
        """Builds the index without it, its vectors written whole, and removes every other generation."""
        if not generations.list_generations(self.settings.index):
            return
        until = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                build_index(self.settings, progress=progress, whole=True)
                with generations.writing(self.settings.index):
                    generations.forget_all_but_current(self.settings.index)
                break
            except IndexBusyError:
                # A server that follows the sources may be at it already.
                if time.monotonic() > until:
                    raise
                time.sleep(BUSY_PAUSE_SECONDS)
        sweep_folders()
        gone = [folder for folder in self.found["generations of the index"] if not folder.exists() or not self._in_generation(folder)]
        self._removed["generations of the index"] = len(gone)

    # What is left.

    def _search_files(self, progress: Progress) -> tuple[int, list[str]]:
        """How many files there are, and those that hold words of the article, or bear its name; versions that nobody knows of are removed."""
        files = [path for folder in (self._sources, self.settings.index) for path in _all_files(folder)]
        left = []
        for number, path in enumerate(files, start=1):
            progress("searching every file", number, len(files))
            try:
                holds = path.stem == self.identity or self._tracer.in_file(path)
                if holds and path.parent == self._history / "versions" and path.stem not in self._kept:
                    path.unlink()
                    self.found["versions"].append(path)
                    self._removed["versions"] = self._removed.get("versions", 0) + 1
                    holds = False
            except FileNotFoundError:
                continue
            except OSError as error:
                left.append(f"{path} cannot be read: {error.strerror}")
                continue
            if holds:
                left.append(str(path))
        return len(files), left

    def _search_backups(self) -> Iterator[str]:
        names = {path.name for paths in self.found.values() for path in paths}
        found = 0
        for path in recorded_backups(self.settings):
            try:
                if not path.exists():
                    continue
                holds = False
                for entry, parts in read_entries(path):
                    # An entry is read to its end before the next one.
                    holds |= self._in_entry(entry.name, names, parts)
            except (BackupError, OSError) as error:
                yield f"The backup {str(path)!r} cannot be searched ({error}): delete it, or search it by hand."
                continue
            if holds:
                found += 1
                yield f"The backup {str(path)!r} holds it: write a new one (ragbot backup FILE), then delete the old one, and its copies."
        self._counted["backups on record"] = found

    def _in_entry(self, name: str, names: set[str], parts: Iterator[bytes]) -> bool:
        inside = self._tracer.in_bytes(parts)
        return inside or Path(name).name in names or Path(name).stem == self.identity

    def _search_git(self) -> Iterator[str]:
        places = ["article", "draft", "versions", "originals"]
        paths = {self._sources / f"{self.identity}.md", *(path for place in places for path in self.found[place])}
        if commits := commits_of(self._sources, sorted(paths)):
            count, prefixed = commits
            options = " ".join(f"--path {path}" for path in prefixed)
            yield (
                f"The history of the git repository still holds it, in {count} commits. Take it out of there with: "
                f"git filter-repo --invert-paths {options} — then push with --force, and have every clone made anew."
            )


def _there(paths: Iterator[Path] | set[Path]) -> list[Path]:
    return sorted(path for path in paths if path.is_file())


def _all_files(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        # What git keeps is packed; it is asked itself.
        folders[:] = [name for name in folders if name != ".git"]
        yield from (Path(parent) / name for name in names)
