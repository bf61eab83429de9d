from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from ragbot.chunking import split_document
from ragbot.models import Embedder
from ragbot.records import Caution, Document, Draft, DraftStatement, Evidence, Passage, Reference, Review, Source, Span
from ragbot.verifying import SUPPORT_THRESHOLD, Checked, Verifier, figures, missing_numbers, turned_around

TEXT = """Tomato plants need 2.5 litres of water a day. [bloom2019] Drip lines **saved** 35% of the water. [moss2021]

## Do coffee grounds help?

Coffee grounds do not change the harvest. [moss2021]
"""
REFERENCES = (Reference("bloom2019", "Steady watering"), Reference("moss2021", "Drip lines"))
ARTICLE = Document(
    Source(
        "watering", "Watering", "", "", "https://example.org/watering", review=Review("reviewed", "Head gardener"), references=REFERENCES
    ),
    TEXT,
    "0" * 64,
)
OTHER = Document(Source("feeding", "Feeding", "", "", "https://example.org/feeding"), "Tomatoes are fed every 14 days.", "1" * 64)


def passages_of(document: Document) -> tuple[Passage, ...]:
    return tuple(Passage(chunk, document.source, 1.0, ("dense",)) for chunk in split_document(document))


WATERING, COFFEE = passages_of(ARTICLE)
(FEEDING,) = passages_of(OTHER)


def evidence(passage: Passage, *positions: int) -> Evidence:
    sentences = [passage.chunk.sentences[position] for position in positions or (0,)]
    return Evidence(passage, Span(sentences[0].span.start, sentences[-1].span.end))


@pytest.fixture(scope="module")
def verifier(embedder: Embedder) -> Verifier:
    return Verifier({"watering": ARTICLE, "feeding": OTHER}, embedder)


def check(verifier: Verifier, *statements: DraftStatement, passages: Sequence[Passage] = (WATERING, COFFEE, FEEDING)) -> Checked:
    return verifier.check(Draft(statements, "a test", 1.0), passages)


# Quotes and their places.


def test_a_sentence_that_is_its_own_quote_is_shown_with_the_articles_exact_words(verifier: Verifier) -> None:
    checked = check(verifier, DraftStatement("Drip lines saved 35% of the water.", (evidence(WATERING, 1),)))
    (statement,), (citation,) = checked.statements, checked.citations
    assert (statement.text, statement.citations, statement.support) == ("Drip lines saved 35% of the water.", (1,), 1.0)
    assert TEXT[citation.start : citation.end] == citation.quote
    assert "**saved**" in citation.quote
    assert (citation.article, citation.title, citation.url, citation.reviewed) == (
        "watering",
        "Watering",
        "https://example.org/watering",
        True,
    )
    assert [reference.key for reference in citation.references] == ["moss2021"]
    assert checked.withheld == ()


def test_the_same_quote_is_cited_under_one_number(verifier: Verifier) -> None:
    checked = check(
        verifier,
        DraftStatement("Tomato plants need 2.5 litres of water a day.", (evidence(WATERING, 0),)),
        DraftStatement("Drip lines saved 35% of the water.", (evidence(WATERING, 1),)),
        DraftStatement("Tomato plants need 2.5 litres a day of water.", (evidence(WATERING, 0),)),
    )
    assert [statement.citations for statement in checked.statements] == [(1,), (2,), (1,)]
    assert [citation.number for citation in checked.citations] == [1, 2]


def test_a_statement_that_is_withheld_leaves_no_citation_and_says_why(verifier: Verifier) -> None:
    checked = check(
        verifier,
        DraftStatement("Tomato plants need 9 litres of water a day.", (evidence(WATERING, 0),)),
        DraftStatement("Drip lines saved 35% of the water.", (evidence(WATERING, 1),)),
    )
    assert [statement.citations for statement in checked.statements] == [(1,)]
    assert [citation.number for citation in checked.citations] == [1]
    (reason,) = checked.withheld
    assert "9 litres" in reason
    assert "does not stand in its quote" in reason


@pytest.mark.parametrize(
    "span",
    [
        Span(0, len(TEXT)),
        Span(COFFEE.chunk.span.start, COFFEE.chunk.span.end),
        Span(WATERING.chunk.span.start, WATERING.chunk.span.end + 1),
        Span(WATERING.chunk.span.start, WATERING.chunk.span.start),
        Span(len(TEXT) + 1, len(TEXT) + 40),
    ],
)
def test_words_outside_the_passage_are_no_evidence(verifier: Verifier, span: Span) -> None:
    checked = check(verifier, DraftStatement("Tomato plants need 2.5 litres of water a day.", (Evidence(WATERING, span),)))
    assert checked.statements == ()
    assert checked.citations == ()
    assert "does not stand in 'watering'" in checked.withheld[0]


def test_a_passage_that_was_not_retrieved_is_no_evidence(verifier: Verifier) -> None:
    statement = DraftStatement("Tomatoes are fed every 14 days.", (evidence(FEEDING),))
    assert check(verifier, statement).statements
    checked = check(verifier, statement, passages=(WATERING,))
    assert checked.statements == ()
    assert "was not retrieved" in checked.withheld[0]


def test_one_bad_piece_of_evidence_spoils_the_statement(verifier: Verifier) -> None:
    statement = DraftStatement("Tomato plants need 2.5 litres of water a day.", (evidence(WATERING, 0), evidence(FEEDING)))
    checked = check(verifier, statement, passages=(WATERING,))
    assert (checked.statements, checked.citations) == ((), ())


def test_a_statement_without_evidence_is_withheld(verifier: Verifier) -> None:
    checked = check(verifier, DraftStatement("Tomato plants need 2.5 litres of water a day.", ()))
    assert checked.statements == ()
    assert "cites nothing" in checked.withheld[0]


def test_an_article_that_has_changed_since_is_not_quoted(embedder: Embedder) -> None:
    rewritten = Document(ARTICLE.source, TEXT.replace("2.5", "3.5"), "2" * 64)
    for documents in ({"watering": rewritten}, {}):
        checked = check(
            Verifier(documents, embedder), DraftStatement("Tomato plants need 2.5 litres of water a day.", (evidence(WATERING),))
        )
        assert (checked.statements, checked.citations) == ((), ())
        assert len(checked.withheld) == 1


def test_a_number_has_to_stand_in_the_statements_own_quote(verifier: Verifier) -> None:
    """That another passage holds it does not help."""
    checked = check(verifier, DraftStatement("Drip lines saved 14% of the water.", (evidence(WATERING, 1),)))
    assert checked.statements == ()


# Cautions.


def test_a_caution_brings_the_other_articles_words(verifier: Verifier) -> None:
    caution = Caution("Drip lines saved", "feeding", "Feeding matters more.")
    checked = check(verifier, DraftStatement("Drip lines saved 35% of the water.", (evidence(WATERING, 1),), caution, evidence(FEEDING)))
    (statement,) = checked.statements
    assert (statement.caution, statement.citations, statement.caution_citation) == ("Feeding matters more.", (1,), 2)
    assert checked.citations[1].quote == "Tomatoes are fed every 14 days."


@pytest.mark.parametrize("contrast", [None, Evidence(FEEDING, Span(0, 900))])
def test_a_claim_whose_caution_cannot_be_quoted_is_withheld(verifier: Verifier, contrast: Evidence | None) -> None:
    caution = Caution("Drip lines saved", "feeding", "Feeding matters more.")
    checked = check(verifier, DraftStatement("Drip lines saved 35% of the water.", (evidence(WATERING, 1),), caution, contrast))
    assert checked.statements == ()
    assert "caution" in checked.withheld[0]


def test_a_claim_whose_caution_cannot_be_quoted_leaves_no_citation(verifier: Verifier) -> None:
    caution = Caution("Drip lines saved", "feeding", "Feeding matters more.")
    checked = check(verifier, DraftStatement("Drip lines saved 35% of the water.", (evidence(WATERING, 1),), caution, None))
    assert checked.citations == ()


# Numbers.


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("0.5 mg/kg over 40 minutes", [("0.5", "mg/kg"), ("40", "minute")]),
        ("from 0.5 to 1.0 mg/kg", [("0.5", "mg/kg"), ("1", "mg/kg")]),
        ("24-hour, 24 hrs", [("24", "hour"), ("24", "hour")]),
        ("5–10 days", [("5", "day"), ("10", "day")]),
        ("two or three weeks", [("2", "week"), ("3", "week")]),
        ("71% and 71 percent", [("71", "%"), ("71", "%")]),
        ("1,000 plants in 2021", [("1000", ""), ("2021", "")]),
        ("a change of −3.50 points", [("-3.5", "point")]),
        ("one of the plants", []),
        ("no figures at all", []),
    ],
)
def test_figures_are_read_with_their_units(text: str, found: list[tuple[str, str]]) -> None:
    assert figures(text) == found


@pytest.mark.parametrize(
    ("text", "quote"),
    [
        ("71% of the plants were healthy.", "71 percent of the plants were healthy."),
        ("71 percent of the plants were healthy.", "71% of the plants were healthy."),
        ("Plants are fed two times a week.", "Plants are fed 2 times a week."),
        ("Plants are fed 2 times a week.", "Plants are fed two times a week."),
        ("Each plant is given 0.5 g.", "Each plant is given from 0.5 to 1.0 g."),
        ("The effect lasts 4 weeks.", "The effect lasts 2–4 weeks."),
        ("The effect lasts 2 weeks.", "The effect lasts 2, 4 or 6 weeks."),
        ("The trial had 1000 plants.", "The trial had 1,000 plants."),
        ("The trial took 24 hours.", "It was a 24-hour trial."),
        ("Each plant was given 0.50 g.", "Each plant was given 0.5 g."),
    ],
)
def test_the_same_figure_in_another_dress_holds(text: str, quote: str) -> None:
    assert missing_numbers(text, quote) == []


@pytest.mark.parametrize(
    ("text", "quote"),
    [
        ("The dose was 5 mg/kg of potassium.", "The dose was 0.5 mg/kg of potassium."),
        ("The dose was 0.5 mg of potassium.", "The dose was 0.5 mg/kg of potassium."),
        ("The dose was 0.5 mg of potassium.", "The dose was 0.5 g of potassium."),
        ("The dose was 1.5 mg/kg of potassium.", "The dose was 0.5 to 1.0 mg/kg of potassium."),
        ("In the trial 17% of the plants had leaf mould.", "In the trial 71% of the plants had leaf mould."),
        ("In the trial 71% of the plants had leaf mould.", "In the trial 71 plants had leaf mould."),
        ("The effect lasts 3 weeks.", "The effect lasts 3 days."),
        ("The effect lasts 3 to 5 days.", "The effect lasts 3 days."),
        ("Three plants died.", "Two plants died."),
        ("The score fell by −3 points.", "The score fell by 8 points."),
        ("It happened in 2012.", "It happened in 2021."),
        ("Tomatoes need 12,000 plants.", "Tomatoes need 12 or 1,000 plants."),
    ],
)
def test_a_changed_dose_share_or_duration_is_withheld(verifier: Verifier, text: str, quote: str) -> None:
    verdict = verifier.compare(text, quote)
    assert not verdict.passed
    assert "does not stand in its quote" in verdict.reason


@pytest.mark.parametrize(
    ("text", "quote"),
    [
        pytest.param("The dose is .5 mg/kg of potassium.", "The dose is 5 mg/kg of potassium.", id="a point without its zero"),
        pytest.param("The change was −3 points on the scale.", "The change was 3 points on the scale.", id="sign"),
        pytest.param("The feed costs $50 a year.", "The feed costs £50 a year.", id="currency"),
        pytest.param("The trial took fifty minutes.", "The trial took forty minutes.", id="fifty for forty"),
        pytest.param("The trial took fifty minutes.", "The trial took 40 minutes.", id="fifty for 40"),
        pytest.param("The trial took one hour.", "The trial took two hours.", id="one for two"),
        pytest.param("Plants are fed twice a week.", "Plants are fed three times a week.", id="twice for three times"),
        pytest.param("Half of the plants had leaf mould.", "A third of the plants had leaf mould.", id="half for a third"),
        pytest.param("The plants had ½ hour of sun.", "The plants had 1 hour of sun.", id="½ for 1"),
        pytest.param("Plants need 5 cm of soil.", "Plants need 5 m of soil.", id="cm for m"),
        pytest.param("Plants need 5 L of water.", "Plants need 5 ml of water.", id="L for ml"),
        pytest.param("Plants need 25 °F in the night.", "Plants need 25 °C in the night.", id="°F for °C"),
        pytest.param(
            "Leaf mould was seen on 12% in the morning and 31% in the evening.",
            "Leaf mould was seen on 31% in the morning and 12% in the evening.",
            id="shares swapped between groups",
            marks=pytest.mark.xfail(strict=True, reason="which group a figure belongs to is not read"),
        ),
    ],
)
def test_a_changed_figure_in_another_form_is_withheld(verifier: Verifier, text: str, quote: str) -> None:
    assert not verifier.compare(text, quote).passed


NUMBERS = st.one_of(
    st.integers(0, 99_999).map(str),
    st.integers(1000, 99_999_999).map(lambda number: f"{number:,}"),
    st.tuples(st.integers(0, 999), st.integers(0, 999)).map(lambda parts: f"{parts[0]}.{parts[1]}"),
    st.sampled_from("two three four five six seven eight nine ten eleven twelve".split()),
)
UNITS = st.sampled_from(["%", " percent", " mg", " mg/kg", " g", " ml", " days", " weeks", "-hour", " minutes", " points", " plants", ""])


def value_of(number: str) -> float:
    words = "zero one two three four five six seven eight nine ten eleven twelve".split()
    return float(words.index(number)) if number in words else float(number.replace(",", ""))


@settings(max_examples=60)
@given(NUMBERS, UNITS, st.lists(st.tuples(NUMBERS, UNITS), max_size=4))
@example("5", " mg/kg", [("0.5", " mg/kg")])
@example("1", "%", [("1.5", "%"), ("11", "%")])
def test_no_verdict_passes_when_a_number_is_not_in_the_quote(
    verifier: Verifier, number: str, unit: str, held: list[tuple[str, str]]
) -> None:
    assume(all(value_of(number) != value_of(other) for other, _ in held))
    text = f"Tomato plants in the garden were given {number}{unit} in the trial."
    quote = "Tomato plants in the garden were given " + ", ".join(f"{other}{name}" for other, name in held) + " in the trial."
    assert not verifier.compare(text, quote).passed


@given(NUMBERS, UNITS, UNITS)
def test_no_figure_holds_under_another_known_unit(number: str, unit: str, other: str) -> None:
    (read,), (held,) = figures(f"given {number}{unit} then"), figures(f"given {number}{other} then")
    assume(read[1] and read[1] != held[1])
    assert missing_numbers(f"given {number}{unit} then", f"given {number}{other} then")


@given(st.lists(st.tuples(NUMBERS, UNITS), min_size=1, max_size=4))
def test_a_text_holds_its_own_figures(held: list[tuple[str, str]]) -> None:
    text = " and then ".join(f"{number}{unit}" for number, unit in held)
    assert missing_numbers(text, text) == []


# Direction.


@pytest.mark.parametrize(
    ("text", "quote"),
    [
        ("Coffee grounds change the harvest.", "Coffee grounds do not change the harvest."),
        ("Coffee grounds do not change the harvest.", "Coffee grounds change the harvest."),
        ("Coffee grounds don’t change the harvest.", "Coffee grounds change the harvest."),
        ("Coffee grounds keep slugs away.", "Coffee grounds never keep slugs away."),
        ("The trial found no change in the harvest.", "The trial found a change in the harvest."),
        ("Watering increased the harvest of the plants.", "Watering reduced the harvest of the plants."),
        ("The share of cracked fruit fell.", "The share of cracked fruit rose."),
        ("Bush tomatoes bear more fruit when pruned.", "Bush tomatoes bear less fruit when pruned."),
        ("Ketamine activates the habenula.", "Ketamine silences the habenula."),
        ("Ketamine makes the bursts in the habenula worse.", "Ketamine makes the bursts in the habenula better."),
    ],
)
def test_a_statement_that_is_turned_around_is_withheld(verifier: Verifier, text: str, quote: str) -> None:
    verdict = verifier.compare(text, quote)
    assert not verdict.passed
    assert verdict.reason.startswith("it says")


@pytest.mark.parametrize(
    ("text", "quote"),
    [
        ("Uneven watering raised the share of cracked fruit.", "Uneven watering increased the share of cracked fruit."),
        ("Coffee grounds did not change the harvest.", "Coffee grounds never changed the harvest."),
        ("The harvest rose and the weeds fell.", "The weeds fell and the harvest rose."),
        ("The trial had 80 plants.", "A trial with 80 plants raised the share."),
    ],
)
def test_the_same_direction_is_no_contrary(text: str, quote: str) -> None:
    assert turned_around(text, quote) is None


@pytest.mark.parametrize(
    ("text", "quote"),
    [
        pytest.param("Watering raises the pressure.", "Watering lowers the pressure.", id="lowers"),
        pytest.param("Pruning shortens the harvest.", "Pruning lengthens the harvest.", id="lengthens"),
        pytest.param("The feed is safe for the plants.", "The feed is unsafe for the plants.", id="unsafe"),
        pytest.param("Coffee grounds hardly help tomatoes.", "Coffee grounds help tomatoes.", id="hardly"),
        pytest.param(
            "Vine tomatoes need more water than bush tomatoes.",
            "Bush tomatoes need more water than vine tomatoes.",
            id="compared groups swapped",
            marks=pytest.mark.xfail(strict=True, reason="which of two compared groups is more is not read"),
        ),
    ],
)
def test_a_contrary_in_other_words_is_withheld(verifier: Verifier, text: str, quote: str) -> None:
    assert not verifier.compare(text, quote).passed


# Support.


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("Tomato plants in a bed need plenty of water every day.", True),
        ("A lot of water every day is needed by tomato plants.", True),
        ("Lettuce is eaten by slugs in the night.", False),
        ("The moon makes seeds ripen early.", False),
        ("Roses smell best in the evening.", False),
    ],
)
def test_only_what_the_quote_carries_is_shown(verifier: Verifier, text: str, passes: bool) -> None:
    verdict = verifier.compare(text, "Tomato plants in a bed need a lot of water every day.")
    assert verdict.passed is passes
    assert (verdict.support >= SUPPORT_THRESHOLD) is passes
    assert 0 <= verdict.support <= 1
    assert passes or "does not carry it" in verdict.reason


def test_support_is_taken_from_the_cited_quote_alone(verifier: Verifier) -> None:
    statement = DraftStatement("Drip lines saved water.", (evidence(WATERING, 1),))
    assert check(verifier, statement).statements
    assert not check(verifier, DraftStatement(statement.text, (evidence(COFFEE),))).statements


@pytest.mark.parametrize("text", ["", " ", "...", "It is."])
def test_a_statement_without_telling_words_is_not_carried(verifier: Verifier, text: str) -> None:
    assert not verifier.compare(text, "Tomato plants need a lot of water.").passed
