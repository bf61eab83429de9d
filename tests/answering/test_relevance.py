from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragbot.answering.calibration import load_calibration
from ragbot.answering.extractive import ExtractiveAnswerer
from ragbot.answering.relevance import FEATURE_NAMES, asked_kinds, holds_kind, overlap, rate_sentences
from ragbot.generation import Generation
from ragbot.models import Embedder
from ragbot.retrieving import Retriever
from ragbot.terms import Rarity

RARITY = Rarity([["tomato", "water"], ["tomato", "soil"], ["tomato", "coffee"]])


@pytest.mark.parametrize(
    ("question", "kinds"),
    [
        ("What percentage of the plants had leaf mould?", {"share"}),
        ("How many people get better?", {"share", "number"}),
        ("How long does it last?", {"time"}),
        ("When are side shoots removed?", {"time"}),
        ("How much does a drip line cost?", {"money", "number"}),
        ("What is the phone number of the society?", {"number"}),
        ("At what age do plants bear fruit?", {"number"}),
        ("Why do tomatoes crack?", set()),
        ("", set()),
    ],
)
def test_a_question_tells_what_figure_it_asks_for(question: str, kinds: set[str]) -> None:
    assert asked_kinds(question) == kinds


@pytest.mark.parametrize(
    ("sentence", "kind", "holds"),
    [
        ("Leaf mould was on 12% of the plants.", "share", True),
        ("It was seen on 3 of 80 plants.", "share", True),
        ("It was seen on many plants.", "share", False),
        ("It was seen in the garden.", "share", False),
        ("Feed them every 14 days.", "time", True),
        ("Feed them once a week.", "time", True),
        ("Feed them 5 g.", "time", False),
        ("It costs 30 dollars.", "money", True),
        ("It is $30.", "money", True),
        ("It is 30 g.", "money", False),
        ("Give 0.5 g.", "number", True),
        ("Give some.", "number", False),
        ("", "number", False),
    ],
)
def test_a_sentence_holds_a_kind_of_figure_or_not(sentence: str, kind: str, holds: bool) -> None:
    assert holds_kind(sentence, kind) is holds


@pytest.mark.parametrize(
    ("asked", "held", "share"),
    [
        (["soil"], ["soil"], 1.0),
        (["soil"], ["water"], 0.0),
        (["soil", "water"], ["soil"], 0.5),
        (["soil", "soil", "water"], ["soil", "soil"], 0.5),
        ([], ["soil"], 0.0),
        (["soil"], [], 0.0),
    ],
)
def test_overlap_is_the_share_of_what_is_asked(asked: list[str], held: list[str], share: float) -> None:
    assert overlap(asked, held, RARITY) == pytest.approx(share)


def test_a_telling_word_counts_more_than_a_common_one() -> None:
    assert overlap(["tomato", "soil"], ["soil"], RARITY) > 0.5 > overlap(["tomato", "soil"], ["tomato"], RARITY)


TERMS = st.lists(st.sampled_from(["tomato", "water", "soil", "coffee", "unknown", "slug"]))


@given(TERMS, TERMS, TERMS)
def test_overlap_is_a_share_that_grows_with_what_is_held(asked: list[str], held: list[str], more: list[str]) -> None:
    less, full = overlap(asked, held, RARITY), overlap(asked, held + more, RARITY)
    assert 0 <= less <= full + 1e-12 <= 1 + 1e-9
    assert overlap(asked, asked, RARITY) == pytest.approx(1.0 if asked else 0.0)


QUESTION = "How many days pass between feeds of tomatoes in good soil?"


def test_every_sentence_is_rated_once_best_first(small: Generation, embedder: Embedder) -> None:
    passages = Retriever(small, embedder).retrieve(QUESTION, 4)
    candidates = ExtractiveAnswerer(small, embedder).rate(QUESTION, passages)
    places = [(candidate.passage.chunk.id, candidate.position) for candidate in candidates]
    assert sorted(places) == sorted((passage.chunk.id, row) for passage in passages for row in range(len(passage.chunk.sentences)))
    scores = [candidate.score for candidate in candidates]
    assert scores == sorted(scores, reverse=True)
    assert all(0 < score < 1 for score in scores)
    assert candidates[0].sentence.text == "Tomatoes in good soil need feeding only every 14 days."
    for candidate in candidates:
        assert candidate.passage.chunk.sentences[candidate.position] == candidate.sentence
        assert candidate.features.as_array().shape == (len(FEATURE_NAMES),)


def test_features_say_what_they_are_called(small: Generation, embedder: Embedder) -> None:
    passages = Retriever(small, embedder).retrieve(QUESTION, 4)
    ranks = {passage.chunk.id: rank for rank, passage in enumerate(passages, 1)}
    vector = embedder.encode_questions([QUESTION])[0]
    for candidate in ExtractiveAnswerer(small, embedder).rate(QUESTION, passages):
        features = candidate.features
        assert features.rank == 1 / ranks[candidate.passage.chunk.id]
        assert features.kind == float(any(holds_kind(candidate.sentence.text, kind) for kind in ("time", "number")))
        assert features.context_overlap >= max(features.overlap, features.heading_overlap) - 1e-9
        assert features.cosine == pytest.approx(float(candidate.vector @ vector), abs=1e-5)


def test_the_kind_says_nothing_where_no_figure_is_asked_for(small: Generation, embedder: Embedder) -> None:
    question = "Why do tomatoes crack?"
    candidates = ExtractiveAnswerer(small, embedder).rate(question, Retriever(small, embedder).retrieve(question, 4))
    assert {candidate.features.kind for candidate in candidates} == {0.5}


def test_the_score_is_the_logistic_function_of_the_weighted_features(small: Generation, embedder: Embedder) -> None:
    passages = Retriever(small, embedder).retrieve(QUESTION, 2)
    vectors = [small.vectors_of(passage.chunk) for passage in passages]
    wholes = [small.chunk_vectors[small.rows[passage.chunk.id]] for passage in passages]
    question = embedder.encode_questions([QUESTION])[0]
    tokens = [small.tokens_of(passage.chunk) for passage in passages]
    asked = embedder.question_tokens([QUESTION])[0]
    only_cosine = np.array([float(name == "cosine") for name in FEATURE_NAMES], dtype=np.float32)
    for candidate in rate_sentences(QUESTION, question, asked, passages, vectors, wholes, tokens, RARITY, only_cosine, -0.5):
        assert candidate.score == pytest.approx(1 / (1 + np.exp(0.5 - candidate.features.cosine)), abs=1e-5)


def test_the_calibrated_weights_are_as_many_as_the_features() -> None:
    calibration = load_calibration()
    assert len(calibration.relevance_weights) == len(FEATURE_NAMES)
    assert 0 < calibration.gate_threshold < 1
