from __future__ import annotations

from collections.abc import Callable

import pytest

from ragbot.answering.cautions import claimed_sentences, covered_sentences
from ragbot.answering.extractive import ExtractiveAnswerer
from ragbot.chatbot import Ragbot
from ragbot.generation import Generation
from ragbot.models import Embedder
from ragbot.records import Caution, Draft
from ragbot.terms import Rarity, terms_of

CLAIM = "Coffee grounds double the harvest of tomato plants."
WHY = "A larger trial did not find that coffee grounds change the harvest."
LIBRARY = {
    "claims": "Coffee grounds **double** the harvest of tomato plants. The trial had 12 plants. Slugs stay away.",
    "answers": "Gardens are green. Coffee grounds did not change the harvest in a trial with 640 plants. Slugs crossed them within 4 minutes.",
}
CAUTIONS = "cautions:\n  - claim: {claim}\n    see: {see}\n    why: {why}\n"


def rarity_of(generation: Generation) -> Rarity:
    return Rarity(terms_of(chunk.embedded) for chunk in generation.chunks)


def open_with(open_articles: Callable[..., Generation], claim: str, see: str = "answers", why: str = WHY) -> Generation:
    return open_articles(LIBRARY, {"claims": CAUTIONS.format(claim=claim, see=see, why=why)})


def test_the_claim_is_covered_by_the_other_articles_fitting_words(small: Generation) -> None:
    covered = covered_sentences(small, rarity_of(small))
    ((key, found),) = covered.items()
    text = small.documents["feeding-tomatoes"].text
    assert key == ("feeding-tomatoes", text.index("Coffee grounds double"))
    assert found.caution.why == WHY
    assert found.contrast.passage.source.id == "coffee-grounds"
    quote = found.contrast.span.of(small.documents["coffee-grounds"].text)
    assert quote.startswith("Coffee grounds did not change the harvest of tomato plants in a trial with 640 plants.")


@pytest.mark.parametrize(
    "question",
    [
        "Do coffee grounds help tomato plants?",
        "Do coffee grounds double the harvest?",
        "Is the harvest of tomato plants doubled by coffee grounds?",
    ],
)
def test_the_claim_is_never_shown_without_its_caution(bot: Ragbot, question: str) -> None:
    answer = bot.ask(question)
    claims = [statement for statement in answer.statements if "double the harvest" in statement.text]
    assert claims
    for statement in claims:
        assert statement.caution == WHY
        assert statement.caution_citation is not None
        citation = answer.citations[statement.caution_citation - 1]
        assert citation.article == "coffee-grounds"
        assert "did not change the harvest" in citation.quote
    assert WHY in answer.text
    assert f"See [{claims[0].caution_citation}]" in answer.text


def test_other_sentences_of_the_article_carry_no_caution(bot: Ragbot) -> None:
    answer = bot.ask("How often should tomatoes be fed?")
    assert answer.statements
    assert all(statement.caution is None for statement in answer.statements)


@pytest.mark.parametrize(
    "claim",
    [
        CLAIM,
        "double the harvest",
        "COFFEE GROUNDS   DOUBLE the harvest of tomato plants",
        "The harvest of tomato plants is doubled by coffee grounds",
    ],
)
def test_a_claim_is_found_in_its_own_words_or_in_most_of_them(open_articles: Callable[..., Generation], claim: str) -> None:
    generation = open_with(open_articles, claim)
    covered = covered_sentences(generation, rarity_of(generation))
    assert set(covered) == {("claims", 0)}
    (found,) = covered.values()
    assert found.contrast.span.of(generation.documents["answers"].text).startswith("Coffee grounds did not change")


def test_markup_in_the_articles_words_does_not_hide_the_claim(
    open_articles: Callable[..., Generation], draft: Callable[..., Draft | None]
) -> None:
    generation = open_with(open_articles, CLAIM)
    found = draft(generation, "Do coffee grounds double the harvest of tomato plants?")
    assert found is not None
    (statement,) = [statement for statement in found.statements if "double the harvest" in statement.text]
    assert statement.caution is not None
    assert statement.contrast is not None


@pytest.mark.parametrize(
    ("claim", "see"),
    [
        ("Moonlight ripens seeds", "answers"),
        (CLAIM, "no-such-article"),
        (CLAIM, "claims"),
    ],
)
def test_a_caution_that_finds_nothing_covers_nothing(open_articles: Callable[..., Generation], claim: str, see: str) -> None:
    generation = open_with(open_articles, claim, see)
    assert covered_sentences(generation, rarity_of(generation)) == {}


def test_a_claim_that_stands_twice_is_covered_twice(open_articles: Callable[..., Generation], embedder: Embedder) -> None:
    generation = open_articles(
        {
            "claims": "Plants drink. Coffee doubles fruit, he says.\n\n## Later\n\nCoffee doubles fruit, she says.",
            "answers": "Coffee does not double fruit.",
        },
        {"claims": CAUTIONS.format(claim="Coffee doubles fruit", see="answers", why="It does not.")},
    )
    assert len(covered_sentences(generation, rarity_of(generation))) == 2
    assert ExtractiveAnswerer(generation, embedder).rate("Does coffee double fruit?", []) == []


def test_no_article_no_claim(small: Generation) -> None:
    assert list(claimed_sentences(Caution(CLAIM, "coffee-grounds", WHY), [], rarity_of(small))) == []
