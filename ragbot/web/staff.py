"""The staff page: an app of its own under /staff, plain forms, no Gradio; nobody who is not signed in gets past its first line.

What staff upload is read here and kept by ragbot.curating; the chat's app never sees it.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace
from urllib.parse import quote, urlsplit

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from ragbot.chatbot import Ragbot
from ragbot.curating import Desk, Draft
from ragbot.curating.drafting import unfinished_document
from ragbot.curating.missing import Feedback
from ragbot.curating.proofing import proof
from ragbot.errors import RagbotError, SourceError
from ragbot.guardrails import OutputRail
from ragbot.library import Checkup, check_sources, open_policy
from ragbot.records import Document
from ragbot.settings import Settings
from ragbot.web import staff_pages as pages
from ragbot.web.reindexing import Reindexing
from ragbot.web.signing_in import (
    COOKIE,
    ENDED,
    ENDED_WHILE_WRITING,
    LONGEST_SECONDS,
    Session,
    SignIn,
    SignInRefusedError,
    brings_back,
    goal_of,
    safe_goal,
)
from ragbot.web.staff_forms import edited_text

_log = logging.getLogger("ragbot")
MOST_UPLOAD_BYTES = 20_000_000
Handler = Callable[[Request, Session], Awaitable[Response]]
# Types under which an original is shown in the browser; everything else is downloaded. HTML is shown without any script or network.
SHOWN_TYPES = {".pdf": "application/pdf", ".html": "text/html", ".htm": "text/html", ".xhtml": "text/html", ".txt": "text/plain", ".md": "text/plain"}


class Staff:
    """What the staff page does, one method a page or act."""

    def __init__(self, settings: Settings, bot: Callable[[], Ragbot | None], reindexing: Reindexing) -> None:
        self._settings = settings
        self._bot = bot
        self._reindexing = reindexing
        self._sign_in = SignIn(settings.staff)
        self._rail = OutputRail.of(open_policy(settings))
        # What was read the last time; see ``check_sources``.
        self._known: dict[str, Document] = {}
        self.desk = Desk(settings)
        self.feedback = Feedback(settings)

    def app(self) -> Starlette:
        """The ASGI app, with its routes under /staff."""
        looking: list[tuple[str, Handler]] = [
            ("/staff", self.library), ("/staff/add", self.adding), ("/staff/drafts/{id}", self.draft), ("/staff/articles/{id}", self.article),
            ("/staff/originals/{id}", self.original), ("/staff/missing", self.missing), ("/staff/progress", self.progress),
        ]  # fmt: skip
        acting: list[tuple[str, Handler]] = [
            ("/staff/sign-out", self.sign_out), ("/staff/add", self.add), ("/staff/drafts/{id}", self.act_on_draft),
            ("/staff/articles/{id}", self.act_on_article), ("/staff/missing", self.act_on_missing),
        ]  # fmt: skip
        return Starlette(
            routes=[
                Route("/staff/sign-in", self.sign_in, methods=["POST"]),
                *(Route(path, self._signed_in(handler), methods=["GET"]) for path, handler in looking),
                *(Route(path, self._signed_in(handler, acts=True), methods=["POST"]) for path, handler in acting),
            ],
            exception_handlers={HTTPException: _refusal, Exception: _incident},
        )

    # The door.

    def _signed_in(self, handler: Handler, *, acts: bool = False) -> Callable[[Request], Awaitable[Response]]:
        async def guarded(request: Request) -> Response:
            cookie = request.cookies.get(COOKIE)
            session = self._sign_in.session(cookie)
            if session is None:
                ended = (ENDED_WHILE_WRITING if acts else ENDED) if cookie else ""
                return HTMLResponse(pages.sign_in_page(ended, goal_of(request)), status_code=401)
            if acts:
                if not _same_origin(request):
                    raise HTTPException(403, "This form was not sent from this page.")
                request.state.form = await request.form(max_files=1, max_fields=60, max_part_size=12_000_000)
                if not brings_back(session, request.state.form.get("csrf")):
                    raise HTTPException(403, "This form is too old. Go back, load the page anew and try again.")
            try:
                return await handler(request, session)
            except RagbotError as error:
                return HTMLResponse(pages.problem_page(session, error), status_code=422)

        return guarded

    async def sign_in(self, request: Request) -> Response:
        visitor = request.client.host if request.client else "unknown"
        if not _same_origin(request):
            raise HTTPException(403, "This form was not sent from this page.")
        if not self._sign_in.admits(visitor):
            return HTMLResponse(pages.sign_in_page("Too many wrong passwords. Wait five minutes."), status_code=429)
        form = await request.form(max_files=0, max_fields=5, max_part_size=10_000)
        password, goal = form.get("password"), safe_goal(form.get("next"))
        try:
            token = await self._sign_in.sign_in_in_turn(_words(form, "name"), password if isinstance(password, str) else "", visitor)
        except SignInRefusedError as error:
            return HTMLResponse(pages.sign_in_page(str(error), goal), status_code=429)
        if token is None:
            if not self._sign_in.admits(visitor):
                return HTMLResponse(pages.sign_in_page("Too many wrong passwords. Wait five minutes.", goal), status_code=429)
            return HTMLResponse(pages.sign_in_page("Name and password do not match.", goal), status_code=401)
        response = RedirectResponse(goal, status_code=303)
        response.set_cookie(COOKIE, token, max_age=LONGEST_SECONDS, path="/staff", httponly=True, samesite="strict", secure=request.url.scheme == "https")
        return response

    async def sign_out(self, request: Request, session: Session) -> Response:
        self._sign_in.sign_out(request.cookies.get(COOKIE))
        response = RedirectResponse("/staff", status_code=303)
        response.delete_cookie(COOKIE, path="/staff")
        return response

    def _check(self) -> Checkup:
        checkup = check_sources(self._settings, known=self._known)
        self._known = {document.source.id: document for document in checkup.documents}
        return checkup

    # Looking.

    async def library(self, request: Request, session: Session) -> Response:
        def gather() -> str:
            checkup = self._check()
            drafts, problems = self._drafts()
            alarms = bot.engines.alarms if (bot := self._bot()) is not None else []
            told = [*alarms, *problems, *(str(problem) for problem in checkup.problems)]
            return pages.library_page(session, checkup.documents, drafts, self.feedback.usage(), self._reindexing.progress, told)

        return HTMLResponse(await run_in_threadpool(gather))

    async def adding(self, request: Request, session: Session) -> Response:
        return HTMLResponse(pages.adding_page(session))

    async def draft(self, request: Request, session: Session) -> Response:
        identity, done = request.path_params["id"], request.query_params.get("done", "")

        def gather() -> str:
            acts = self.desk.history.acts(identity)
            if acts and acts[-1].after.draft is None and not self.desk.has_draft(identity):
                return pages.gone_page(session, identity, acts, self.desk.last_reversible(identity), done)
            return self._draft_html(session, self.desk.draft(identity), done=done)

        return HTMLResponse(await run_in_threadpool(gather))

    def _draft_html(self, session: Session, draft: Draft, *, done: str = "", problem: str = "", more: str | None = None) -> str:
        """The page of a draft.

        Args:
            problem: what kept it from being saved or published.
            more: what somebody typed as references and cautions, where it cannot be read.
        """
        origin, bot = self.desk.origin(draft.id), self._bot()
        others = [*self._check().documents, *(other.document for other in self._drafts()[0])]
        findings = proof(draft, origin, self._rail, others, bot.generation if bot else None, bot.embedder if bot else None)
        asked = self.feedback.questions_for(draft.id)
        acts, last = self.desk.history.acts(draft.id), self.desk.last_reversible(draft.id)
        return pages.draft_page(session, draft, origin, findings, acts, last, asked=asked, done=done, problem=problem, more=more)

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

    async def article(self, request: Request, session: Session) -> Response:
        identity = request.path_params["id"]

        def gather() -> str:
            text = self.desk.article_text(identity)
            acts, last = self.desk.history.acts(identity), self.desk.last_reversible(identity)
            return pages.article_page(session, identity, text, acts, last, request.query_params.get("done", ""))

        return HTMLResponse(await run_in_threadpool(gather))

    async def original(self, request: Request, session: Session) -> Response:
        origin = await run_in_threadpool(self.desk.origin, request.path_params["id"])
        if origin is None or not origin.sha256:
            raise HTTPException(404, "There is no original.")
        data = await run_in_threadpool(self.desk.history.original, origin)
        kind = SHOWN_TYPES.get(origin.suffix)
        name = quote(origin.name)
        headers = {
            "content-disposition": f"{'inline' if kind else 'attachment'}; filename*=UTF-8''{name}",
            # Whatever the file holds, it runs nothing, loads nothing, and may only be framed by the staff page.
            "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
            + ("" if kind == "application/pdf" else "; sandbox"),
            "x-frame-options": "SAMEORIGIN",
        }
        return Response(data, media_type=kind or "application/octet-stream", headers=headers)

    async def progress(self, request: Request, session: Session) -> Response:
        now = self._reindexing.progress
        return JSONResponse({"state": now.state, "words": pages.progress_words(now)})

    async def missing(self, request: Request, session: Session) -> Response:
        def gather() -> str:
            bot = self._bot()
            groups = self.feedback.grouped(bot.embedder) if bot is not None else [[one] for one in self.feedback.questions()]
            totals = {kind: self.feedback.totals(kind) for kind in ("label", "status", "missing")}
            return pages.missing_page(session, totals, groups, self._settings)

        return HTMLResponse(await run_in_threadpool(gather))

    # Acting. Each act ends in a redirect, so that loading the page anew repeats nothing.

    async def add(self, request: Request, session: Session) -> Response:
        form: FormData = request.state.form
        upload = form.get("file")
        if isinstance(upload, UploadFile) and upload.filename:
            data = await upload.read()
            identity = await run_in_threadpool(self.desk.add_file, data, upload.filename, session.name)
        elif address := _words(form, "url"):
            identity = await run_in_threadpool(self.desk.add_url, address, session.name)
        elif words := _words(form, "text"):
            identity = await run_in_threadpool(self.desk.add_text, _words(form, "title"), words, session.name)
        else:
            raise SourceError("Nothing was given.", "Choose a file, give an address, or paste a text.", path="upload")
        return _to(f"/staff/drafts/{quote(identity)}", "added")

    async def act_on_draft(self, request: Request, session: Session) -> Response:
        identity, form = request.path_params["id"], request.state.form
        act = _words(form, "act")
        if act in ("save", "publish"):
            refused = await run_in_threadpool(self._save, identity, session, form, act == "publish")
            if refused is not None:
                return HTMLResponse(refused, status_code=422)
        if act == "publish":
            self._bring_up_to_date(identity)
            return _to(f"/staff/articles/{quote(identity)}", "published")
        if act == "discard":
            await run_in_threadpool(self.desk.discard, identity, session.name)
            return _to(f"/staff/drafts/{quote(identity)}", "discarded")
        if act == "undo":
            return await self._undo(identity, session)
        return _to(f"/staff/drafts/{quote(identity)}", "saved")

    def _save(self, identity: str, session: Session, form: FormData, publish: bool) -> str | None:
        """Saves what a form says, and publishes it if asked to; the page that tells why not, with everything as it was typed, or None."""
        draft = self.desk.draft(identity)
        text, slip = edited_text(draft.text, form)
        seen = _words(form, "seen")
        try:
            if slip:
                raise SourceError(slip, path=identity)
            if text != draft.text:
                self.desk.save(identity, text, session.name, seen=seen)
                seen = self.desk.draft(identity).digest
            if publish:
                self.desk.publish(identity, session.name)
                self.feedback.published(identity)
        except SourceError as error:
            typed = replace(draft, text=text, digest=seen, document=unfinished_document(identity, text))
            return self._draft_html(session, typed, problem=pages.problem_words(error), more=_words(form, "more") if slip else None)
        return None

    async def act_on_article(self, request: Request, session: Session) -> Response:
        identity, form = request.path_params["id"], request.state.form
        act = _words(form, "act")
        if act == "edit":
            await run_in_threadpool(self.desk.begin_edit, identity, session.name)
            return RedirectResponse(f"/staff/drafts/{quote(identity)}", status_code=303)
        if act == "retire":
            await run_in_threadpool(self.desk.retire, identity, session.name)
            self._bring_up_to_date(identity, gone=True)
        elif act == "restore" and (version := _words(form, "version")):
            await run_in_threadpool(self.desk.restore, identity, session.name, version)
            return _to(f"/staff/drafts/{quote(identity)}", "restored")
        elif act == "restore":
            await run_in_threadpool(self.desk.restore, identity, session.name)
            self._bring_up_to_date(identity)
        elif act == "undo":
            return await self._undo(identity, session)
        return _to(f"/staff/articles/{quote(identity)}", act)

    async def _undo(self, identity: str, session: Session) -> Response:
        undone = await run_in_threadpool(self.desk.undo, identity, session.name)
        if undone.before.article != undone.after.article:
            self._bring_up_to_date(identity, gone=not await run_in_threadpool(self.desk.is_published, identity))
        kind = "articles" if undone.after.draft is None and undone.after.article is not None else "drafts"
        return _to(f"/staff/{kind}/{quote(identity)}", "undone")

    def _bring_up_to_date(self, identity: str, *, gone: bool = False) -> None:
        """Has the index follow, and keeps what was taken back out of answers at once."""
        if (bot := self._bot()) is not None:
            (bot.engines.withdraw if gone else bot.engines.readmit)(identity)
        self._reindexing.request()

    async def act_on_missing(self, request: Request, session: Session) -> Response:
        form: FormData = request.state.form
        ids = [int(value) for value in _words(form, "questions").split(",") if value.isdigit()]
        if _words(form, "act") == "delete":
            await run_in_threadpool(self.feedback.delete_questions, ids)
            return RedirectResponse("/staff/missing", status_code=303)
        kept = [one for one in await run_in_threadpool(self.feedback.questions) if one.id in ids]
        if not kept:
            raise SourceError("These questions are not kept any more.", "Load the page anew.", path="questions")
        # The questions stand in the database alone, where they can be forgotten; the draft's page shows them from there.
        identity = await run_in_threadpool(lambda: self.desk.add_text("New article", "", session.name, note="for questions without an answer"))
        await run_in_threadpool(self.feedback.begin_article, ids, identity)
        return RedirectResponse(f"/staff/drafts/{quote(identity)}", status_code=303)


def _to(path: str, done: str) -> Response:
    """A redirect to a page that says what was done, so that loading it anew repeats nothing."""
    return RedirectResponse(f"{path}?done={quote(done)}", status_code=303)


def _words(form: FormData, key: str) -> str:
    value = form.get(key)
    return value.strip() if isinstance(value, str) else ""


def _same_origin(request: Request) -> bool:
    """Whether a browser sent this from a page of this very site; a program that sends neither header has no cookie to be misused."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host", "")


async def _refusal(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return PlainTextResponse(str(error.detail), status_code=error.status_code)


async def _incident(_: Request, error: Exception) -> Response:
    incident = uuid.uuid4().hex[:8]
    _log.error("incident %s on the staff page", incident, exc_info=error)
    return PlainTextResponse(f"Something went wrong that should not have (incident {incident}, see the log). Nothing was changed.", status_code=500)
