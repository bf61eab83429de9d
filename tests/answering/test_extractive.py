from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from ragbot.answering.calibration import GATE_NAMES, load_calibration
from ragbot.answering.extractive import MOST_STATEMENTS, ExtractiveAnswerer, choose, leans_on_previous
from ragbot.answering.relevance import Candidate
from ragbot.generation import Generation
from ragbot.models import Embedder
from ragbot.records import Draft
from ragbot.retrieving import Retriever
from ragbot.terms import terms_of

Asking = Callable[[Generation, str], Draft | None]

RAIN = """Tomato leaves stay wet for hours after the rain.

## Is rain bad for tomatoes?

Is rain bad for tomatoes? Rain brings leaf mould to tomatoes. Leaf mould comes to tomatoes with the rain.
Heavy rain floods the beds. It also washes nitrogen out of the soil. So a roof over tomatoes keeps the rain off. That is cheap.

## Which roof is best?

Glass roofs over tomatoes last 30 years.
"""

# Question and words that its answer has to hold.
ANSWERABLE = [
    ("How much water does a tomato plant need?", "2.5 litres of water a day"),
    ("When is the best time to water tomatoes?", "Early morning is the best time"),
    ("How often should tomatoes be fed?", "fed once a week"),
    ("Why do tomatoes crack?", "a dry spell is followed by a lot of water"),
    ("Which tomatoes are pruned?", "bush tomatoes are left alone"),
    ("When are side shoots removed?", "once a week, while they are shorter than 5 cm"),
    ("Do coffee grounds keep slugs away?", "do not keep slugs away"),
    ("What does a drip line do?", "the same small amount"),
    ("How much fruit does a bush tomato lose when its side shoots are removed?", "40%"),
]
OFF_TOPIC = [
    "Who won the football world cup?",
    "How do I repair a bicycle chain?",
    "What is the capital of France?",
    "How do I file my taxes?",
    "Which antibiotic treats pneumonia?",
    "asdf qwer zxcv",
    "?!",
]


@pytest.fixture(scope="module")
def rain(open_articles: Callable[..., Generation]) -> Generation:
    return open_articles({"tomatoes-and-rain": RAIN})


@pytest.mark.parametrize(("question", "words"), ANSWERABLE)
def test_an_answer_is_a_few_whole_sentences_of_the_articles(small: Generation, draft: Asking, question: str, words: str) -> None:
    found = draft(small, question)
    assert found is not None
    assert words in found.statements[0].text
    assert 2 <= len(found.statements) <= MOST_STATEMENTS
    for statement in found.statements:
        (evidence,) = statement.evidence
        sentences = [sentence for sentence in evidence.passage.chunk.sentences if sentence.span in evidence.span]
        assert statement.text == " ".join(sentence.text for sentence in sentences)
        assert (evidence.span.start, evidence.span.end) == (sentences[0].span.start, sentences[-1].span.end)


@pytest.mark.parametrize("question", [question for question, _ in ANSWERABLE])
def test_nothing_is_said_twice(small: Generation, draft: Asking, question: str) -> None:
    found = draft(small, question)
    assert found is not None
    for one, other in itertools.combinations(found.statements, 2):
        assert one.text not in other.text
        assert other.text not in one.text
        words, others = set(terms_of(one.text)), set(terms_of(other.text))
        assert len(words & others) < 0.75 * min(len(words), len(others))


def test_of_two_sentences_that_say_the_same_one_is_quoted(rain: Generation, draft: Asking) -> None:
    found = draft(rain, "What does rain bring to tomatoes?")
    assert found is not None
    assert sum("leaf mould" in statement.text.casefold() for statement in found.statements) == 1


@pytest.mark.parametrize("question", ["Is rain bad for tomatoes?", "is rain bad for tomatoes", "Rain and tomatoes, is it bad?"])
def test_a_question_is_no_answer(rain: Generation, draft: Asking, question: str) -> None:
    found = draft(rain, question)
    assert found is not None
    assert not any("?" in statement.text for statement in found.statements)


@pytest.mark.parametrize(
    ("question", "leaning", "before"),
    [
        ("What washes nitrogen out of the soil?", "It also washes nitrogen", "Heavy rain floods the beds."),
        ("Is a roof over tomatoes cheap?", "That is cheap.", "So a roof over tomatoes"),
    ],
)
def test_a_sentence_that_leans_brings_the_one_before_it(rain: Generation, draft: Asking, question: str, leaning: str, before: str) -> None:
    found = draft(rain, question)
    assert found is not None
    texts = [statement.text for statement in found.statements if leaning in statement.text]
    assert texts
    assert all(before in text and text.index(before) < text.index(leaning) for text in texts)


def test_the_antecedent_is_quoted_too(small: Generation, draft: Asking) -> None:
    found = draft(small, "Do the wounds of side shoots heal in the rain?")
    assert found is not None
    (statement,) = [statement for statement in found.statements if "heal badly" in statement.text]
    (evidence,) = statement.evidence
    quote = evidence.span.of(small.documents["pruning-tomatoes"].text)
    assert quote.startswith("Dry mornings are best")
    assert "They heal badly in the rain." in quote


@pytest.mark.parametrize(
    "question",
    [
        "What brings leaf mould to tomatoes?",
        "Is a roof over tomatoes cheap?",
    ],
)
def test_an_antecedent_is_not_quoted_again_on_its_own(rain: Generation, draft: Asking, question: str) -> None:
    found = draft(rain, question)
    assert found is not None
    for one, other in itertools.permutations(found.statements, 2):
        assert not one.evidence[0].span.overlaps(other.evidence[0].span), (one.text, other.text)


@pytest.mark.parametrize(
    ("sentence", "leans"),
    [
        ("It also helps.", True),
        ("They heal badly.", True),
        ("These plants die.", True),
        ("However, rain helps.", True),
        ("Rain helps it.", False),
        ("Italy is dry.", False),
        ("12% of them died.", False),
        ("", False),
    ],
)
def test_a_sentence_leans_by_its_first_word(sentence: str, leans: bool) -> None:
    assert leans_on_previous(sentence) is leans


@pytest.mark.parametrize("question", OFF_TOPIC)
def test_the_gate_abstains_off_topic(small: Generation, draft: Asking, question: str) -> None:
    assert draft(small, question) is None


def test_the_gate_tells_a_probability_and_what_it_was_made_of(small: Generation, embedder: Embedder) -> None:
    answerer, retriever = ExtractiveAnswerer(small, embedder), Retriever(small, embedder)
    gates = []
    for question in ("Why do tomatoes crack?", "How do I repair a bicycle chain?"):
        gate = answerer.gate(question, answerer.rate(question, retriever.retrieve(question, 8)))
        assert set(gate.features) == set(GATE_NAMES)
        assert all(-1 <= value <= 1.0001 for value in gate.features.values())
        gates.append(gate)
    good, bad = gates
    assert 1 >= good.probability > load_calibration().gate_threshold > bad.probability >= 0
    assert good.features["missing"] < bad.features["missing"]


def test_a_name_that_the_library_does_not_know_makes_an_answer_less_likely(small: Generation, embedder: Embedder) -> None:
    answerer, retriever = ExtractiveAnswerer(small, embedder), Retriever(small, embedder)

    def probability(question: str) -> float:
        return answerer.gate(question, answerer.rate(question, retriever.retrieve(question, 8))).probability

    assert probability("How often should zylotrexate be fed to tomatoes?") < probability("How often should tomatoes be fed?")


def test_no_passages_no_answer(small: Generation, embedder: Embedder) -> None:
    answerer = ExtractiveAnswerer(small, embedder)
    assert answerer.rate("Why do tomatoes crack?", []) == []
    assert answerer.gate("Why do tomatoes crack?", []).probability == 0.0
    assert answerer.draft("Why do tomatoes crack?", []) is None


def test_an_empty_library_answers_nothing(open_articles: Callable[..., Generation], draft: Asking) -> None:
    assert draft(open_articles({}), "Why do tomatoes crack?") is None


def test_a_stricter_threshold_abstains(small: Generation, embedder: Embedder) -> None:
    strict = ExtractiveAnswerer(small, embedder, replace(load_calibration(), gate_threshold=1.0))
    question = "Why do tomatoes crack?"
    assert strict.draft(question, Retriever(small, embedder).retrieve(question, 8)) is None


# Choosing, with scores and vectors set by hand.


def candidates_of(generation: Generation, embedder: Embedder, question: str) -> list[Candidate]:
    return ExtractiveAnswerer(generation, embedder).rate(question, Retriever(generation, embedder).retrieve(question, 8))


def with_scores(candidates: list[Candidate], *scores: float) -> list[Candidate]:
    """The candidates of the most different words, so that none is taken for another, with these scores."""
    apart: list[Candidate] = []
    for candidate in candidates:
        if not any(set(terms_of(candidate.sentence.text)) & set(terms_of(other.sentence.text)) - {"tomato", "plant", "water", "grow", "fruit"} for other in apart):
            apart.append(replace(candidate, score=scores[len(apart)], vector=np.eye(384, dtype=np.float32)[len(apart)]))
        if len(apart) == len(scores):
            return apart
    raise AssertionError("too few sentences differ")


@pytest.mark.parametrize(
    ("scores", "count"),
    [
        ((0.9,), 1),
        ((0.9, 0.1), 2),
        ((0.9, 0.08), 1),
        ((0.9, 0.5, 0.5), 3),
        ((0.9, 0.15, 0.15), 2),
        ((0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9), MOST_STATEMENTS),
    ],
)
def test_a_further_sentence_has_to_be_about_as_good_as_the_first(
    small: Generation, embedder: Embedder, scores: tuple[float, ...], count: int
) -> None:
    assert len(choose(with_scores(candidates_of(small, embedder, "How do tomatoes grow?"), *scores))) == count


def test_the_best_sentence_comes_first_and_each_article_keeps_its_own_order(small: Generation, embedder: Embedder) -> None:
    chosen = choose(with_scores(candidates_of(small, embedder, "How do tomatoes grow?"), 0.9, 0.89, 0.88, 0.87, 0.86))
    assert chosen[0].score == 0.9
    articles = [candidate.passage.source.id for candidate in chosen[1:]]
    assert len(list(itertools.groupby(articles))) == len(set(articles))
    for _, group in itertools.groupby(chosen[1:], key=lambda candidate: candidate.passage.source.id):
        starts = [candidate.sentence.span.start for candidate in group]
        assert starts == sorted(starts)


def test_no_candidates_no_choice() -> None:
    assert choose([]) == []
