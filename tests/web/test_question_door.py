"""The door before Gradio, without Gradio: what reaches the app, and what each question and each refusal brings back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from ragbot.guardrails import Policy, Responses
from ragbot.settings import Settings
from ragbot.web import question_door
from ragbot.web.first_help import FirstHelp
from ragbot.web.limiting import QuestionLimiter
from ragbot.web.page_events import Function
from ragbot.web.question_door import BodyTooLargeError, BodyTooSlowError, QuestionDoor, read_body
from ragbot.web.slots import NoSlotError

POLICY = Policy()
FUNCTIONS = {0: Function(("kept",), frozenset({3}), has_thumb=True), 2: Function(("text", "kept"), frozenset({10}))}


class Behind:
    """Stands for Gradio: remembers what reached it."""

    def __init__(self, reply: Callable[[], Any] = lambda: JSONResponse({"event_id": "e1"})) -> None:
        self.seen: list[dict[str, Any]] = []
        self.headers: dict[str, str] = {}
        self._reply = reply

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        self.seen.append(await request.json())
        self.headers = dict(request.headers)
        await self._reply()(scope, receive, send)


async def _at_once(_: str) -> None:
    pass


async def _never(_: str) -> None:
    raise NoSlotError


def a_door(behind: ASGIApp, wait_outside: Callable[[str], Awaitable[None]] = _at_once, **changes: object) -> QuestionDoor:
    return QuestionDoor(behind, FUNCTIONS, FirstHelp(POLICY, Responses(POLICY, "US")), QuestionLimiter(Settings.load(**changes)), wait_outside)


def post(door: QuestionDoor, question: str, times: int = 1, **headers: str) -> httpx.Response:
    body = {"data": [question, None], "fn_index": 2, "trigger_id": 10, "session_hash": "a1"}

    async def posting() -> httpx.Response:
        transport = httpx.ASGITransport(door, client=("192.0.2.7", 5))  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://door.example") as client:
            for _ in range(times - 1):
                await client.post("/", json=body)
            return await client.post("/", json=body, headers=headers)

    return asyncio.run(posting())


def test_a_question_reaches_the_app_and_its_reply_comes_back() -> None:
    behind = Behind()
    reply = post(a_door(behind), "How deep is a pot?", cookie="x=1", authorization="Bearer x", accept="*/*")
    assert reply.json() == {"event_id": "e1"}
    assert behind.seen[0]["data"] == ["How deep is a pot?", None]
    assert not {"cookie", "authorization"} & behind.headers.keys()


@pytest.mark.parametrize("question", ["i want to kill myself", "he took all his pills and is not breathing"])
def test_the_reply_to_somebody_in_danger_carries_the_help(question: str) -> None:
    reply = post(a_door(Behind(), _never), question).json()
    assert reply["event_id"] == "e1" and 'role="alert"' in reply["help"] and "911" in reply["detail"]


@pytest.mark.parametrize("question", ["How deep is a pot?", "i want to kill myself"])
def test_where_too_many_ask_or_gradio_fails_help_stands_in_the_refusal(question: str) -> None:
    failing = [lambda: PlainTextResponse("Queue is full", 503), lambda: PlainTextResponse("secret", 500), lambda: JSONResponse({"detail": "secret"}, 422)]
    doors = [a_door(Behind(reply)) for reply in failing] + [a_door(Behind(), questions_per_minute_from_address=1)]
    for door in doors:
        reply = post(door, question, times=2)
        assert reply.status_code in (429, 503, 422)
        assert "988" in reply.json()["detail"] and "secret" not in reply.text
        assert ('role="alert"' in reply.json()["help"]) is (question != "How deep is a pot?")


def test_a_question_that_may_not_wait_is_told_calmly_and_never_reaches_the_app() -> None:
    behind = Behind()
    reply = post(a_door(behind, _never), "How deep is a pot?")
    assert (reply.status_code, behind.seen) == (503, [])
    assert reply.json()["words"].startswith("Many people are asking")


def test_a_thumb_waits_for_nobody() -> None:
    behind = Behind()

    async def posting() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(a_door(behind, _never)), base_url="http://door.example") as client:  # type: ignore[arg-type]
            return await client.post("/", json={"data": [None], "fn_index": 0, "session_hash": "a", "event_data": {"index": 1, "liked": True}})

    assert asyncio.run(posting()).status_code == 200
    assert behind.seen[0]["event_data"]["liked"] is True


def messages(*parts: bytes, hold: bool = False) -> Receive:
    """A connection that brings these parts of a body and then, unless it holds, says that it was all."""
    left = list(parts)

    async def receive() -> dict[str, Any]:
        if left:
            return {"type": "http.request", "body": left.pop(0), "more_body": bool(left) or hold}
        await asyncio.Event().wait()
        raise AssertionError

    return receive


def test_a_body_is_read_whole_and_no_further_than_it_may_be() -> None:
    scope: Scope = {"type": "http", "headers": []}
    assert asyncio.run(read_body(scope, messages(b"ab", b"c"), 3, 5)) == b"abc"
    with pytest.raises(BodyTooLargeError):
        asyncio.run(read_body(scope, messages(b"ab", b"cd"), 3, 5))
    with pytest.raises(BodyTooLargeError):
        asyncio.run(read_body({"type": "http", "headers": [(b"content-length", b"4")]}, messages(b""), 3, 5))
    with pytest.raises(BodyTooSlowError):
        asyncio.run(read_body(scope, messages(b"ab", hold=True), 3, 0.01))


def test_a_body_that_does_not_come_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(question_door, "BODY_SECONDS", 0.01)
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(a_door(Behind())({"type": "http", "method": "POST", "path": "/", "headers": []}, messages(b"{", hold=True), send))
    assert sent[0]["status"] == 408 and (b"connection", b"close") in sent[0]["headers"]
    assert "988" in json.loads(sent[1]["body"])["detail"]
