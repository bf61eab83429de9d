"""Answers and articles as HTML: escaped, linked, marked."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from ragbot.guardrails import Policy, Responses
from ragbot.guardrails.normalising import ACTING
from ragbot.records import Answer, Citation, Document, NearestArticle, Reference, Ruling, Source, Span, Statement
from ragbot.web.rendering import answer_html, article_html, short_help

TEXT = "> Notice.\n\nFirst words. [key1]\n\n- An item <b>here</b>\n  goes on. [key1]\n- Another item.\n"
SOURCE = Source("soil", "Soil & water", "s", "p", "https://example.org", references=(Reference("key1", "A <title>", doi="10.1/x"),))
DOCUMENT = Document(SOURCE, TEXT, "d")


@pytest.fixture(scope="module")
def responses() -> Responses:
    return Responses(Policy(), "US")


def an_answer(status: str = "answered", **changes: object) -> Answer:
    citation = Citation(1, "soil", "Soil & <water>", "https://example.org", "Head", "First words.", 11, 23)
    values = {
        "question": "q",
        "status": status,
        "guardrail": Ruling("rules", "informational", 1.0, ""),
        "statements": (Statement('First <script>alert("x")</script>.', (1,), 1.0),),
        "citations": (citation,),
    }
    return Answer(**(values | changes))  # type: ignore[arg-type]


def render(answer: Answer, responses: Responses) -> str:
    return answer_html(answer, responses.region, responses.elsewhere.lines[0])


def test_words_are_escaped_and_citations_open_the_exact_span(responses: Responses) -> None:
    html = render(an_answer(), responses)
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "/articles/soil?start=11&amp;end=23#quote" in html
    assert "Not clinically reviewed" in html


def test_an_answer_is_one_block_that_a_markdown_renderer_leaves_alone(responses: Responses) -> None:
    assert "\n\n" not in render(an_answer(notice="One.\n\nTwo."), responses)


def test_a_caution_stands_beside_its_statement_with_the_other_articles_words(responses: Responses) -> None:
    other = Citation(2, "other", "Other", "https://example.org", "", "The other words.", 0, 16)
    answer = an_answer(statements=(Statement("A claim.", (1,), 1.0, "It differs.", 2),), citations=(*an_answer().citations, other))
    html = render(answer, responses)
    assert html.index("A claim.") < html.index("It differs.") < html.index("The other words.") < html.index("start=0&amp;end=16")


def test_the_crisis_block_comes_first_is_announced_and_links(responses: Responses) -> None:
    ruling = Ruling("rules", "crisis", 0.99, "crisis-explicit")
    html = render(an_answer("emergency", guardrail=ruling, notice=responses.notice("crisis")), responses)
    assert html.index('role="alert"') < html.index("First")
    for link in ('href="tel:988"', 'href="sms:988"', 'href="tel:911"', "https://findahelpline.com"):
        assert link in html


def test_an_abstention_offers_the_nearest_articles(responses: Responses) -> None:
    answer = an_answer("abstained", statements=(), citations=(), notice="Not here.", nearest=(NearestArticle("soil", "Soil & water"),))
    assert 'href="/articles/soil">Soil &amp; water</a>' in render(answer, responses)


@pytest.mark.parametrize(
    ("quote", "marked"),
    [("First words.", ["First words."]), ("An item <b>here</b>\n  goes on.", ["An item &lt;b&gt;here&lt;/b&gt;", "goes on."])],
)
def test_exactly_the_quoted_words_are_marked(quote: str, marked: list[str]) -> None:
    start = TEXT.index(quote)
    html = article_html(DOCUMENT, Span(start, start + len(quote)))
    assert html.count("<mark") == len(marked)
    for words in marked:
        assert f"{words}</mark>" in html
    assert '<mark id="quote"' in html


def test_an_article_shows_its_review_state_and_references_and_no_raw_html() -> None:
    html = article_html(DOCUMENT, None)
    assert "Not clinically reviewed" in html
    assert 'href="https://doi.org/10.1/x"' in html
    assert "<b>" not in html
    assert "[key1]" not in html


def test_the_short_help_has_a_phone_a_text_and_a_directory(responses: Responses) -> None:
    html = short_help(responses.region, responses.elsewhere.lines[0])
    assert "tel:988" in html and "sms:988" in html and "findahelpline.com" in html


@pytest.mark.parametrize(
    ("markdown", "shown", "link"),
    [
        ("[Buy it](https://evil.example/x)", "Buy it [https://evil.example/x]", "evil.example"),
        ("<https://evil.example/x>", "https://evil.example/x", "evil.example"),
        ("[Write](mailto:a@evil.example)", "Write [mailto:a@evil.example]", "mailto"),
        ("[a][r]\n\n[r]: https://evil.example/y 'Title'", "a [https://evil.example/y]", "evil.example"),
        ("![How it works](https://evil.example/x.png)", "[Picture: How it works, https://evil.example/x.png]", "evil.example"),
        ("[![Inner](https://evil.example/x.png)](https://evil.example/z)", "[Picture: Inner, https://evil.example/x.png] [https://evil.example/z]", "evil.example"),
        ("[Near](/staff/drafts)", "Near [/staff/drafts]", "/staff"),
        ("[Up](//evil.example)", "Up [//evil.example]", "evil.example"),
    ],
)
def test_a_link_that_the_card_does_not_name_is_shown_and_not_live(markdown: str, shown: str, link: str) -> None:
    html = article_html(Document(SOURCE, markdown, "d"), None)
    assert shown in html
    assert not re.search(rf'(?:href|src)="[^"]*{re.escape(link)}', html)


def test_a_link_that_the_card_names_stays_live() -> None:
    html = article_html(Document(SOURCE, "[Read](https://doi.org/10.1/x) and [home](https://example.org/).", "d"), None)
    assert '<a href="https://doi.org/10.1/x" target="_blank" rel="noopener noreferrer">Read</a>' in html
    assert 'href="https://example.org/"' in html


@pytest.mark.parametrize("acting", ["\u202e", "\u2066", "\u200b", "\ufeff", "\U000e0041", "&#x202E;"])
def test_characters_that_act_on_others_are_written_out(acting: str, responses: Responses) -> None:
    source = replace(SOURCE, title=f"Soil {acting}")
    html = article_html(Document(source, f"First {acting}911{acting} words.", "d"), None) + render(an_answer(), responses)
    assert "⟦U+" in html
    assert not ACTING.search(html)
    answer = an_answer(statements=(Statement(f"Call {acting}119.", (1,), 1.0),))
    assert not ACTING.search(render(answer, responses))


def test_a_sentence_that_is_withheld_is_not_shown_and_the_quote_stays_where_it_is() -> None:
    text = "Call 1-900-555-0155 for help. Second words stand here. The end."
    document = Document(SOURCE, text, "d")
    start = text.index("Second")
    withheld = (Span(0, start - 1),)
    html = article_html(document, Span(start, start + len("Second words stand here.")), withheld)
    assert "1-900" not in html and "nobody here vouches for" in html
    assert '<mark id="quote" tabindex="-1">Second words stand here.</mark>' in html
    assert "<mark" not in article_html(document, Span(5, 20), withheld)


def test_a_text_forges_no_quote_and_a_key_stays_out_of_tags() -> None:
    html = article_html(Document(SOURCE, "\ue000Forged\ue001 words.\n\n```[key1]\ncode\n```\n", "d"), None)
    assert "<mark" not in html
    assert 'class="language-[key1]"' in html


def test_numbers_in_notices_are_links(responses: Responses) -> None:
    html = render(an_answer("social", statements=(), citations=(), notice=f"Hello.\n\n{responses.text('crisis_line')}"), responses)
    assert '<a href="tel:988">' in html and '<a href="tel:911">' in html and 'href="https://findahelpline.com' in html
