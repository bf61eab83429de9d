from __future__ import annotations

import numpy as np
import pytest

from ragbot.alignment import align, telling, weakest
from ragbot.models import Embedder, Tokens


def tokens(embedder: Embedder, *texts: str) -> list[Tokens]:
    return embedder.question_tokens(list(texts))


def test_a_text_meets_itself(embedder: Embedder) -> None:
    (one,) = tokens(embedder, "Tomatoes need two litres of water a day.")
    met = align(one.vectors, [one.vectors])
    assert met == pytest.approx(np.ones(len(one.pieces)), abs=1e-2)
    assert weakest(met) == pytest.approx(1.0, abs=1e-2)


def test_more_to_look_at_never_meets_worse(embedder: Embedder) -> None:
    asked, one, other = tokens(embedder, "When are side shoots removed?", "Slugs eat lettuce.", "Side shoots are pinched out weekly.")
    both = align(asked.vectors, [one.vectors, other.vectors])
    assert (both >= align(asked.vectors, [one.vectors]) - 1e-6).all()


@pytest.mark.parametrize(
    ("asked", "answers", "misses"),
    [
        ("Do coffee grounds keep slugs away?", "Coffee grounds did not keep slugs away.", "Coffee grounds feed the soil a little nitrogen."),
        ("How much water does a tomato need?", "A tomato needs two litres of water a day.", "A tomato needs six hours of sun."),
    ],
)
def test_the_one_thing_that_is_missing_decides(embedder: Embedder, asked: str, answers: str, misses: str) -> None:
    question, right, wrong = tokens(embedder, asked, answers, misses)
    assert weakest(align(question.vectors, [right.vectors])) > weakest(align(question.vectors, [wrong.vectors]))


def test_nothing_meets_nothing(embedder: Embedder) -> None:
    (one,) = tokens(embedder, "water")
    assert not align(one.vectors, []).any()
    assert weakest(align(one.vectors, [])) == pytest.approx(0.0)
    assert weakest(np.zeros(0, dtype=np.float32)) == 0.0


def test_the_soft_minimum_lies_between_minimum_and_mean() -> None:
    met = np.array([0.2, 0.9, 0.8, 0.7], dtype=np.float32)
    assert 0.2 < weakest(met) < float(met.mean())


def test_stop_words_and_punctuation_tell_nothing(embedder: Embedder) -> None:
    said, nothing = tokens(embedder, "What is the mulch for?", "is it?")
    assert [piece for piece, kept in zip(said.pieces, telling(said), strict=True) if kept] == ["mu", "##lch"]
    assert telling(nothing).all()
