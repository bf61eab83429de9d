"""What keeps the public door: which routes exist, how large a request may be, and the headers of every reply."""

from __future__ import annotations

import re
from collections.abc import Mapping

from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Gradio mounts many routes (uploads, a file proxy, monitoring, an API); the chat needs these and no others.
PUBLIC_ROUTES = tuple(
    re.compile(pattern)
    for pattern in (
        r"/", r"/articles/[a-z0-9][a-z0-9._-]*", r"/static/[a-z.]+", r"/healthz", r"/favicon\.ico", r"/config", r"/theme\.css",
        r"/gradio_api/(queue/join|queue/data|heartbeat/[A-Za-z0-9]+|info|startup-events|app_id)", r"/assets/.+", r"/static/(fonts|img|css|js)/.+",
        r"/svelte/.+", r"/_app/.+", r"/manifest\.json",
    )
)  # fmt: skip
POST_ROUTES = (re.compile(r"/gradio_api/queue/join"),)
MOST_BYTES = 100_000
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
MOST_STAFF_BYTES = 20_500_000


class Doorkeeper:
    """ASGI middleware: unknown routes are 404, large requests 413, and every reply carries the security headers.

    What lies under /staff goes to the staff app alone, where there is one; the chat's app never sees it.
    """

    def __init__(self, app: ASGIApp, staff: ASGIApp | None = None) -> None:
        self._app = app
        self._staff = staff

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            # The chat streams over plain HTTP; no WebSocket is served.
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        method, path = scope["method"], scope["path"]
        if self._staff is not None and (path == "/staff" or path.startswith("/staff/")):
            if _declared_length(scope) > MOST_STAFF_BYTES:
                await self._refuse(413, "That file is too large: at most 20 MB.", scope, receive, send)
            else:
                await self._staff(scope, _limited(receive, MOST_STAFF_BYTES), _with_headers(send, STAFF_HEADERS))
            return
        routes = POST_ROUTES if method == "POST" else PUBLIC_ROUTES
        if method not in ("GET", "HEAD", "POST") or not any(route.fullmatch(path) for route in routes):
            await self._refuse(404, "There is nothing here.", scope, receive, send)
        elif path == "/gradio_api/queue/join" and method != "POST":
            await self._refuse(405, "Not like this.", scope, receive, send)
        elif _declared_length(scope) > MOST_BYTES:
            await self._refuse(413, "That message is too long. In crisis: call or text your local crisis line.", scope, receive, send)
        else:
            await self._app(scope, _limited(receive), _with_headers(send))

    @staticmethod
    async def _refuse(status: int, words: str, scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse(words, status_code=status)(scope, receive, _with_headers(send))


def _declared_length(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else MOST_STAFF_BYTES + 1
    return 0


def _limited(receive: Receive, most: int = MOST_BYTES) -> Receive:
    """A receive that stops reading where a request without a length goes on for too long."""
    taken = 0

    async def limited() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > most:
            return {"type": "http.disconnect"}
        return message

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
