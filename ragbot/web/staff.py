"""The staff page: an app of its own under /staff, plain forms, no Gradio; nobody who is not signed in gets past its first line.

Here is who may ask for what. The work itself, whatever touches an article, is done in processes of its own (ragbot.web.staff_work), so
that no text, however long or hostile, holds up those who are served; what takes a while is waited for on a page that says how far it is.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from typing import Any
from urllib.parse import quote, urlsplit

from starlette.applications import Starlette
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from ragbot.chatbot import Ragbot
from ragbot.errors import RagbotError, SourceError
from ragbot.reading.extracts import leave_out_invisible
from ragbot.settings import Settings
from ragbot.web import staff_pages as pages
from ragbot.web.queueing import Doer, Job, Jobs, Lane, Made
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
from ragbot.web.staff_work import order_of, progress_of, setup_of
from ragbot.working import Bounds, BrokenWorkError, Worker, place_of

_log = logging.getLogger("ragbot")
MOST_UPLOAD_BYTES = 20_000_000
# A text that is pasted or edited; what is longer is uploaded as a file, which is never decoded in this process.
MOST_FIELD_BYTES = 4_000_000
# A form that is not sent in parts is decoded letter by letter, some 80 ms a megabyte; the page's own long forms are sent in parts.
MOST_PLAIN_FORM_BYTES = 1_000_000
# What is done within this time is answered at once; then a page says how far it is.
PATIENCE_SECONDS = 4.0
# An order may cost this much; reading a file has bounds of its own within it (ragbot.reading.isolating).
BOUNDS = Bounds(memory_megabytes=2_500, seconds=120)
Handler = Callable[[Request, Session], Awaitable[Response]]
# Types under which an original is shown in the browser; everything else is downloaded. HTML is shown without any script or network.
SHOWN_TYPES = {".pdf": "application/pdf", ".html": "text/html", ".htm": "text/html", ".xhtml": "text/html", ".txt": "text/plain", ".md": "text/plain"}


class Staff:
    """What the staff page does, one method a page or act.

    Args:
        bot: the bot that is served, once it is loaded.
        doer: what does the work, in place of a process of its own.
    """

    def __init__(self, settings: Settings, bot: Callable[[], Ragbot | None], reindexing: Reindexing, doer: Callable[[], Doer] | None = None) -> None:
        self._bot = bot
        self._reindexing = reindexing
        self._sign_in = SignIn(settings.staff)
        doer = doer or (lambda: Worker("ragbot.web.staff_work:open_work", setup_of(settings), BOUNDS))
        # What is looked at is not held up by what is read in.
        self._looking, self._adding = Lane(2, doer), Lane(1, doer)
        self._jobs = Jobs()

    def app(self) -> Starlette:
        """The ASGI app, with its routes under /staff."""
        looking: list[tuple[str, Handler]] = [
            ("/staff", self.library), ("/staff/add", self.adding), ("/staff/drafts/{id}", self.draft), ("/staff/articles/{id}", self.article),
            ("/staff/originals/{id}", self.original), ("/staff/missing", self.missing), ("/staff/progress", self.progress),
            ("/staff/waiting/{job}", self.waiting),
        ]  # fmt: skip
        acting: list[tuple[str, Handler]] = [
            ("/staff/sign-out", self.sign_out), ("/staff/add", self.add), ("/staff/drafts/{id}", self.act_on_draft),
            ("/staff/articles/{id}", self.act_on_article), ("/staff/missing", self.act_on_missing),
        ]  # fmt: skip
        app = Starlette(
            routes=[
                Route("/staff/sign-in", _calmly(self.sign_in), methods=["POST"]),
                *(Route(path, self._signed_in(handler), methods=["GET"]) for path, handler in looking),
                *(Route(path, self._signed_in(handler, acts=True), methods=["POST"]) for path, handler in acting),
            ],
            exception_handlers={HTTPException: _refusal},
        )
        # Starlette would send "/staff/add/" to "/staff/add" at whatever name a visitor gives the server.
        app.router.redirect_slashes = False
        return app

    def stop(self, seconds: float = 10.0) -> None:
        """Ends after the work that is under way, for which it waits no longer than the seconds."""
        for lane in (self._looking, self._adding):
            lane.stop(seconds)

    # The door.

    def _signed_in(self, handler: Handler, *, acts: bool = False) -> Callable[[Request], Awaitable[Response]]:
        async def guarded(request: Request) -> Response:
            cookie = request.cookies.get(COOKIE)
            session = self._sign_in.session(cookie)
            if session is None:
                ended = (ENDED_WHILE_WRITING if acts else ENDED) if cookie else ""
                return HTMLResponse(pages.sign_in_page(ended, goal_of(request)), status_code=401)
            if not acts:
                return await self._handled(handler, request, session)
            if not _same_origin(request):
                raise HTTPException(403, "This form was not sent from this page.")
            try:
                request.state.form = await _form_of(request)
                if not brings_back(session, request.state.form.get("csrf")):
                    raise HTTPException(403, "This form is too old. Go back, load the page anew and try again.")
                return await self._handled(handler, request, session)
            finally:
                # What was uploaded lies in a file of its own until then.
                await request.close()

        return _calmly(guarded)

    @staticmethod
    async def _handled(handler: Handler, request: Request, session: Session) -> Response:
        try:
            return await handler(request, session)
        except RagbotError as error:
            return HTMLResponse(pages.problem_page(session, error), status_code=422)

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

    # Waiting.

    async def _do(self, request: Request, session: Session, order: Mapping[str, Any], data: bytes = b"", *, adding: bool = False) -> Response:
        """What comes of an order, or, where that takes a while, the way to a page that says how far it is."""
        # What is only looked at has an address, at which its page is found once it is made.
        place = f"{request.url.path}?{request.url.query}" if request.method == "GET" else ""
        job = self._jobs.find_at(place, session.csrf) if place else None
        if job is None:
            job = Job(session.csrf, order, data, place)
            job.made.add_done_callback(self._follow)
            (self._adding if adding else self._looking).submit(job)
        waiting = asyncio.wrap_future(job.made)
        # Its error is told to whoever asked; one that nobody has looked at would be logged with all its words.
        waiting.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.wait([waiting], timeout=PATIENCE_SECONDS)
        return await self._outcome(session, job)

    async def _outcome(self, session: Session, job: Job) -> Response:
        if not job.made.done():
            self._jobs.keep(job)
            return RedirectResponse(f"/staff/waiting/{job.id}", status_code=303)
        self._jobs.forget(job)
        reply, made = job.made.result()
        if "to" in reply:
            return RedirectResponse(str(reply["to"]), status_code=303)
        if job.order["do"] == "original":
            return _original(reply, made)
        return HTMLResponse(made, status_code=int(reply["status"]))

    async def waiting(self, request: Request, session: Session) -> Response:
        job = self._jobs.find(request.path_params["job"], session.csrf)
        if job is None:
            # It was fetched already; whatever was made stands in the library.
            return RedirectResponse("/staff", status_code=303)
        if not job.made.done():
            return HTMLResponse(pages.waiting_page(session, job.id, self._words_on(job)))
        return RedirectResponse(job.place, status_code=303) if job.place else await self._outcome(session, job)

    async def progress(self, request: Request, session: Session) -> Response:
        if (named := request.query_params.get("work")) is not None:
            job = self._jobs.find(named, session.csrf)
            return JSONResponse({"state": "done", "words": ""} if job is None else {"state": job.state, "words": self._words_on(job)})
        now = self._reindexing.progress
        return JSONResponse({"state": now.state, "words": pages.progress_words(now)})

    def _words_on(self, job: Job) -> str:
        return pages.work_words(job.state, job.step, max(lane.before(job) for lane in (self._looking, self._adding)))

    def _follow(self, made: Future[Made]) -> None:
        """Has the index follow what was done, whether or not anybody waits to hear of it, and keeps what was taken back out of answers
        at once."""
        if made.exception() is not None:
            return
        reply, _ = made.result()
        if (identity := reply.get("follow")) is None:
            return
        if (bot := self._bot()) is not None:
            (bot.engines.withdraw if reply.get("gone") else bot.engines.readmit)(identity)
        self._reindexing.request()

    # Looking.

    async def library(self, request: Request, session: Session) -> Response:
        alarms = [str(alarm) for alarm in bot.engines.alarms] if (bot := self._bot()) is not None else []
        return await self._do(request, session, order_of(session, "library", alarms=alarms, progress=progress_of(self._reindexing.progress)))

    async def adding(self, request: Request, session: Session) -> Response:
        return HTMLResponse(pages.adding_page(session))

    async def draft(self, request: Request, session: Session) -> Response:
        return await self._do(request, session, order_of(session, "draft", id=request.path_params["id"], done=request.query_params.get("done", "")))

    async def article(self, request: Request, session: Session) -> Response:
        return await self._do(request, session, order_of(session, "article", id=request.path_params["id"], done=request.query_params.get("done", "")))

    async def original(self, request: Request, session: Session) -> Response:
        return await self._do(request, session, order_of(session, "original", id=request.path_params["id"]))

    async def missing(self, request: Request, session: Session) -> Response:
        return await self._do(request, session, order_of(session, "missing"))

    # Acting. Each act ends in a redirect, so that loading the page anew repeats nothing.

    async def add(self, request: Request, session: Session) -> Response:
        form: FormData = request.state.form
        upload = form.get("file")
        if isinstance(upload, UploadFile) and upload.filename:
            data = await upload.read()
            if len(data) > MOST_UPLOAD_BYTES:
                raise SourceError("The file is larger than 20 MB.", "Split it, or take the pictures out.", path="upload")
            return await self._do(request, session, order_of(session, "add_file", name=upload.filename), data, adding=True)
        if address := _words(form, "url"):
            return await self._do(request, session, order_of(session, "add_url", url=address), adding=True)
        if words := _words(form, "text"):
            return await self._do(request, session, order_of(session, "add_text", title=_words(form, "title"), text=words), adding=True)
        raise SourceError("Nothing was given.", "Choose a file, give an address, or paste a text.", path="upload")

    async def act_on_draft(self, request: Request, session: Session) -> Response:
        form: FormData = request.state.form
        said = {key: value for key, value in form.items() if isinstance(value, str) and key != "csrf"}
        return await self._do(request, session, order_of(session, "act_on_draft", id=request.path_params["id"], act=_words(form, "act"), form=said))

    async def act_on_article(self, request: Request, session: Session) -> Response:
        form: FormData = request.state.form
        order = order_of(session, "act_on_article", id=request.path_params["id"], act=_words(form, "act"), version=_words(form, "version"))
        return await self._do(request, session, order)

    async def act_on_missing(self, request: Request, session: Session) -> Response:
        form: FormData = request.state.form
        ids = [int(value) for value in _words(form, "questions").split(",") if value.isdecimal() and len(value) < 19]
        return await self._do(request, session, order_of(session, "act_on_missing", act=_words(form, "act"), ids=ids))


async def _form_of(request: Request) -> FormData:
    """The form that was sent, as far as it is no larger than the page's own forms are.

    Raises:
        HTTPException: it is too large, or is no form.
    """
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        try:
            return await request.form(max_fields=60, max_part_size=MOST_PLAIN_FORM_BYTES)
        except HTTPException:
            raise HTTPException(413, "That form is too long. Nothing was changed. Upload the text as a file instead.") from None
    try:
        return await request.form(max_files=1, max_fields=60, max_part_size=MOST_FIELD_BYTES)
    except HTTPException as error:
        if "maximum size" in str(error.detail):
            raise HTTPException(413, "That text is too long for a form: at most 4 MB. Nothing was changed. Upload it as a file instead.") from None
        raise HTTPException(400, "That form could not be read. Nothing was changed. Go back, load the page anew and try again.") from None


def _original(reply: Mapping[str, Any], data: bytes) -> Response:
    """The file that an article was made of."""
    if "name" not in reply:
        raise HTTPException(404, "There is no original.")
    kind = SHOWN_TYPES.get(str(reply["suffix"]))
    headers = {
        "content-disposition": f"{'inline' if kind else 'attachment'}; filename*=UTF-8''{quote(leave_out_invisible(str(reply['name'])))}",
        # Whatever the file holds, it runs nothing, loads nothing, and may only be framed by the staff page.
        "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
        + ("" if kind == "application/pdf" else "; sandbox"),
        "x-frame-options": "SAMEORIGIN",
    }
    return Response(data, media_type=kind or "application/octet-stream", headers=headers)


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


def _calmly(handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """The edge of the staff page: whatever should not have happened becomes calm words, and a line in the log that holds its kind and
    place and no word of what anybody wrote."""

    async def calm(request: Request) -> Response:
        try:
            return await handler(request)
        except HTTPException:
            raise
        except Exception as error:  # noqa: BLE001 — one of the edges, see ragbot.errors
            incident = uuid.uuid4().hex[:8]
            kind, place = (error.kind, error.place) if isinstance(error, BrokenWorkError) else (type(error).__name__, place_of(error))
            _log.error("incident %s on the staff page: %s at %s", incident, kind, place)
            return PlainTextResponse(f"Something went wrong that should not have (incident {incident}, see the log). Nothing was changed.", status_code=500)

    return calm
