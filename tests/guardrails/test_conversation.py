"""What a message means after those before it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragbot.guardrails import Policy, Responses
from ragbot.guardrails.conversation import MOST_PIECES, asked_part, earlier_topic, leans_on_history, pieces_of, turns_since_crisis
from ragbot.records import Turn

POLICY = Policy()


@pytest.mark.parametrize(
    "text",
    [
        "and how long does it last?",
        "But why?",
        "what about teenagers?",
        "how about older people?",
        "what if I miss one",
        "why?",
        "is it safe?",
        "does that hurt",
        "ok and then",
        "how often?",
    ],
)
def test_what_goes_on_from_the_turn_before(text: str) -> None:
    assert leans_on_history(text)


@pytest.mark.parametrize(
    "text",
    [
        "How long does one ketamine infusion last?",
        "What side effects are common after an infusion?",
        "ketamine",
        "",
        "?",
        "I have taken this medicine for years and my doctor says that it may be time to look for another treatment, which ones are there?",
    ],
)
def test_what_stands_by_itself(text: str) -> None:
    assert not leans_on_history(text)


def test_a_longer_message_falls_into_its_sentences() -> None:
    assert pieces_of("I had a long day. Nothing went well!\nWhat is ketamine?") == ["I had a long day.", "Nothing went well!", "What is ketamine?"]
    assert pieces_of("Only one sentence here.") == []
    assert pieces_of("") == []
    assert len(pieces_of("This is a sentence. " * 200)) == MOST_PIECES


@given(st.text(max_size=400))
def test_pieces_are_words_of_the_message(text: str) -> None:
    assert all(piece in text for piece in pieces_of(text))


def test_a_crisis_behind_the_most_pieces_is_still_in_one() -> None:
    text = "It was a long and grey day again. " * (MOST_PIECES + 5) + "I want to disappear for good."
    assert any("disappear" in piece for piece in pieces_of(text))


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("I feel so low. How does ketamine work?", "How does ketamine work?"),
        ("how does ketamine work", "how does ketamine work"),
        ("I want to die.", ""),
        ("I cannot go on. Nobody is here.", ""),
    ],
)
def test_the_part_that_asks(text: str, asked: str) -> None:
    assert asked_part(text) == asked


def test_the_topic_is_the_last_question_that_stands_by_itself() -> None:
    turns = (Turn("What is TMS exactly?"), Turn("How does ketamine lift a depression?"), Turn("and how long does it last?"))
    assert earlier_topic(turns) == "How does ketamine lift a depression? and how long does it last?"
    assert earlier_topic(turns[:2]) == "How does ketamine lift a depression?"
    assert earlier_topic(()) == ""


@pytest.mark.parametrize("between", range(7))
def test_a_crisis_is_remembered_by_what_was_asked(between: int) -> None:
    turns = (Turn("i want to kill myself"), *[Turn("What is TMS exactly?", "A treatment.")] * between)
    assert turns_since_crisis(turns, POLICY) == between


def test_the_latest_crisis_counts() -> None:
    turns = (Turn("i want to die"), Turn("What is TMS?"), Turn("i want to die"), Turn("What is ECT?"))
    assert turns_since_crisis(turns, POLICY) == 1


@pytest.mark.parametrize("region", sorted(POLICY.resources.regions))
def test_a_crisis_is_remembered_by_what_was_answered(region: str) -> None:
    turns = (Turn("i am so tired of it all", Responses(POLICY, region).text("crisis")), Turn("What is TMS?"))
    assert turns_since_crisis(turns, POLICY) == 1


def test_without_a_crisis_there_is_nothing_to_remember() -> None:
    assert turns_since_crisis((Turn("What is TMS?", Responses(POLICY, "US").text("sensitive_topic")), Turn("and ECT?")), POLICY) is None
    assert turns_since_crisis((), POLICY) is None
