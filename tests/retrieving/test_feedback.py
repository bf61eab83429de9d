from __future__ import annotations

import numpy as np
import pytest

from ragbot.retrieving.feedback import WORDS, as_weights, widen_vector, widen_words
from ragbot.terms import Rarity

RARITY = Rarity([["water", "soil"], ["water", "knife"], ["water", "slug"], ["water", "mulch"]])


def test_a_widened_vector_lies_between_and_has_length_one() -> None:
    question, found = np.array([1.0, 0.0], dtype=np.float32), np.array([[0.0, 1.0], [0.0, 1.0]], dtype=np.float32)
    wider = widen_vector(question, found)
    assert float(np.linalg.norm(wider)) == pytest.approx(1.0)
    assert wider[0] > wider[1] > 0


def test_the_question_keeps_half_of_the_weight() -> None:
    widened = widen_words(["knife"], [["soil", "slug"]], np.array([1.0]), RARITY)
    assert widened["knife"] == pytest.approx(0.5)
    assert sum(widened.values()) == pytest.approx(1.0)


def test_rare_words_of_near_passages_weigh_more() -> None:
    widened = widen_words(["water"], [["soil", "water"], ["slug", "water"]], np.array([1.0, 0.5]), RARITY)
    assert widened["soil"] > widened["slug"]
    assert widen_words(["x"], [["soil", "water"]], np.array([1.0]), RARITY)["soil"] > widen_words(["x"], [["soil", "water"]], np.array([1.0]), RARITY)["water"]


def test_only_the_most_telling_words_are_taken() -> None:
    words = [f"word{number}" for number in range(3 * WORDS)]
    assert len(widen_words(["water"], [words], np.array([1.0]), RARITY)) == WORDS + 1


def test_nothing_asked_and_nothing_found() -> None:
    assert widen_words([], [], np.array([]), RARITY) == {}
    assert as_weights(["a", "b", "a"]) == {"a": 2, "b": 1}
