"""What hides or reorders words is shown as what it is; what spells words and pictures stays."""

from __future__ import annotations

import pytest

from ragbot.characters import shown


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("annual\u202efdp.exe", "annual⟦U+202E⟧fdp.exe"), ("a\u2066b\u2069", "a⟦U+2066⟧b⟦U+2069⟧"), ("left\u200eright\u200f", "left⟦U+200E⟧right⟦U+200F⟧"),
        ("ket\u200bamine", "ket⟦U+200B⟧amine"), ("ket\u200damine", "ket⟦U+200D⟧amine"), ("ket\u200camine", "ket⟦U+200C⟧amine"), ("\ufeffTitle", "⟦U+FEFF⟧Title"),
        ("soft\u00adhyphen", "soft⟦U+00AD⟧hyphen"), ("\u2028", "⟦U+2028⟧"), ("bell\x07\x1b[31m", "bell⟦U+0007⟧⟦U+001B⟧[31m"), ("\x85", "⟦U+0085⟧"),
        ("a\U000e0041\U000e0042", "a⟦U+E0041⟧⟦U+E0042⟧"), ("\ue000quote\ue001", "⟦U+E000⟧quote⟦U+E001⟧"), ("\ud800", "⟦U+D800⟧"), ("x\ufe0f", "x⟦U+FE0F⟧"),
        ("\u3164", "⟦U+3164⟧"), ("\u061c", "⟦U+061C⟧"), ("\u200d", "⟦U+200D⟧"), ("👩\u200d", "👩⟦U+200D⟧"), ("می\u200c", "می⟦U+200C⟧"),
    ],
)  # fmt: skip
def test_what_shows_nothing_is_named(text: str, seen: str) -> None:
    assert shown(text) == seen


@pytest.mark.parametrize(
    "text",
    [
        "", "Plain words, 5 mg/kg – “quoted”.", "one\ntwo\tthree\r\n", "Grüße, naïve, Ελληνικά, 日本語", "👩\u200d👩\u200d👧", "👩🏽\u200d⚕\ufe0f", "❤\ufe0f\u200d🔥", "1\ufe0f\u20e3",
        "می\u200cخواهم", "क्\u200dष", "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "葛\U000e0100", "☎\ufe0e", "שלום",
    ],
)  # fmt: skip
def test_what_spells_words_and_pictures_stays(text: str) -> None:
    assert shown(text) == text


def test_what_was_shown_once_is_shown_no_other_way() -> None:
    assert shown(shown("a\u202eb")) == shown("a\u202eb")
