"""The door before Gradio: every event is read strictly, danger is answered at once, and only then does Gradio hear of it.

What comes back for a question that the rules take for a danger carries the help with it, so that the page can show it before
anything was queued, and each refusal carries the crisis line.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ragbot.records import Answer
from ragbot.web.chat import JUDGED_AT_ONCE
from ragbot.web.first_help import FirstHelp
from ragbot.web.limiting import QuestionLimiter, visitor_group
from ragbot.web.page_events import Function, MalformedEventError, PageEvent, read_event
from ragbot.web.slots import NoSlotError

# A thumb is sent with the words of its answer, so a body may be longer than any question.
MAX_BODY_BYTES = 100_000
BODY_SECONDS = 10.0
# How deep in text the door looks where a body is no event of the page: nobody in danger is refused without being looked at.
LOOKED_AT_BYTES = 2000


class BodyTooLargeError(Exception):
    """A body is larger than it may be."""


class BodyTooSlowError(Exception):
    """A body did not arrive in time, or the other side has gone."""


class QuestionDoor:
    """ASGI app for the one route that questions come by.

    Args:
        app: Gradio's app, which gets each event written anew.
        functions: what the page has.
        wait_outside: waits until a question from an address may be handed on; raises ``NoSlotError`` where it may not.
        has_conversation: whether something was asked in a session before.
    """

    def __init__(
        self,
        app: ASGIApp,
        functions: Mapping[int, Function],
        first_help: FirstHelp,
        limiter: QuestionLimiter,
        wait_outside: Callable[[str], Awaitable[None]],
        has_conversation: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self._app = app
        self._functions = functions
        self._first_help = first_help
        self._limiter = limiter
        self._wait_outside = wait_outside
        self._has_conversation = has_conversation

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await read_body(scope, receive, MAX_BODY_BYTES, BODY_SECONDS)
        except BodyTooLargeError:
            await self._refuse(413, "too_large", None, scope, receive, send)
            return
        except BodyTooSlowError:
            await self._refuse(408, "too_slow", None, scope, receive, send)
            return
        client = scope.get("client")
        address = client[0] if client else "unknown"
        admitted = self._limiter.admits_address(address)
        try:
            event = read_event(body, self._functions)
        except MalformedEventError:
            # Looking costs time, which whoever sends rubbish has a right to only as often as to a question.
            danger = await self._judge(body[:LOOKED_AT_BYTES].decode("utf-8", "replace")) if admitted else None
            await self._refuse(400, "not_taken", danger, scope, receive, send)
            return
        if event.question is None and not self._has_conversation(event.session):
            # Nothing was said that could be marked or cleared; a conversation begun for it would push out somebody else's.
            await self._refuse(400, "not_taken", None, scope, receive, send)
            return
        danger = await self._judge((event.question or "") if admitted else (event.question or "")[:JUDGED_AT_ONCE])
        if not admitted:
            await self._refuse(429, "address_limit", danger, scope, receive, send)
            return
        if danger is None and event.question is not None:
            try:
                await self._wait_outside(visitor_group(address))
            except NoSlotError:
                await self._refuse(503, "busy", None, scope, receive, send)
                return
        await self._pass_on(event, danger, scope, receive, send)

    async def _judge(self, question: str) -> Answer | None:
        if len(question) <= JUDGED_AT_ONCE:
            return self._first_help.judge(question)
        return await run_in_threadpool(self._first_help.judge, question)

    async def _refuse(self, status: int, name: str, danger: Answer | None, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._first_help.refuse(status, name, danger)
        # A body that was not read to its end must not be taken for the next request.
        headers = {"connection": "close"} if status in (408, 413) else None
        await JSONResponse(refusal.to_dict(), status_code=status, headers=headers)(scope, receive, send)

    async def _pass_on(self, event: PageEvent, danger: Answer | None, scope: Scope, receive: Receive, send: Send) -> None:
        body = event.to_body()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode("ascii"))]
        kept = [(name, value) for name, value in scope["headers"] if name in (b"host", b"user-agent", b"accept")]
        reply = _Reply()
        await self._app({**scope, "headers": [*kept, *headers], "query_string": b""}, _receiving(body, receive), reply.take)
        if reply.status != 200:
            # Whatever Gradio says, a person is told in our words, with help.
            status = 503 if reply.status >= 500 else reply.status
            await self._refuse(status, "busy" if status == 503 else "not_taken", danger, scope, receive, send)
            return
        values: dict[str, Any] = json.loads(reply.body)
        if danger is not None:
            values["help"] = self._first_help.block_html(danger)
            values["detail"] = danger.notice or ""
        await JSONResponse(values)(scope, receive, send)


class _Reply:
    """What an app answers, held back."""

    def __init__(self) -> None:
        self.status = 500
        self.body = b""

    async def take(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif message["type"] == "http.response.body":
            self.body += message.get("body", b"")


def _receiving(body: bytes, receive: Receive) -> Receive:
    """A receive that gives one body, and then what becomes of the connection."""
    given = False

    async def receiving() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receiving


async def read_body(scope: Scope, receive: Receive, max_bytes: int, seconds: float) -> bytes:
    """The whole body of a request.

    Raises:
        BodyTooLargeError: it is, or says that it is, larger than ``max_bytes``.
        BodyTooSlowError: it was not there after so many seconds, or the other side has gone.
    """
    if declared_length(scope) > max_bytes:
        raise BodyTooLargeError
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(seconds):
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    raise BodyTooSlowError
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if size > max_bytes:
                    raise BodyTooLargeError
                if not message.get("more_body", False):
                    return b"".join(parts)
    except TimeoutError:
        raise BodyTooSlowError from None


def declared_length(scope: Scope) -> int:
    """The length that a request says its body has; 0 where it says none, beyond any limit where it is no number."""
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() and len(value) < 19 else 1 << 62
    return 0
