"""What keeps the public door: which routes exist, how large and how slow a request may be, and the headers of every reply."""

from __future__ import annotations

import asyncio
import logging
import re
import uuid
from collections import Counter
from collections.abc import Callable, Mapping

from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ragbot.web.limiting import visitor_group
from ragbot.web.question_door import declared_length

_log = logging.getLogger("ragbot")
QUESTIONS = "/gradio_api/queue/join"
# Gradio mounts many routes (uploads, a file proxy, monitoring, an API); the chat needs these and no others.
_FILE = r"[A-Za-z0-9._/-]{1,200}"
PUBLIC_ROUTES = tuple(
    re.compile(pattern)
    for pattern in (
        r"/", r"/articles/[a-z0-9][a-z0-9._-]{0,199}", r"/static/[a-z.]{1,40}", r"/healthz", r"/favicon\.ico", r"/theme\.css",
        r"/gradio_api/(queue/data|startup-events|app_id)", r"/gradio_api/heartbeat/[A-Za-z0-9]{1,32}", rf"/assets/{_FILE}",
        rf"/static/(fonts|img|css|js)/{_FILE}", rf"/svelte/{_FILE}", rf"/_app/{_FILE}", r"/manifest\.json",
    )
)  # fmt: skip
# These stay open while a page is: each costs a connection, so that one visitor must not hold all of them. A clinic's visitors come
# from one address, with two for each page.
STREAMS = re.compile(r"/gradio_api/(queue/data|heartbeat/.*)")
MAX_STREAMS, MAX_STREAMS_FROM_ADDRESS = 1000, 400
_SESSION = re.compile(rb"session_hash=([A-Za-z0-9]{1,32})")
# What Gradio is told that it is called: it would put any name that a visitor says into the page.
NAME = b"ragbot.invalid"
HEADERS = {
    # Gradio's page needs inline script and style; everything else comes from this server only.
    "content-security-policy": (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
        "font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "cross-origin-opener-policy": "same-origin",
}


# The staff page has plain forms and one small script; its originals are framed by itself only and say so themselves.
STAFF_HEADERS = HEADERS | {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; frame-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "cache-control": "no-store",
    # With no-referrer a browser sends its forms with "Origin: null", which could be anybody's.
    "referrer-policy": "same-origin",
}
MAX_STAFF_BYTES = 20_500_000
# A large file over a slow line takes its minutes; a line on which nothing comes for so long is closed.
STAFF_IDLE_SECONDS, STAFF_SECONDS = 20.0, 600.0


class Doorkeeper:
    """ASGI middleware: unknown routes are 404, large requests 413, and every reply carries the security headers.

    What lies under /staff goes to the staff app alone, where there is one; the chat's app never sees it. Questions go to their own door.

    Args:
        questions: makes the door for questions before the app.
        is_open: whether there is anything to listen to for a session.
    """

    def __init__(
        self,
        app: ASGIApp,
        staff: ASGIApp | None = None,
        questions: Callable[[ASGIApp], ASGIApp] = lambda app: app,
        is_open: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self._app = app
        self._questions = questions(app)
        self._is_open = is_open
        self._staff = staff
        self._streams: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            # The chat streams over plain HTTP; no WebSocket is served.
            await send({"type": "websocket.close", "code": 1008})
            return
        started = False

        async def sending(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._route(scope, receive, sending)
        except Exception as error:  # noqa: BLE001 — the outermost edge: what an error says may quote a visitor
            _log.error("incident %s: %s", uuid.uuid4().hex[:8], type(error).__name__)
            if not started:
                await self._refuse(500, "Something went wrong here. Please try again.", scope, receive, send)

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        method, path = scope["method"], scope["path"]
        names = [name for name, _ in scope["headers"] if name in (b"content-length", b"transfer-encoding")]
        if len(names) > 1 or (names and method != "POST" and declared_length(scope) != 0) or (b"transfer-encoding" in names and method != "POST"):
            # A body where none belongs would keep its connection for as long as it likes; two lengths are read in two ways.
            await self._refuse(400, "Not like this.", scope, receive, send)
        elif self._staff is not None and (path == "/staff" or path.startswith("/staff/")):
            if declared_length(scope) > MAX_STAFF_BYTES:
                await self._refuse(413, "That file is too large: at most 20 MB.", scope, receive, send)
            else:
                await self._staff(scope, _limited(receive), _with_headers(send, STAFF_HEADERS))
        elif path == QUESTIONS:
            if method == "POST":
                await self._questions(_unnamed(scope), receive, _with_headers(send))
            else:
                await self._refuse(405, "Not like this.", scope, receive, send)
        elif method not in ("GET", "HEAD") or not any(route.fullmatch(path) for route in PUBLIC_ROUTES):
            await self._refuse(404, "There is nothing here.", scope, receive, send)
        elif STREAMS.fullmatch(path):
            await self._stream(scope, receive, send)
        else:
            await self._app(_unnamed(scope), _without_body(receive), _with_headers(send))

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client")
        address = visitor_group(client[0]) if client else "unknown"
        if scope["path"].endswith("/data"):
            named = _SESSION.fullmatch(scope["query_string"])
            if named is None or not self._is_open(named.group(1).decode("ascii")):
                await self._refuse(400, "Not like this.", scope, receive, send)
                return
        if self._streams.total() >= MAX_STREAMS or self._streams[address] >= MAX_STREAMS_FROM_ADDRESS:
            await self._refuse(503, "Too many pages are open from here. In crisis: call or text your local crisis line.", scope, receive, send)
            return
        self._streams[address] += 1
        try:
            await self._app(_unnamed(scope), _without_body(receive), _with_headers(send))
        finally:
            self._streams[address] -= 1
            if not self._streams[address]:
                del self._streams[address]

    @staticmethod
    async def _refuse(status: int, words: str, scope: Scope, receive: Receive, send: Send) -> None:
        has_body = any(name in (b"content-length", b"transfer-encoding") for name, _ in scope["headers"])
        headers = {"connection": "close"} if has_body else None
        await PlainTextResponse(words, status_code=status, headers=headers)(scope, receive, _with_headers(send))


def _unnamed(scope: Scope) -> Scope:
    """The request without what a visitor, or a proxy, says this server is called, and without credentials of other pages."""
    dropped = (b"host", b"cookie", b"authorization", b"forwarded", b"x-gradio-server")
    kept = [(name, value) for name, value in scope["headers"] if name not in dropped and not name.startswith(b"x-forwarded-")]
    return {**scope, "headers": [*kept, (b"host", NAME)], "server": (NAME.decode("ascii"), None)}


def _without_body(receive: Receive) -> Receive:
    """A receive for requests that have no business with a body; it tells of the end of the connection."""
    given = False

    async def receiving() -> Message:
        nonlocal given
        if not given:
            given = True
            return {"type": "http.request", "body": b"", "more_body": False}
        while (message := await receive())["type"] == "http.request":
            pass
        return message

    return receiving


def _limited(receive: Receive) -> Receive:
    """A receive that stops reading where the body of a staff request goes on for too long, or stops coming."""
    taken, deadline, done = 0, 0.0, False

    async def limited() -> Message:
        nonlocal taken, deadline, done
        if done:
            return await receive()
        loop = asyncio.get_running_loop()
        deadline = deadline or loop.time() + STAFF_SECONDS
        try:
            async with asyncio.timeout_at(min(deadline, loop.time() + STAFF_IDLE_SECONDS)):
                message = await receive()
        except TimeoutError:
            return {"type": "http.disconnect"}
        taken += len(message.get("body", b""))
        done = not message.get("more_body", False)
        return message if taken <= MAX_STAFF_BYTES else {"type": "http.disconnect"}

    return limited


def _with_headers(send: Send, standard: Mapping[str, str] = HEADERS) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in standard.items():
                # A reply of the staff app may be stricter or, for what it frames itself, different.
                if standard is HEADERS or name not in headers:
                    headers[name] = value
        await send(message)

    return sending
