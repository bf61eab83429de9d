"""What the staff page does with articles, in a process of its own (see ragbot.working): reading, proofing, showing, publishing.

No text of an article is parsed, rendered or searched in the process that serves the public. Each act and page is one method: the order
and its data in, the reply and a page or file out. A reply holds ``to``, where to go on; or ``status`` with a page; and ``follow``, the
article that the index has to follow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from typing import Any, TypeVar
from urllib.parse import quote

from ragbot import generations
from ragbot.chunking import split_document
from ragbot.curating import Desk, Draft
from ragbot.curating.drafting import unfinished_document
from ragbot.curating.missing import Feedback, Kind
from ragbot.curating.proofing import MOST_PROOFED, proof
from ragbot.errors import RagbotError, SourceError
from ragbot.generation import Generation
from ragbot.guardrails import OutputRail
from ragbot.library import Checkup, check_sources, open_policy
from ragbot.models import Embedder
from ragbot.records import Document
from ragbot.settings import Settings
from ragbot.web import staff_pages as pages
from ragbot.web.reindexing import Progress
from ragbot.web.signing_in import Session
from ragbot.web.staff_forms import edited_text
from ragbot.working import Tell

Reply = tuple[Mapping[str, Any], bytes]
Order = Mapping[str, Any]
Counts = TypeVar("Counts")


def open_work(setup: Mapping[str, Any]) -> StaffWork:
    """The work over the settings in ``setup``, as ``setup_of`` gives them."""
    return StaffWork(Settings(**setup["settings"]))


def setup_of(settings: Settings) -> dict[str, Any]:
    """The settings as JSON, without what only the server needs: no password hash goes to a process that reads strangers' files."""
    return {"settings": settings.model_copy(update={"staff": {}}).model_dump(mode="json")}


class StaffWork:
    """The work of the staff page, with what is worth keeping between two orders: the articles that were read, the index, the model."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._rail = OutputRail.of(open_policy(settings))
        # What was read the last time; see ``check_sources``.
        self._known: dict[str, Document] = {}
        self._embedder: Embedder | None = None
        self._generation: Generation | None = None
        self._tell: Tell = lambda step: None
        self.desk = Desk(settings)
        self.feedback = Feedback(settings)
        self._acts: dict[str, Callable[[Order, bytes], Reply]] = {
            "library": self.library, "draft": self.draft, "article": self.article, "original": self.original, "missing": self.missing,
            "add_file": self.add_file, "add_url": self.add_url, "add_text": self.add_text,
            "act_on_draft": self.act_on_draft, "act_on_article": self.act_on_article, "act_on_missing": self.act_on_missing,
        }  # fmt: skip

    def __call__(self, order: Order, data: bytes, tell: Tell) -> Reply:
        """Does what an order says.

        Raises:
            RagbotError: as what it names.
        """
        self._tell = tell
        return self._acts[order["do"]](order, data)

    # Looking.

    def library(self, order: Order, _: bytes) -> Reply:
        checkup = self._check()
        drafts, problems = self._drafts()
        usage, uncounted = self._counted(self.feedback.usage)
        told = [*order["alarms"], *self.feedback.alarms(), *uncounted, *problems, *(str(problem) for problem in checkup.problems)]
        return _page(pages.library_page(_session(order), checkup.documents, drafts, usage or {}, Progress(**order["progress"]), told))

    def draft(self, order: Order, _: bytes) -> Reply:
        identity, done = order["id"], order["done"]
        acts = self.desk.history.acts(identity)
        if acts and acts[-1].after.draft is None and not self.desk.has_draft(identity):
            return _page(pages.gone_page(_session(order), identity, acts, self.desk.last_reversible(identity), done))
        return _page(self._draft_html(_session(order), self.desk.draft(identity), done=done))

    def article(self, order: Order, _: bytes) -> Reply:
        identity = order["id"]
        text = self.desk.article_text(identity)
        acts, last = self.desk.history.acts(identity), self.desk.last_reversible(identity)
        return _page(pages.article_page(_session(order), identity, text, acts, last, order["done"]))

    def original(self, order: Order, _: bytes) -> Reply:
        origin = self.desk.origin(order["id"])
        if origin is None or not origin.sha256:
            return {"status": 404}, b""
        return {"name": origin.name, "suffix": origin.suffix}, self.desk.history.original(origin)

    def missing(self, order: Order, _: bytes) -> Reply:
        kinds: tuple[Kind, ...] = ("label", "status", "missing")
        totals, uncounted = self._counted(lambda: {str(kind): self.feedback.totals(kind) for kind in kinds})
        groups, ungrouped = self._counted(lambda: self.feedback.grouped(self._model()) if self._settings.keep_questions else [])
        uncounted = list(dict.fromkeys([*uncounted, *ungrouped]))
        return _page(pages.missing_page(_session(order), totals or {}, groups or [], self._settings, [*self.feedback.alarms(), *uncounted]))

    @staticmethod
    def _counted(gather: Callable[[], Counts]) -> tuple[Counts | None, list[str]]:
        """What the counts say, or why they cannot be read: a page is more than its counts."""
        try:
            return gather(), []
        except RagbotError as error:
            return None, [str(error)]

    def _check(self) -> Checkup:
        checkup = check_sources(self._settings, known=self._known)
        self._known = {document.source.id: document for document in checkup.documents}
        return checkup

    def _draft_html(self, session: Session, draft: Draft, *, done: str = "", problem: str = "", more: str | None = None) -> str:
        """The page of a draft.

        Args:
            problem: what kept it from being saved or published.
            more: what somebody typed as references and cautions, where it cannot be read.
        """
        self._tell("proofing")
        origin = self.desk.origin(draft.id)
        others = [_looked_at(other) for other in (*self._check().documents, *(other.document for other in self._drafts()[0]))]
        generation = self._index()
        findings = proof(draft, origin, self._rail, others, generation, self._model() if generation else None)
        asked, _ = self._counted(lambda: self.feedback.questions_for(draft.id))
        acts, last = self.desk.history.acts(draft.id), self.desk.last_reversible(draft.id)
        return pages.draft_page(session, draft, origin, findings, acts, last, asked=asked or (), done=done, problem=problem, more=more)

    def _drafts(self) -> tuple[list[Draft], list[str]]:
        """All drafts that can be opened, and what is wrong with the others."""
        drafts = []
        problems = [f"{path.name} lies among the drafts and cannot be one. Rename it, or take it away." for path in self.desk.stray_files()]
        for identity in self.desk.draft_ids():
            try:
                drafts.append(self.desk.draft(identity))
            except SourceError as error:
                problems.append(str(error))
        return drafts, problems

    def _model(self) -> Embedder:
        if self._embedder is None:
            self._embedder = Embedder(self._settings.embedding_model)
        return self._embedder

    def _index(self) -> Generation | None:
        """The generation that is served, to compare figures with; None where there is none that can be read."""
        with suppress(RagbotError):
            folder = generations.current_generation(self._settings.index)
            if self._generation is None or self._generation.name != folder.name:
                if self._generation is not None:
                    self._generation.close()
                self._generation = None
                self._generation = Generation(folder)
            return self._generation
        return None

    # Acting. Each act ends in a redirect, so that loading the page anew repeats nothing.

    def add_file(self, order: Order, data: bytes) -> Reply:
        self._tell("reading")
        return _to(f"/staff/drafts/{quote(self.desk.add_file(data, order['name'], order['session']['name']))}", "added")

    def add_url(self, order: Order, _: bytes) -> Reply:
        self._tell("fetching")
        return _to(f"/staff/drafts/{quote(self.desk.add_url(order['url'], order['session']['name']))}", "added")

    def add_text(self, order: Order, _: bytes) -> Reply:
        self._tell("reading")
        return _to(f"/staff/drafts/{quote(self.desk.add_text(order['title'], order['text'], order['session']['name']))}", "added")

    def act_on_draft(self, order: Order, _: bytes) -> Reply:
        identity, act, by = order["id"], order["act"], order["session"]["name"]
        if act in ("save", "publish"):
            refused = self._save(identity, _session(order), order["form"], act == "publish")
            if refused is not None:
                return _page(refused, 422)
        if act == "publish":
            return _to(f"/staff/articles/{quote(identity)}", "published", follow=identity)
        if act == "discard":
            self.desk.discard(identity, by)
            return _to(f"/staff/drafts/{quote(identity)}", "discarded")
        if act == "undo":
            return self._undo(identity, by)
        return _to(f"/staff/drafts/{quote(identity)}", "saved")

    def _save(self, identity: str, session: Session, form: Mapping[str, Any], publish: bool) -> str | None:
        """Saves what a form says, and publishes it if asked to; the page that tells why not, with everything as it was typed, or None."""
        draft = self.desk.draft(identity)
        text, slip = edited_text(draft.text, form)
        seen = str(form.get("seen", "")).strip()
        try:
            if slip:
                raise SourceError(slip, path=identity)
            if text != draft.text:
                self.desk.save(identity, text, session.name, seen=seen)
                draft = self.desk.draft(identity)
                seen = draft.digest
            if publish:
                self._tell("publishing")
                if draft.problem is None:
                    # A text that cannot be split in the time that this may take would hold up the index for ever.
                    split_document(draft.document)
                self.desk.publish(identity, session.name)
                self._counted(lambda: self.feedback.published(identity))
        except SourceError as error:
            typed = replace(draft, text=text, digest=seen, document=unfinished_document(identity, text))
            return self._draft_html(session, typed, problem=pages.problem_words(error), more=str(form.get("more", "")).strip() if slip else None)
        return None

    def act_on_article(self, order: Order, _: bytes) -> Reply:
        identity, act, by = order["id"], order["act"], order["session"]["name"]
        if act == "edit":
            self.desk.begin_edit(identity, by)
            return {"to": f"/staff/drafts/{quote(identity)}"}, b""
        if act == "retire":
            self.desk.retire(identity, by)
            return _to(f"/staff/articles/{quote(identity)}", act, follow=identity, gone=True)
        if act == "restore" and order["version"]:
            self.desk.restore(identity, by, order["version"])
            return _to(f"/staff/drafts/{quote(identity)}", "restored")
        if act == "restore":
            self.desk.restore(identity, by)
            return _to(f"/staff/articles/{quote(identity)}", act, follow=identity)
        if act == "undo":
            return self._undo(identity, by)
        return _to(f"/staff/articles/{quote(identity)}", act)

    def _undo(self, identity: str, by: str) -> Reply:
        undone = self.desk.undo(identity, by)
        kind = "articles" if undone.after.draft is None and undone.after.article is not None else "drafts"
        place = f"/staff/{kind}/{quote(identity)}"
        if undone.before.article == undone.after.article:
            return _to(place, "undone")
        return _to(place, "undone", follow=identity, gone=not self.desk.is_published(identity))

    def act_on_missing(self, order: Order, _: bytes) -> Reply:
        ids = order["ids"]
        if order["act"] == "delete":
            self.feedback.delete_questions(ids)
            return {"to": "/staff/missing"}, b""
        kept = [one for one in self.feedback.questions() if one.id in ids]
        if not kept:
            raise SourceError("These questions are not kept any more.", "Load the page anew.", path="questions")
        # The questions stand in the database alone, where they can be forgotten; the draft's page shows them from there.
        identity = self.desk.add_text("New article", "", order["session"]["name"], note="for questions without an answer")
        self.feedback.begin_article(ids, identity)
        return {"to": f"/staff/drafts/{quote(identity)}"}, b""


def order_of(session: Session, do: str, **values: Any) -> dict[str, Any]:
    """An order for ``StaffWork`` by somebody."""
    return {"do": do, "session": {"name": session.name, "csrf": session.csrf}, **values}


def progress_of(progress: Progress) -> dict[str, Any]:
    """How far indexing is, as an order may hold it."""
    return asdict(progress)


def _session(order: Order) -> Session:
    return Session(order["session"]["name"], order["session"]["csrf"], 0.0)


def _looked_at(document: Document) -> Document:
    """As much of an article as proofing compares with; of one that is longer than any should be, the rest is left aside."""
    return document if len(document.text) <= MOST_PROOFED else replace(document, text=document.text[:MOST_PROOFED])


def _page(html: str, status: int = 200) -> Reply:
    return {"status": status}, html.encode("utf-8", "replace")


def _to(path: str, done: str, *, follow: str = "", gone: bool = False) -> Reply:
    """A redirect to a page that says what was done, so that loading it anew repeats nothing; ``follow`` names what the index has to follow."""
    return {"to": f"{path}?done={quote(done)}"} | ({"follow": follow, "gone": gone} if follow else {}), b""
