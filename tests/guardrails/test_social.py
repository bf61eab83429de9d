"""Small talk: which fixed words fit, and what "yes" takes up."""

from __future__ import annotations

import pytest

from ragbot.guardrails import Policy
from ragbot.guardrails.social import social_kind, taken_up
from ragbot.records import Label, Turn

KINDS = Policy().social
OFFERED = (Turn("How long does one infusion help?", "About a week.", "How often are infusions given?"),)
ASKED = (Turn("How long does one infusion help?", "About a week. Would you like to know how often infusions are repeated?"),)


@pytest.mark.parametrize(
    ("text", "label", "kind"),
    [
        ("hello", "small_talk", "greeting"), ("Good morning!", "small_talk", "greeting"), ("thx!!", "small_talk", "thanks"),
        ("ok thanks bye", "small_talk", "goodbye"), ("yes", "small_talk", "accepting"), ("tell me more", "small_talk", "accepting"),
        ("nope", "small_talk", "declining"), ("hahaha", "small_talk", "laughter"), ("this is useless", "small_talk", "complaint"),
        ("wow, great answer", "small_talk", "praise"), ("how are you", "small_talk", "how-are-you"), ("🙂", "small_talk", "small-talk"),
        ("who are you", "about", "about"), ("are you a real person?", "about", "real"), ("r u a doctor", "about", "doctor"),
        ("where does this information come from", "about", "sources"), ("who made you", "about", "author"),
        ("is this private?", "about", "privacy"), ("what can you help me with", "about", "abilities"),
    ],
)  # fmt: skip
def test_the_words_fit_what_was_said(text: str, label: Label, kind: str) -> None:
    assert social_kind(text, label, KINDS).name == kind


@pytest.mark.parametrize("text", ["yes", "yes please", "Sure, go ahead", "ok", "tell me more"])
def test_what_was_offered_is_taken_up(text: str) -> None:
    kind = social_kind(text, "small_talk", KINDS)
    assert taken_up(text, kind, OFFERED) == "How often are infusions given?"
    assert taken_up(text, kind, ASKED) == "how often infusions are repeated?"
    assert taken_up(text, kind, ()) is None
    assert taken_up(text, kind, (Turn("What?", "About a week."),)) is None


@pytest.mark.parametrize("text", ["no", "thanks", "hello", "yes but I really meant something else than that, you know"])
def test_nothing_else_takes_it_up(text: str) -> None:
    assert taken_up(text, social_kind(text, "small_talk", KINDS), OFFERED) is None
