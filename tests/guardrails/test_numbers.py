"""Numbers in words, other scripts and pieces."""

from __future__ import annotations

import pytest

from ragbot.guardrails.numbers import forms_in_digits, in_digits


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("about Forty-Five tablets", "about 45 tablets"),
        ("half a bottle", "0.5 bottle"),
        ("half a dozen, a dozen, two dozen", "6, 12, 24"),
        ("a couple of grams", "2 grams"),
        ("two and a half hours", "2.5 hours"),
        ("seven point five grams", "7.5 grams"),
        ("two hundred and fifty millilitres", "250 millilitres"),
        ("Nine thousand units", "9000 units"),
        ("280 million people", "280000000 people"),
        ("a hundred mg", "100 mg"),
        ("call nine eight eight", "call 988"),
        ("nine-one-one", "911"),
        ("double five one", "551"),
        ("9️⃣8️⃣8️⃣", "988"),
        ("٥٠ capsules", "50 capsules"),
        ("a total of ② ⑤", "a total of 25"),
        ("𝟑𝟎 of them", "30 of them"),
        ("4 0 tablets", "40 tablets"),
        ("14,170 people", "14170 people"),
        ("2,5 g", "2.5 g"),
        ("95% CI 1.9-7.3 in 2 3-year trials", "95% ci 1.9-7.3 in 2 3-year trials"),
        ("often and then", "often and then"),
        ("", ""),
    ],
)
def test_numbers_become_digits(text: str, digits: str) -> None:
    assert in_digits(text) == digits


def test_a_disguise_is_taken_off_in_the_second_form() -> None:
    assert forms_in_digits("f0rty p1lls")[-1] == "40 pills"
    assert len(forms_in_digits("plain words")) == 1
