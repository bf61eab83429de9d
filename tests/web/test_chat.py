"""What the page does with a question, without a browser: limits, broken parts, memory of the conversation."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragbot.chatbot import Ragbot
from ragbot.errors import IndexBrokenError
from ragbot.guardrails import Policy, Responses
from ragbot.settings import Settings
from ragbot.web.public import BotInTheBackground, Chat


class Ready:
    """A background that is done, with a bot or with a problem."""

    def __init__(self, bot: Ragbot | None) -> None:
        self._bot = bot

    def get(self) -> Ragbot:
        if self._bot is None:
            raise IndexBrokenError("The index is broken.")
        return self._bot


def a_chat(bot: Ragbot | None, **changes: object) -> Chat:
    policy = Policy()
    return Chat(Ready(bot), policy, Responses(policy, "US"), Settings.load(**changes))  # type: ignore[arg-type]


def last(chat: Chat, question: str, visitor: str = "v") -> str:
    *_, (messages, _, _) = chat.respond(question, [], [], visitor)
    return str(messages[-1]["content"])


def test_the_conversation_is_remembered(bot: Ragbot) -> None:
    *_, (messages, turns, _) = a_chat(bot).respond("How often do tomatoes need water?", [], [], "v")
    assert [message["role"] for message in messages] == ["user", "assistant"]
    assert turns[-1].question == "How often do tomatoes need water?"


@pytest.mark.parametrize("question", ["", "   \n"])
def test_an_empty_question_is_answered_kindly(bot: Ragbot, question: str) -> None:
    assert "Please type a question" in last(a_chat(bot), question)


def test_too_many_characters_are_turned_away_with_the_crisis_line(bot: Ragbot) -> None:
    html = last(a_chat(bot), "x" * 2001)
    assert "longer than I can take" in html and "tel:988" in html
    assert 'role="alert"' in last(a_chat(bot), "i want to kill myself " + "x" * 10_000_000)


def test_too_many_questions_are_turned_away_before_anything_is_embedded_with_the_crisis_line(bot: Ragbot, monkeypatch: pytest.MonkeyPatch) -> None:
    chat = a_chat(bot, questions_per_minute=2)
    last(chat, "How deep is a pot?")
    last(chat, "How deep is a pot?")
    monkeypatch.setattr(bot.embedder, "encode", lambda *_: pytest.fail("it was embedded"))
    html = last(chat, "Something that was never asked before?")
    assert "many questions" in html and "tel:988" in html
    assert 'role="alert"' in last(chat, "i want to die")


def test_other_visitors_are_not_held_back(bot: Ragbot) -> None:
    chat = a_chat(bot, questions_per_minute=1)
    last(chat, "How deep is a pot?", "one")
    assert "many questions" not in last(chat, "How deep is a pot?", "two")


@pytest.mark.parametrize(("question", "words"), [("What about soil?", "can't answer just now"), ("i want to kill myself", 'role="alert"')])
def test_with_a_broken_bot_help_still_stands(question: str, words: str) -> None:
    html = last(a_chat(None), question).replace("&#x27;", "'")
    assert words in html and "988" in html


def test_a_rail_that_fails_closes_the_door(bot: Ragbot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bot.engines.current().guard, "judge", lambda *_: (_ for _ in ()).throw(RuntimeError("secret detail")))
    html = last(a_chat(bot), "How deep is a pot?").replace("&#x27;", "'")
    assert "can't answer just now" in html and "secret" not in html


def test_a_missing_index_breaks_the_background_and_not_the_page(tmp_path: Path) -> None:
    background = BotInTheBackground(Settings.load(index=tmp_path))
    background.start()
    with pytest.raises(Exception, match="no index"):
        background.get()
    assert background.state == "broken"
