"""What rules and classifier see of a message: the words, whatever they are dressed up as, and doses as they stand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragbot.guardrails.normalising import forms, plain, unmasked


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I’M", "im"),
        ("don't", "dont"),
        ("don`t", "dont"),
        ("don‘t", "dont"),
        ("  two\t words\r\nand a line ", "two words and a line"),
        ("ＫＩＬＬ", "kill"),
        ("𝐤𝐢𝐥𝐥", "kill"),
        ("ﬁne", "fine"),
        ("ki\u200bll", "kill"),
        ("ki\u200dll", "kill"),
        ("k\u00adi\u2060l\ufeffl", "kill"),
        ("\u202ekill\u202c", "kill"),
        ("\x00a\x07b\u2028c", "a b c"),
        ("", ""),
        (" \n ", ""),
    ],
)
def test_plain_takes_off_case_quotes_and_what_is_not_seen(text: str, expected: str) -> None:
    assert plain(text) == expected


def test_an_acute_accent_typed_as_an_apostrophe_goes_like_the_others() -> None:
    assert plain("don´t") == "dont"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("k1ll", "kill"),
        ("$u1c1d3", "suicide"),
        ("suісіdе", "suicide"),  # Cyrillic letters
        ("κill", "kill"),  # a Greek one
        ("kìll", "kill"),
        ("k i l l", "kill"),
        ("k-i-l-l", "kill"),
        ("k.i_l*l", "kill"),
        ("pleeease", "please"),
    ],
)
def test_unmasked_reads_the_word_behind_the_disguise(text: str, expected: str) -> None:
    assert unmasked(text) == expected


@pytest.mark.parametrize("text", ["50mg", "0.5 mg/kg", "3x a day", "at 4am", "the 2nd dose", "100 ml", "18yo", "wow!", "a b c"])
def test_doses_times_and_short_words_are_no_disguise(text: str) -> None:
    assert forms(text) == (plain(text),)


@pytest.mark.parametrize("text", ["हिंदी में", "العربية", "日本語です"])
def test_marks_of_other_scripts_stay(text: str) -> None:
    assert unmasked(text) == plain(text)


def test_forms_holds_each_form_once() -> None:
    assert forms("kill") == ("kill",)
    assert forms("K1LL") == ("k1ll", "kill")


@given(st.text(max_size=300))
def test_nothing_invisible_is_left_and_a_second_time_changes_nothing_more_to_spaces(text: str) -> None:
    once = plain(text)
    assert not set(once) & set("\u200b\u200c\u200d\u2060\ufeff\u00ad\x00\n\t'’")
    assert "  " not in once
    assert once == once.strip()
    assert 1 <= len(forms(text)) <= 2
