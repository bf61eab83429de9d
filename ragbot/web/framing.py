"""Puts header and panel into the HTML of the chat page itself, so that help stands there without any script."""

from __future__ import annotations

from starlette.responses import HTMLResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ragbot.web.protecting import NAME


class PageFrame:
    """ASGI middleware over the chat page alone; everything else goes through untouched.

    Args:
        above, below: HTML that stands at the beginning of the page's body.
    """

    def __init__(self, app: ASGIApp, above: str, below: str) -> None:
        self._app = app
        self._frame = f"{above}{below}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != "/":
            await self._app(scope, receive, send)
            return
        start: Message = {}
        body = b""

        async def collect(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start":
                start = message
            elif message["type"] == "http.response.body":
                body += message.get("body", b"")

        await self._app({**scope, "method": "GET"}, receive, collect)
        page = HTMLResponse(self._framed(body.decode("utf-8")), status_code=start.get("status", 500), headers={"cache-control": "no-store"})
        await page({**scope}, receive, send)

    def _framed(self, page: str) -> str:
        # Without a name of the server the page goes by the address it was opened at.
        name = NAME.decode("ascii")
        page = page.replace(f"https://{name}", "").replace(f"http://{name}", "")
        opening = page.find(">", page.find("<body")) + 1
        return f"{page[:opening]}{self._frame}{page[opening:]}"
