"""What the page does with a question. Help comes before any limit, and the work that needs a core waits its turn behind it."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import anyio
import anyio.to_thread

from ragbot.curating.missing import Feedback
from ragbot.errors import QuestionError, RagbotError
from ragbot.guardrails import Responses
from ragbot.records import Answer, Turn
from ragbot.settings import Settings
from ragbot.web.first_help import FirstHelp, Refusal
from ragbot.web.limiting import QuestionLimiter
from ragbot.web.loading import BotInTheBackground
from ragbot.web.rendering import answer_html, asked_html
from ragbot.web.slots import NoSlotError, Slots

_log = logging.getLogger("ragbot")
MAX_TURNS = 12
# Exchanges that stay on the page; what is sent to it grows with them.
MAX_SHOWN = 40
# Two cores answer two questions side by side; twenty more wait about a second.
SIDE_BY_SIDE, MAX_WAITING = 2, 20
# A hundred wait at the door, at some twelve answers a second.
MAX_INSIDE, MAX_OUTSIDE, OUTSIDE_SECONDS = 4, 100, 20.0
# Behind one address may sit a clinic, and somebody who wants to take everybody's place.
MAX_OUTSIDE_OF_ADDRESS = 60
# An answer grows on the page no more often than this: each time costs a few milliseconds for everybody.
SECONDS_BETWEEN_SHOWN = 0.15
LOADING_SECONDS = 120.0
JUDGED_AT_ONCE = 500
Message = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question and its reply as they stand on the page; ``told`` is the answer, where it can be marked."""

    asked: Message
    reply: Message
    told: Answer | None = None


class Conversation:
    """What this server keeps of a conversation while its page is open; a browser sends nothing of it back.

    Two questions at once, from two tabs or a hasty hand, write into the same conversation, each in its own place, so that neither
    takes the other, or a block of help, away. To be used on one event loop.
    """

    def __init__(self) -> None:
        self._exchanges: dict[int, Exchange] = {}
        self._next = 0
        self.turns: tuple[Turn, ...] = ()
        self.offered: tuple[str, ...] = ()

    @property
    def messages(self) -> list[Message]:
        """What stands on the page."""
        return [message for one in self._exchanges.values() for message in (one.asked, one.reply)]

    @property
    def told(self) -> tuple[Answer | None, ...]:
        """The answers that can still be marked, one an exchange on the page."""
        return tuple(one.told for one in self._exchanges.values())

    def open_place(self) -> int:
        """A place for one more exchange."""
        self._next += 1
        return self._next

    def show(self, place: int, exchange: Exchange) -> None:
        """Puts an exchange, or what it has become, into its place."""
        self._exchanges[place] = exchange
        for oldest in list(self._exchanges)[:-MAX_SHOWN]:
            del self._exchanges[oldest]

    def remember(self, turn: Turn) -> None:
        """Keeps a turn in mind for the questions after it."""
        self.turns = (*self.turns, turn)[-MAX_TURNS:]

    def take_mark(self, message: int) -> Answer | None:
        """The answer at a place among the messages on the page, which cannot be marked again then; None where there is none."""
        places = list(self._exchanges)
        if not message % 2 or message // 2 >= len(places):
            return None
        place = places[message // 2]
        answer = self._exchanges[place].told
        self._exchanges[place] = replace(self._exchanges[place], told=None)
        return answer

    def clear(self) -> None:
        """Empties the page. The turns stay: help that was called for a moment ago has to stand, whatever was cleared."""
        self._exchanges.clear()


class Chat:
    """Answers questions for the page. To be used on one event loop; what takes time runs in threads."""

    def __init__(
        self, background: BotInTheBackground, first_help: FirstHelp, responses: Responses, settings: Settings, limiter: QuestionLimiter, feedback: Feedback
    ) -> None:
        self._background = background
        self._first_help = first_help
        self._responses = responses
        self._settings = settings
        self._feedback = feedback
        self._limiter = limiter
        self._slots = Slots(SIDE_BY_SIDE, MAX_WAITING)
        # A hundred threads wait while the bot is loading; later hardly more than work side by side.
        self._threads = anyio.CapacityLimiter(100)

    @property
    def is_full(self) -> bool:
        """Whether nobody more may wait for an answer."""
        return self._slots.is_full

    async def wait_outside(self, address: str) -> None:
        """Waits before a question is handed to Gradio, which does some work for each: so that help, which does not wait, need not stand
        behind the work for sixty others.

        Raises:
            NoSlotError: too many wait, or for too long.
        """
        await self._slots.wait_outside(address, MAX_INSIDE, MAX_OUTSIDE, MAX_OUTSIDE_OF_ADDRESS, OUTSIDE_SECONDS)

    @property
    def privacy_notice(self) -> str:
        """What happens to a question, said before the first one is asked."""
        if not self._settings.keep_questions:
            return "Your questions are not stored. They stay in this server’s memory while your page is open, and are gone then."
        days = self._settings.keep_questions_days
        return (
            f"Questions that find no answer, or whose answer you mark as not helpful, are kept for up to {days} days, with names, numbers and "
            "addresses taken out, so that staff can add articles. Please write no names. What is said in a crisis is never kept."
        )

    async def respond(self, question: str, conversation: Conversation, name: str) -> AsyncIterator[Conversation]:
        """The conversation, each time that there is more of it.

        Args:
            name: which conversation it is, for the limits of one.
        """
        asked: Message = {"role": "user", "content": asked_html(question[: self._settings.question_limit])}
        place = conversation.open_place()

        def shown(reply: Message, told: Answer | None = None) -> Conversation:
            conversation.show(place, Exchange(asked, reply, told))
            return conversation

        danger = await self._judge(question)
        if danger is not None:
            # Remembered at once, so that help stays in the turns after it, whatever becomes of this one.
            conversation.remember(Turn(question[: self._settings.question_limit], danger.text))
        if (refusal := self._refuse(question, name, danger)) is not None:
            yield shown(self._refused(refusal, danger))
            return
        turns = conversation.turns if danger is None else conversation.turns[:-1]
        answer: Answer | None = None
        shown_at, help_is_shown = time.monotonic(), False
        try:
            async for answer in self._answers(question, turns, danger):
                is_first_help = answer.status == "emergency" and not help_is_shown
                if is_first_help or time.monotonic() - shown_at > SECONDS_BETWEEN_SHOWN:
                    shown_at, help_is_shown = time.monotonic(), help_is_shown or is_first_help
                    yield shown(self._bubble(answer))
        except NoSlotError:
            # Where danger was seen, its block stands already.
            yield shown(self._refused(self._first_help.refuse(503, "busy", danger), danger))
            return
        assert answer is not None
        counted = answer
        await self._in_thread(lambda: self._tell(lambda feedback: feedback.count(counted)))
        if danger is None:
            conversation.remember(Turn(question, answer.text, next(iter(answer.follow_ups), "")))
        conversation.offered = answer.follow_ups
        yield shown(self._bubble(answer), answer)

    def mark(self, conversation: Conversation, message: int, helpful: bool) -> None:
        """Counts a thumb for an answer that was given, once.

        Args:
            message: the place of the answer among the messages on the page.
        """
        if (answer := conversation.take_mark(message)) is not None:
            self._tell(lambda feedback: feedback.mark(answer, helpful))

    async def _judge(self, question: str) -> Answer | None:
        # A usual question takes a millisecond, less than going to a thread on a busy machine.
        if len(question) <= JUDGED_AT_ONCE:
            return self._first_help.judge(question)
        return await self._in_thread(lambda: self._first_help.judge(question))

    def _refuse(self, question: str, name: str, danger: Answer | None) -> Refusal | None:
        """Why a question is not taken, before anything is embedded."""
        if not question.strip():
            return self._first_help.refuse(400, "empty")
        if len(question) > self._settings.question_limit:
            return self._first_help.refuse(413, "too_long", danger, limit=f"{self._settings.question_limit:,}")
        if not self._limiter.admits_conversation(name):
            return self._first_help.refuse(429, "conversation_limit", danger)
        return None

    def _refused(self, refusal: Refusal, danger: Answer | None) -> Message:
        return self._bubble(danger) if danger is not None else {"role": "assistant", "content": self._first_help.refusal_html(refusal)}

    async def _answers(self, question: str, turns: tuple[Turn, ...], danger: Answer | None) -> AsyncIterator[Answer]:
        """The answer as it grows; what goes wrong becomes calm words and a logged id, and help comes in any case.

        Raises:
            NoSlotError: too many wait already.
        """
        if danger is not None:
            yield danger
        try:
            async with self._slots.hold():
                bot = await self._in_thread(lambda: self._background.get(LOADING_SECONDS))
                growing = bot.stream(question, turns)
                while (answer := await self._in_thread(lambda: _next(growing))) is not None:
                    yield answer
        except NoSlotError:
            raise
        except Exception as error:  # noqa: BLE001 — one of the two edges, see ragbot.errors
            if not isinstance(error, QuestionError):
                # Neither the question nor an error's own words, which may quote it: an id and the kind are enough to find it.
                _log.error("incident %s: %s", uuid.uuid4().hex[:8], type(error).__name__)
            yield danger or self._first_help.unavailable(question)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await anyio.to_thread.run_sync(work, limiter=self._threads)

    def _tell(self, what: Callable[[Feedback], None]) -> None:
        """Counts are a help to staff; where they cannot be written, the conversation goes on."""
        try:
            what(self._feedback)
        except RagbotError as error:
            _log.warning("not counted: %s", type(error).__name__)

    def _bubble(self, answer: Answer) -> Message:
        return {"role": "assistant", "content": answer_html(answer, self._responses.region, self._responses.elsewhere.lines[0])}


def _next(growing: Iterator[Answer]) -> Answer | None:
    # A StopIteration must not come out of a thread: a coroutine cannot raise it.
    return next(growing, None)
