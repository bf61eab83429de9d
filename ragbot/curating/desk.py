"""Draft → review → published → retired: what a person may do to an article, each act recorded and reversible.

::

    sources/drafts/ID.md    drafts: of new articles, and of new versions of published ones
    sources/ID.md           published and retired articles; only what is published is searched
    sources/history/        see ragbot.curating.versions

Nothing here touches the index: whoever acts brings it up to date afterwards.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path, PurePath

from ragbot.curating.drafting import article_id, draft_text, plain_id, unfinished_document, with_card
from ragbot.curating.git import commit_article
from ragbot.curating.versions import Act, Action, History, Origin, State, new_act, write_durably
from ragbot.errors import SourceError
from ragbot.locking import acquire_lock
from ragbot.reading import list_source_files, read_source
from ragbot.reading.extracts import Extract, leave_out_comments, tidy_line
from ragbot.reading.front_matter import read_values, set_status, split_file
from ragbot.reading.isolating import read_foreign
from ragbot.records import Document
from ragbot.settings import Settings

DRAFTS, HISTORY = "drafts", "history"
WAIT_SECONDS = 10
# README.md is no article, in the sources as among the drafts.
_NO_ARTICLE = "README"
_ID = re.compile(rf"(?!{_NO_ARTICLE}\Z)[A-Za-z0-9][A-Za-z0-9._-]{{0,99}}")
_REVERSIBLE: frozenset[Action] = frozenset({"imported", "drafted", "edited", "discarded", "published", "retired", "restored"})


@dataclass(frozen=True, slots=True)
class Draft:
    """A draft as it lies: its file's text, its document with the card as far as it is filled in, the
    sha256 of the file, and what still keeps it from being published."""

    id: str
    text: str
    document: Document
    digest: str
    problem: SourceError | None


class Desk:
    """The curators' desk over one folder of sources. Acts of several processes wait for each other."""

    def __init__(self, settings: Settings) -> None:
        self.folder = settings.sources
        self.drafts_folder = self.folder / DRAFTS
        self.history = History(self.folder / HISTORY)
        self._commits = settings.commit_sources

    # Looking.

    def draft_ids(self) -> list[str]:
        """The ids of all drafts: those in the folder of drafts, and articles whose card says ``draft``.

        Files that are no drafts, whatever their name says, are left out: see ``stray_files``.
        """
        found = {path.stem for path in self.drafts_folder.glob("*.md") if _ID.fullmatch(path.stem) and path.is_file()}
        for path in list_source_files(self.folder):
            if not _ID.fullmatch(path.stem):
                continue
            try:
                text = path.read_text(encoding="utf-8-sig", errors="replace")
            except OSError:
                # It is told where the sources are checked.
                continue
            if read_values(split_file(text)[0]).get("status", "draft") == "draft":
                found.add(path.stem)
        return sorted(found)

    def stray_files(self) -> list[Path]:
        """What lies among the drafts under the name of one and cannot be one: a name that is no id, a dead link, a folder."""
        there = (path for path in self.drafts_folder.glob("*.md") if not path.name.startswith(".") and path.stem != _NO_ARTICLE)
        return sorted(path for path in there if not (_ID.fullmatch(path.stem) and path.is_file()))

    def draft(self, identity: str) -> Draft:
        """A draft.

        Raises:
            SourceError: there is none, or its file cannot be opened.
        """
        path = self._draft_path(identity)
        if not path.is_file():
            path = self._article_path(identity)
            if not path.is_file() or identity not in self.draft_ids():
                raise SourceError(f"There is no draft {identity!r}.", "See: ragbot sources list", path=self.drafts_folder)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise SourceError(f"The draft cannot be opened: {error.strerror}.", "Make its file readable.", path=path) from error
        digest = hashlib.sha256(data).hexdigest()
        text = data.decode("utf-8-sig", errors="replace").replace("\r\n", "\n").replace("\r", "\n")
        try:
            return Draft(identity, text, read_source(path), digest, None)
        except SourceError as problem:
            return Draft(identity, text, unfinished_document(identity, text), digest, problem)

    def has_draft(self, identity: str) -> bool:
        """Whether there is a draft of that id."""
        return self._draft_path(identity).is_file() or identity in self.draft_ids()

    def article_text(self, identity: str) -> str:
        """The file of a published or retired article, as it stands.

        Raises:
            SourceError: there is none.
        """
        path = self._article_path(identity)
        if not path.is_file():
            raise SourceError(f"There is no article {identity!r}.", "See: ragbot sources list", path=self.folder)
        return path.read_bytes().decode("utf-8-sig", errors="replace")

    def is_published(self, identity: str) -> bool:
        """Whether the article's file says ``published``."""
        path = self._article_path(identity)
        return path.is_file() and read_values(split_file(path.read_text(encoding="utf-8-sig", errors="replace"))[0]).get("status") == "published"

    def origin(self, identity: str) -> Origin | None:
        """What an article was last imported from; None where it was written by hand."""
        return next((act.origin for act in reversed(self.history.acts(identity)) if act.origin is not None), None)

    # Acting.

    def add_file(self, data: bytes, name: str, by: str, *, url: str = "") -> str:
        """Makes a draft of a foreign file or page; its id. The file itself is kept under its sha256.

        Raises:
            SourceError: it cannot be read, or it is a Markdown file with a card whose name is taken; nothing is kept then.
        """
        name = tidy_line(PurePath(name.replace("\\", "/")).name)[:200] or "file"
        suffix = PurePath(name).suffix.lower()
        origin = Origin(name, url, suffix=suffix)
        if suffix == ".md" and (ready := with_card(data, name)) is not None:
            text, warnings = ready
            return self._add(text, by, "imported", wanted=PurePath(name).stem, origin=replace(origin, warnings=warnings), original=data)
        extract = read_foreign(data, name, url=url)
        return self._add(draft_text(extract, name, date.today()), by, "imported", origin=replace(origin, warnings=extract.warnings), original=data)

    def add_url(self, url: str, by: str) -> str:
        """Makes a draft of a page on the web; its id.

        Raises:
            SourceError: it may not be fetched, cannot be fetched or cannot be read.
        """
        from ragbot.reading.fetching import fetch

        fetched = fetch(url)
        name = PurePath(re.sub(r"[?#].*", "", fetched.url).rstrip("/")).name or "page"
        return self.add_file(fetched.data, f"{PurePath(name).stem}{fetched.suffix}", by, url=fetched.url)

    def add_text(self, title: str, text: str, by: str, *, note: str = "") -> str:
        """Makes a draft of words that somebody wrote or pasted; its id. Comments and invisible characters are taken out and told of.

        Args:
            note: why it was begun, for the record.
        """
        seen, warnings = leave_out_comments(text)
        extract = Extract(seen, title=title, warnings=warnings).tidied()
        origin = Origin("pasted text", warnings=extract.warnings) if extract.warnings else None
        return self._add(draft_text(extract, title or "article", date.today()), by, "drafted", origin=origin, note=note)

    def save(self, identity: str, text: str, by: str, *, seen: str | None = None) -> Act:
        """Writes a draft; one of a published article is its next version, while the published one stays as it is.

        Args:
            seen: the sha256 of the draft that the person began from; where another was saved since, nothing is overwritten.

        Raises:
            SourceError: somebody else has changed it in the meantime.
        """
        with self._acting():
            before = self._state(identity)
            if seen is not None and seen != (before.draft or before.article):
                raise SourceError(
                    "Somebody else has saved this draft in the meantime.", "Open it anew and put your changes in again.", path=self._draft_path(identity)
                )
            data = text.replace("\r\n", "\n").encode()
            self._put(self._draft_path(identity), self.history.keep(data))
            return self._record(new_act(identity, "edited", by, before, self._state(identity)))

    def begin_edit(self, identity: str, by: str) -> Draft:
        """The draft of an article; where there is none yet, the published version becomes one.

        Raises:
            SourceError: there is neither.
        """
        if not self._draft_path(identity).is_file():
            self.save(identity, self.article_text(identity), by)
        return self.draft(identity)

    def discard(self, identity: str, by: str) -> Act:
        """Puts a draft away; it stays in the history.

        Raises:
            SourceError: there is none.
        """
        with self._acting():
            before = self._state(identity)
            if before.draft is None:
                raise SourceError(f"There is no draft {identity!r} to put away.", path=self.drafts_folder)
            self._put(self._draft_path(identity), None)
            return self._record(new_act(identity, "discarded", by, before, self._state(identity)))

    def publish(self, identity: str, by: str) -> Act:
        """Makes a draft the published version of its article. What was published before stays in the history.

        Raises:
            SourceError: there is no such draft, or its card or text is not complete; nothing is changed then.
        """
        with self._acting():
            draft = self.draft(identity)
            if draft.problem is not None:
                raise draft.problem
            before = self._state(identity)
            data = set_status(draft.text, "published", self._draft_path(identity)).encode()
            self._put(self._article_path(identity), self.history.keep(data))
            self._put(self._draft_path(identity), None)
            return self._record(new_act(identity, "published", by, before, self._state(identity)))

    def retire(self, identity: str, by: str) -> Act:
        """Takes an article out of all answers; its file stays, with another status.

        Raises:
            SourceError: there is none, or it cannot be read.
        """
        return self._restate(identity, "retired", "retired", by)

    def restore(self, identity: str, by: str, version: str | None = None) -> Act:
        """Publishes a retired article again; or, with the sha256 of a version, makes that version the draft.

        Raises:
            SourceError: there is no such article, or it never had that version, or another draft of it lies there.
        """
        if version is None:
            return self._restate(identity, "published", "restored", by)
        with self._acting():
            own = {digest for act in self.history.acts(identity) for state in (act.before, act.after) for digest in (state.article, state.draft)}
            if version not in own:
                raise SourceError(f"The article {identity!r} never had the version {version[:12]!r}.", "See the list of versions.", path=self.folder)
            before = self._state(identity)
            if before.draft not in (None, version):
                raise SourceError(f"There is a draft already of {identity!r}.", "Publish it or put it away first.", path=self._draft_path(identity))
            self._put(self._draft_path(identity), self.history.keep(self.history.version(version)))
            return self._record(new_act(identity, "restored", by, before, self._state(identity), note=f"version {version[:12]}"))

    def last_reversible(self, identity: str) -> Act | None:
        """The act that ``undo`` would take back: the last one, if the article still lies as it left it."""
        acts = self.history.acts(identity)
        done = acts[-1] if acts else None
        return done if done is not None and done.action in _REVERSIBLE and self._state(identity) == done.after else None

    def undo(self, identity: str, by: str) -> Act:
        """Takes the last act on an article back.

        Raises:
            SourceError: there is none that can be, or the files were changed since.
        """
        with self._acting():
            last = self.last_reversible(identity)
            if last is None:
                raise SourceError(f"There is nothing to undo for {identity!r}.", "Restore a version from its history.", path=self.folder)
            self._put(self._article_path(identity), last.before.article)
            self._put(self._draft_path(identity), last.before.draft)
            return self._record(new_act(identity, "undone", by, last.after, self._state(identity), note=f"{last.action} by {last.by}"))

    # The files.

    def _add(
        self,
        text: str,
        by: str,
        action: Action,
        *,
        wanted: str = "",
        origin: Origin | None = None,
        original: bytes = b"",
        note: str = "",
    ) -> str:
        """Makes a file's text a draft; its id, which is made of the name that is wanted for it, or else of its title.

        Args:
            original: the bytes that it was made of, which are kept where there are any.
        """
        with self._acting():
            taken = {path.stem.casefold() for folder in (self.folder, self.drafts_folder) if folder.is_dir() for path in folder.glob("*.md")}
            # What is written in the sources by hand may have capitals and other signs in its name; the public finds only ids as made here.
            identity = plain_id(wanted)
            if identity and not taken.isdisjoint({identity, wanted.casefold()}):
                raise SourceError(f"The id {wanted!r} is taken.", "Rename the file.", path=origin.name if origin else wanted)
            identity = identity or article_id(str(read_values(split_file(text)[0]).get("title") or ""), taken)
            before = self._state(identity)
            if origin is not None and original:
                origin = replace(origin, sha256=self.history.keep(original, "originals", origin.suffix))
            self._put(self._draft_path(identity), self.history.keep(text.encode()))
            self._record(new_act(identity, action, by, before, self._state(identity), origin=origin, note=note))
            return identity

    def _restate(self, identity: str, status: str, action: Action, by: str) -> Act:
        with self._acting():
            text = self.article_text(identity)
            read_source(self._article_path(identity))
            before = self._state(identity)
            self._put(self._article_path(identity), self.history.keep(set_status(text, status, self._article_path(identity)).encode()))
            return self._record(new_act(identity, action, by, before, self._state(identity)))

    def _record(self, act: Act) -> Act:
        self.history.record(act)
        if self._commits and act.before.article != act.after.article:
            commit_article(self._article_path(act.article), f"{act.action.capitalize()}: {act.article}", act.by)
        return act

    def _state(self, identity: str) -> State:
        """How an article lies now; whatever lies there is kept in the history, also what somebody put there by hand."""
        kept = [self.history.keep(path.read_bytes()) if path.is_file() else None for path in (self._article_path(identity), self._draft_path(identity))]
        return State(*kept)

    def _put(self, path: Path, digest: str | None) -> None:
        """Makes a file hold a kept version, or be gone."""
        if digest is None:
            path.unlink(missing_ok=True)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        write_durably(path, self.history.version(digest))

    def _article_path(self, identity: str) -> Path:
        return self.folder / f"{self._known(identity)}.md"

    def _draft_path(self, identity: str) -> Path:
        return self.drafts_folder / f"{self._known(identity)}.md"

    def _known(self, identity: str) -> str:
        if not _ID.fullmatch(identity):
            raise SourceError(f"{identity!r} is no id of an article.", "Letters, digits, hyphens, dots.", path=self.folder)
        return identity

    @contextmanager
    def _acting(self) -> Iterator[None]:
        """Holds the sources, so that two people's acts come one after the other."""
        try:
            self.history.folder.mkdir(parents=True, exist_ok=True)
            release = acquire_lock(self.history.folder / ".lock", WAIT_SECONDS)
        except TimeoutError:
            raise SourceError("Somebody else is changing the sources just now.", "Try again in a moment.", path=self.folder) from None
        except OSError as error:
            raise SourceError(f"The folder of sources cannot be written: {error.strerror}.", "Make it writable.", path=self.folder) from error
        try:
            yield
        finally:
            release()
