from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragbot.terms import STOP_WORDS, Rarity, terms_of, words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Water the Tomatoes!", ["water", "the", "tomatoes"]),
        ("It didn’t help, it didn't.", ["it", "didn't", "help", "it", "didn't"]),
        ("0.5 mg/kg, 1,000 plants and 35%", ["0.5", "mg", "kg", "1,000", "plants", "and", "35%"]),
        ("ﬁfty ½ straße", ["fifty", "1", "2", "strasse"]),
        ("side-shoots", ["side", "shoots"]),
        ("... — !", []),
        ("", []),
    ],
)
def test_words_are_plain_and_in_order(text: str, words: list[str]) -> None:
    assert words_of(text) == words


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("watering waters watered", ["water", "water", "water"]),
        ("the garden's soil", ["garden", "soil"]),
        ("How long does it last?", ["last"]),
        ("Don't use it", []),
        ("35% of 80", ["35%", "35", "80"]),
        ("0.5 litres", ["0.5", "litr"]),
    ],
)
def test_terms_are_the_stems_of_the_telling_words(text: str, terms: list[str]) -> None:
    assert terms_of(text) == terms


@given(st.text())
def test_case_never_matters_for_plain_letters(text: str) -> None:
    plain = "".join(letter for letter in text if letter.isascii())
    assert terms_of(plain.upper()) == terms_of(plain.lower())


@given(st.lists(st.sampled_from(sorted(word for word in STOP_WORDS if word.isalpha()))))
def test_stop_words_alone_tell_nothing(words: list[str]) -> None:
    assert terms_of(" ".join(words)) == []


def test_a_rare_term_tells_more_than_a_common_one() -> None:
    rarity = Rarity([["tomato", "water"], ["tomato", "soil"], ["tomato", "tomato"]])
    assert rarity("tomato") < rarity("soil") == rarity("water") < rarity("cabbage")
    assert rarity("soil") == pytest.approx(math.log(1 + 2.5 / 1.5))
    assert "soil" in rarity
    assert "cabbage" not in rarity


@given(st.lists(st.lists(st.sampled_from("abcde"), max_size=6), max_size=8), st.sampled_from("abcdef"))
def test_rarity_is_never_negative_and_counts_texts_not_words(texts: list[list[str]], term: str) -> None:
    once = Rarity([sorted(set(text)) for text in texts])
    assert Rarity(texts)(term) == once(term) > 0


def test_of_no_text_every_term_is_equally_rare() -> None:
    assert Rarity([])("tomato") == pytest.approx(math.log(2))
