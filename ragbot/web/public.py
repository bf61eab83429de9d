"""The chat: Gradio components and what happens when a person asks. The only files that know gradio are this one and app."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gradio as gr

from ragbot.chatbot import Ragbot, broken_answer
from ragbot.curating.missing import Feedback
from ragbot.errors import QuestionError, RagbotError
from ragbot.guardrails import Policy, Responses
from ragbot.records import Answer, Turn
from ragbot.settings import Settings
from ragbot.web.limiting import QuestionLimiter
from ragbot.web.rendering import answer_html, help_lines

_log = logging.getLogger("ragbot")
MOST_TURNS = 12
# Of a message that is far too long, this much is still looked at for danger.
LOOKED_AT = 20_000
Messages = list[dict[str, Any]]


class BotInTheBackground:
    """The bot, loading while the page is already served. ``get`` waits for it; ``loaded`` is called once it is there, or cannot be."""

    def __init__(self, settings: Settings, loaded: Callable[[], object] = lambda: None) -> None:
        self._settings = settings
        self._when_loaded = loaded
        self._ready = threading.Event()
        self._bot: Ragbot | None = None
        self._error: RagbotError | None = None

    def start(self) -> None:
        threading.Thread(target=self._load, name="load-bot", daemon=True).start()

    def _load(self) -> None:
        try:
            bot = Ragbot.open(self._settings)
            bot.warm_up()
            self._bot = bot
        except RagbotError as error:
            _log.error("the bot cannot be opened: %s", error)
            self._error = error
        finally:
            self._ready.set()
        self._when_loaded()

    @property
    def state(self) -> str:
        """``loading``, ``ready`` or ``broken``."""
        if not self._ready.is_set():
            return "loading"
        return "broken" if self._bot is None else "ready"

    @property
    def loaded(self) -> Ragbot | None:
        """The bot, or None while it is loading or where it could not be opened."""
        return self._bot

    def get(self, timeout_seconds: float = 120) -> Ragbot:
        """The loaded bot.

        Raises:
            RagbotError: it could not be opened, or not in time.
        """
        if not self._ready.wait(timeout_seconds):
            raise RagbotError("The bot is still loading.", "Try again in a moment.")
        if self._bot is None:
            raise self._error or RagbotError("The bot could not be opened.", "See the log.")
        return self._bot


class Chat:
    """What the page does with a question."""

    def __init__(self, background: BotInTheBackground, policy: Policy, responses: Responses, settings: Settings, feedback: Feedback) -> None:
        self._feedback = feedback
        self._background = background
        self._policy = policy
        self._responses = responses
        self._settings = settings
        self._limiter = QuestionLimiter(settings)

    @property
    def privacy_notice(self) -> str:
        """What happens to a question, said before the first one is asked."""
        if not self._settings.keep_questions:
            return "Your questions are not stored. They stay in this page’s memory until you close it."
        days = self._settings.keep_questions_days
        return (
            f"Questions that find no answer, or whose answer you mark as not helpful, are kept for up to {days} days, with names, numbers and "
            "addresses taken out, so that staff can add articles. Please write no names. What is said in a crisis is never kept."
        )

    def respond(
        self, question: str, messages: Messages, turns: list[Turn], visitor: str, told: Sequence[Answer | None] = ()
    ) -> Iterator[tuple[Messages, list[Turn], tuple[str, ...], list[Answer | None]]]:
        """The conversation as it grows, the turns to remember, what could be asked next, and the answers given, of which ``mark`` knows."""
        shown = [*messages, {"role": "user", "content": question[: self._settings.question_limit]}]
        if problem := self._turned_away(question, visitor):
            # Somebody in danger is shown help even where the question itself is not taken; the rules need no model.
            help_first = broken_answer(question[:LOOKED_AT], self._settings)
            yield [*shown, self._bubble(help_first) if help_first.status == "emergency" else self._fixed(problem)], turns, (), [*told, None]
            return
        answer: Answer | None = None
        for answer in self._answers(question, turns):
            yield [*shown, self._bubble(answer)], turns, (), list(told)
        assert answer is not None
        self._tell(lambda feedback: feedback.count(answer))
        remembered = [*turns, Turn(question, answer.text)][-MOST_TURNS:]
        yield [*shown, self._bubble(answer)], remembered, answer.follow_ups, [*told, answer]

    def mark(self, told: Sequence[Answer | None], from_last: int, helpful: bool) -> list[Answer | None]:
        """Counts a thumb for an answer that was given, once; the answers that can still be marked.

        Args:
            told: the answers as ``respond`` gave them, kept by this server: what a browser says of them counts for nothing.
            from_last: which of them, 0 for the last.
        """
        left, place = list(told), len(told) - 1 - from_last
        answer = left[place] if 0 <= place < len(left) else None
        if answer is not None:
            left[place] = None
            self._tell(lambda feedback: feedback.mark(answer, helpful))
        return left

    def _tell(self, what: Callable[[Feedback], None]) -> None:
        """Counts are a help to staff; where they cannot be written, the conversation goes on."""
        try:
            what(self._feedback)
        except RagbotError as error:
            _log.warning("not counted: %s", error)

    def _turned_away(self, question: str, visitor: str) -> str | None:
        """Why a question is not taken, before anything is embedded."""
        if not question.strip():
            return self._responses.text("empty")
        if len(question) > self._settings.question_limit:
            return self._responses.text("too_long", limit=f"{self._settings.question_limit:,}")
        if not self._limiter.admits(visitor):
            return self._responses.text("busy")
        return None

    def _answers(self, question: str, turns: list[Turn]) -> Iterator[Answer]:
        """The answer as it grows; what goes wrong becomes calm words and a logged id, and help comes in any case."""
        help_first = broken_answer(question, self._settings)
        if help_first.status == "emergency":
            yield help_first
        try:
            yield from self._background.get().stream(question, turns)
        except QuestionError as error:
            _log.info("question not taken: %s", type(error).__name__)
            yield broken_answer(question, self._settings)
        except Exception as error:  # noqa: BLE001 — one of the two edges, see ragbot.errors
            # The question is never logged: an id and the kind of problem are enough to find it.
            _log.error("incident %s: %s: %s", uuid.uuid4().hex[:8], type(error).__name__, error if isinstance(error, RagbotError) else "")
            yield broken_answer(question, self._settings)

    def _bubble(self, answer: Answer) -> dict[str, Any]:
        return {"role": "assistant", "content": answer_html(answer, self._responses.region, self._responses.elsewhere.lines[0])}

    def _fixed(self, text: str) -> dict[str, Any]:
        words = text.split("\n", maxsplit=1)[0]
        lines = help_lines(self._responses.region, self._responses.elsewhere.lines[0])
        return {"role": "assistant", "content": f'<div class="rb-answer"><div class="rb-notice" role="note"><p>{words}</p>{lines}</div></div>'}


def build_chat(chat: Chat, suggestions: tuple[str, ...], question_limit: int) -> gr.Blocks:
    """The Gradio blocks of the chat."""
    blocks: gr.Blocks = gr.Blocks(title="ragbot", analytics_enabled=False, delete_cache=(600, 3600))
    with blocks:
        turns = gr.State([], time_to_live=3600)
        told = gr.State([], time_to_live=3600)
        conversation = gr.Chatbot(
            elem_id="conversation",
            label="Conversation",
            show_label=False,
            container=False,
            sanitize_html=True,
            allow_tags=False,
            buttons=[],
            height=None,
            min_height="12rem",
            max_height="none",
            layout="bubble",
            autoscroll=True,
            placeholder="Ask a question below, or begin with one of the suggestions.",
        )
        with gr.Row(elem_id="suggestions"):
            buttons = [gr.Button(text, size="sm", variant="secondary", elem_classes="rb-suggestion") for text in suggestions]
        with gr.Row(elem_id="asking", equal_height=True):
            question = gr.Textbox(
                elem_id="question",
                label="Your question",
                placeholder="For example: How long does one ketamine infusion help?",
                lines=1,
                max_lines=6,
                max_length=question_limit,
                scale=5,
                autofocus=False,
            )
            send = gr.Button("Ask", variant="primary", scale=1, min_width=96, elem_id="ask")
        gr.HTML(f'<p class="rb-privacy">{chat.privacy_notice}</p>')

        def thumb(messages: Messages, answers: list[Answer | None], event: gr.LikeData) -> list[Answer | None]:
            place = event.index if isinstance(event.index, int) else event.index[0]
            return chat.mark(answers or [], (len(messages or []) - 1 - place) // 2, event.liked is True or event.liked == "Like")

        conversation.like(thumb, [conversation, told], [told], api_visibility="private", show_progress="hidden")
        def forget_answers() -> list[Answer | None]:
            # The turns stay: help that was called for a moment ago has to stand, whatever was cleared from the page.
            return []

        conversation.clear(forget_answers, None, [told], api_visibility="private", show_progress="hidden")

        def respond(asked: str, messages: Messages, remembered: list[Turn], answers: list[Answer | None], request: gr.Request) -> Iterator[tuple[Any, ...]]:
            visitor = request.client.host if request and request.client else "unknown"
            # The box is emptied once: what is typed while an answer is still growing has to stay.
            box: Any = ""
            for shown, turns_now, next_questions, told_now in chat.respond(asked, messages or [], remembered or [], visitor, answers or []):
                offered = next_questions or suggestions
                updates = [gr.update(value=offered[place], visible=True) if place < len(offered) else gr.update(visible=False) for place in range(len(buttons))]
                yield (box, shown, turns_now, told_now, *updates)
                box = gr.skip()

        wiring: dict[str, Any] = {"outputs": [question, conversation, turns, told, *buttons], "api_visibility": "private", "show_progress": "hidden"}
        gr.on([question.submit, send.click], respond, [question, conversation, turns, told], **wiring)
        for button in buttons:
            button.click(respond, [button, conversation, turns, told], **wiring)
    return blocks
