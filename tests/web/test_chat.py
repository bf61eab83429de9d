"""What the page does with a question, without a browser: limits, broken parts, memory of the conversation."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from ragbot.chatbot import Ragbot
from ragbot.curating.missing import Feedback, Usage
from ragbot.errors import IndexBrokenError
from ragbot.guardrails import Policy, Responses
from ragbot.settings import Settings
from ragbot.web.chat import MAX_SHOWN, MAX_WAITING, SIDE_BY_SIDE, Chat, Conversation
from ragbot.web.first_help import FirstHelp
from ragbot.web.limiting import QuestionLimiter
from ragbot.web.loading import BotInTheBackground


class Ready:
    """A background that is done, with a bot or with a problem."""

    def __init__(self, bot: Ragbot | None) -> None:
        self._bot = bot

    def get(self, _: float = 0) -> Ragbot:
        if self._bot is None:
            raise IndexBrokenError("The index is broken.")
        return self._bot


@pytest.fixture
def a_chat(copied_library: Path) -> Callable[..., Chat]:
    """Makes a chat over a bot, or none, whose counts go to a folder of the test's own."""

    def make(bot: Ragbot | None, **changes: object) -> Chat:
        policy, there = Policy(), Settings.load(sources=copied_library, **changes)
        responses = Responses(policy, "US")
        return Chat(Ready(bot), FirstHelp(policy, responses), responses, there, QuestionLimiter(there), Feedback(there))  # type: ignore[arg-type]

    return make


def say(chat: Chat, question: str, said: Conversation | None = None, name: str = "v") -> Conversation:
    """The conversation after a question."""
    conversation = said or Conversation()

    async def saying() -> None:
        async for now in chat.respond(question, conversation, name):
            assert now is conversation

    asyncio.run(saying())
    return conversation


def last(chat: Chat, question: str, name: str = "v") -> str:
    return str(say(chat, question, name=name).messages[-1]["content"])


def test_the_conversation_is_remembered(a_chat: Callable[..., Chat], bot: Ragbot) -> None:
    said = say(a_chat(bot), "How often do tomatoes need water?")
    assert [message["role"] for message in said.messages] == ["user", "assistant"]
    assert said.turns[-1].question == "How often do tomatoes need water?"


def test_a_cleared_page_still_remembers_a_crisis(a_chat: Callable[..., Chat], bot: Ragbot) -> None:
    chat = a_chat(bot)
    said = say(chat, "i want to kill myself")
    said.clear()
    assert (said.messages, said.told) == ([], ())
    assert "988" in say(chat, "How often do tomatoes need water?", said).messages[-1]["content"]


def test_the_page_holds_no_more_than_it_shows(a_chat: Callable[..., Chat], bot: Ragbot) -> None:
    chat, said = a_chat(bot, questions_per_minute=1000, questions_per_day=1000), Conversation()
    for number in range(MAX_SHOWN + 2):
        say(chat, f"{' ' * number}", said)
    assert (len(said.messages), len(said.told)) == (2 * MAX_SHOWN, MAX_SHOWN)


@pytest.mark.parametrize("question", ["<b>bold</b>", "![x](http://a.example/p.png)", "[a](javascript:alert(1))", "a\n\n# heading", "$$x$$"])
def test_a_question_stands_on_the_page_as_text(a_chat: Callable[..., Chat], bot: Ragbot, question: str) -> None:
    shown = say(a_chat(bot), question).messages[0]["content"]
    assert shown.startswith('<div class="rb-asked">') and "\n" not in shown and "<b>" not in shown


def test_two_questions_at_once_take_nothing_from_each_other(a_chat: Callable[..., Chat], bot: Ragbot, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two tabs, or a hasty hand: the block stays on the page, and help in the turn after it, whoever is done last."""
    chat, hold, real = a_chat(bot), threading.Event(), bot.stream
    monkeypatch.setattr(bot, "stream", lambda question, turns: (hold.wait(30), real(question, turns))[1])
    conversation = Conversation()

    async def ask(question: str) -> None:
        async for _ in chat.respond(question, conversation, "v"):
            pass

    async def both() -> None:
        slow = asyncio.create_task(ask("How deep is a pot?"))
        while not chat._slots._taken:
            await asyncio.sleep(0)
        danger = asyncio.create_task(ask("i want to kill myself"))
        while len(conversation.messages) < 2:
            await asyncio.sleep(0)
        hold.set()
        await asyncio.gather(slow, danger)
        await ask("How often do tomatoes need water?")

    asyncio.run(asyncio.wait_for(both(), 60))
    replies = [message["content"] for message in conversation.messages[1::2]]
    assert sum('role="alert"' in reply for reply in replies) == 1
    assert "tel:988" in replies[-1] or "988" in replies[-1]
    assert len(conversation.messages) == 6


def test_help_goes_past_those_who_wait(a_chat: Callable[..., Chat], bot: Ragbot, monkeypatch: pytest.MonkeyPatch) -> None:
    """With every place taken and nobody more let in, the block comes, and others are told calmly."""
    chat, hold = a_chat(bot, questions_per_minute=1000), threading.Event()
    monkeypatch.setattr(bot, "stream", lambda *_: (hold.wait(30), iter(()))[1])

    async def crowd() -> tuple[str, str]:
        waiting = [asyncio.create_task(anext(chat.respond("How deep is a pot?", Conversation(), str(number)))) for number in range(SIDE_BY_SIDE + MAX_WAITING)]
        while not chat.is_full:
            await asyncio.sleep(0)
        danger = await anext(chat.respond("i want to kill myself", Conversation(), "danger"))
        other = await anext(chat.respond("How deep is a pot?", Conversation(), "other"))
        hold.set()
        await asyncio.gather(*waiting, return_exceptions=True)
        return danger.messages[-1]["content"], other.messages[-1]["content"]

    danger, other = asyncio.run(crowd())
    assert 'role="alert"' in danger and "tel:988" in danger
    assert "Many people are asking" in other and "tel:988" in other and 'role="alert"' not in other


@pytest.mark.parametrize("question", ["", "   \n"])
def test_an_empty_question_is_answered_kindly(a_chat: Callable[..., Chat], bot: Ragbot, question: str) -> None:
    assert "Please type a question" in last(a_chat(bot), question)


def test_too_many_characters_are_turned_away_with_the_crisis_line(a_chat: Callable[..., Chat], bot: Ragbot) -> None:
    html = last(a_chat(bot), "x" * 2001)
    assert "longer than I can take" in html and "tel:988" in html
    assert 'role="alert"' in last(a_chat(bot), "i want to kill myself " + "x" * 10_000_000)


def test_too_many_questions_are_turned_away_before_anything_is_embedded_with_the_crisis_line(a_chat: Callable[..., Chat], bot: Ragbot, monkeypatch: pytest.MonkeyPatch) -> None:
    chat = a_chat(bot, questions_per_minute=2)
    last(chat, "How deep is a pot?")
    last(chat, "How deep is a pot?")
    monkeypatch.setattr(bot.embedder, "encode", lambda *_: pytest.fail("it was embedded"))
    html = last(chat, "Something that was never asked before?")
    assert "a lot of questions" in html and html.count("tel:") == 2
    assert 'role="alert"' in last(chat, "i want to die")


def test_other_conversations_are_not_held_back(a_chat: Callable[..., Chat], bot: Ragbot) -> None:
    chat = a_chat(bot, questions_per_minute=1)
    last(chat, "How deep is a pot?", "one")
    assert "a lot of questions" not in last(chat, "How deep is a pot?", "two")


@pytest.mark.parametrize(("question", "words"), [("What about soil?", "can't answer just now"), ("i want to kill myself", 'role="alert"')])
def test_with_a_broken_bot_help_still_stands(a_chat: Callable[..., Chat], question: str, words: str) -> None:
    html = last(a_chat(None), question).replace("&#x27;", "'")
    assert words in html and "988" in html


def test_a_rail_that_fails_closes_the_door(a_chat: Callable[..., Chat], bot: Ragbot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bot.engines.current().guard, "judge", lambda *_: (_ for _ in ()).throw(RuntimeError("secret detail")))
    html = last(a_chat(bot), "How deep is a pot?").replace("&#x27;", "'")
    assert "can't answer just now" in html and "secret" not in html


def test_a_missing_index_breaks_the_background_and_not_the_page(tmp_path: Path) -> None:
    background = BotInTheBackground(Settings.load(index=tmp_path))
    background.start()
    with pytest.raises(Exception, match="no index"):
        background.get()
    assert background.state == "broken"


def files_of(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("keep", [False, True])
def test_what_is_kept_of_a_question(a_chat: Callable[..., Chat], starter: Ragbot, copied_library: Path, keep: bool) -> None:
    """Counts always; words only with opt-in, redacted, and never those of somebody in danger."""
    chat = a_chat(starter, keep_questions=keep)
    for question in ("What is the price of a ketamine infusion in Zanzibar, asks Wilhelmina Canaryfield?", "i want to die, says canaryfield", "What is ketamine?"):
        last(chat, question)
    folder = copied_library / "feedback"
    kept = Feedback(Settings.load(sources=copied_library, keep_questions=keep))
    assert dict(kept.totals("status"))["emergency"] == 1
    assert sum(count for _, count in kept.totals("status")) == 3
    assert kept.usage()["what-ketamine-is"].cited == 1
    assert b"anaryfield" not in files_of(folder)
    assert (b"infusion in Zanzibar" in files_of(folder)) is keep
    assert b"want to die" not in files_of(folder)


def test_a_thumb_counts_once_for_the_articles_that_were_cited(a_chat: Callable[..., Chat], bot: Ragbot, copied_library: Path) -> None:
    chat = a_chat(bot)
    said = say(chat, "", say(chat, "How often do tomatoes need water?"))
    assert [answer is not None for answer in said.told] == [True, False]
    chat.mark(said, 1, True)
    for message in (0, 1, 2, 3, 99):
        chat.mark(said, message, False)
    usage = Feedback(Settings.load(sources=copied_library)).usage()["watering-tomatoes"]
    assert (usage.cited, usage.helpful, usage.unhelpful) == (1, 1, 0)
    assert isinstance(usage, Usage)


def test_where_counts_cannot_be_written_the_conversation_goes_on(a_chat: Callable[..., Chat], bot: Ragbot, copied_library: Path) -> None:
    (copied_library / "feedback").write_text("a file where the folder should be")
    assert "rb-statement" in last(a_chat(bot), "How often do tomatoes need water?")
