"""The starter library answers as promised: exact quotes over many questions, the popular article's claims with their cautions,
silence where the articles do not answer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ragbot.chatbot import Ragbot

HERE = Path(__file__).parent
# The popular article's claims: how people ask of them, and words of the sentence that has to be cited.
CLAIMS = {
    "Who led the study that says ketamine flips a switch?": "Joe Cichon",
    "Which part of the brain did the popular article say the ketamine study focused on?": "called the habenula",
    "Was the flip a switch study done in a mouse model of depression?": "mouse model of depression",
    "Does ketamine activate neurons in the habenula?": "activated a specific group of neurons",
    "What does it mean that ketamine flips a switch in the brain?": "flip a switch",
    "Did ketamine cause a significant reduction in depressive symptoms in the popular article?": "significant reduction in depressive symptoms",
    "Did ketamine reverse depressive behaviors?": "reversal of depressive behaviours",
    "Does ketamine have rapid and robust effects in about 70% of patients?": "about 70% of patients",
    "Does ketamine give lasting relief?": "proven potential to provide lasting relief",
    "Can ketamine bring relief alongside an existing treatment plan, what does the article say?": "alongside an existing treatment plan",
    "Is ketamine a silver bullet?": "not a silver bullet",
    "Does the article say to seek qualified and experienced professionals for ketamine?": "qualified and experienced professionals",
}


def questions() -> list[dict[str, object]]:
    lines = (HERE / "calibration.answers.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_every_statement_of_a_hundred_answers_has_its_exact_quote(starter: Ragbot) -> None:
    documents = starter.generation.documents
    items = questions()
    assert len(items) >= 100
    statements = 0
    for item in items:
        answer = starter.ask(str(item["question"]), item.get("history") or ())  # type: ignore[arg-type]
        for citation in answer.citations:
            assert documents[citation.article].text[citation.start : citation.end] == citation.quote
        for statement in answer.statements:
            assert statement.citations
            quoted = " ".join(answer.citations[number - 1].quote for number in statement.citations)
            assert " ".join(statement.text.split()[:4]).rstrip(".,") in " ".join(quoted.split())
            statements += 1
    assert statements >= 100


@pytest.mark.parametrize(("question", "words"), CLAIMS.items(), ids=CLAIMS.values())
def test_a_claim_of_the_popular_article_is_cited_with_its_caution(starter: Ragbot, question: str, words: str) -> None:
    answer = starter.ask(question)
    assert answer.status == "answered"
    by_number = {citation.number: citation for citation in answer.citations}
    claimed = [
        statement
        for statement in answer.statements
        if words in statement.text and any(by_number[number].article == "ketamine-flips-a-switch" for number in statement.citations)
    ]
    assert claimed, answer.text
    for statement in claimed:
        assert statement.caution
        assert statement.caution_citation
        assert by_number[statement.caution_citation].article != "ketamine-flips-a-switch"


@pytest.mark.parametrize(
    "question",
    [
        "What is the capital of France?",
        "What dose of semaglutide is used for weight loss?",
        "How do I fix a flat bicycle tyre?",
        "Who won the world cup in 2018?",
        "Write a python function that sorts a list",
    ],
)
def test_what_the_articles_do_not_cover_is_not_answered(starter: Ragbot, question: str) -> None:
    answer = starter.ask(question)
    assert answer.status in ("abstained", "declined")
    assert not answer.statements
    assert answer.notice


@pytest.mark.parametrize("question", ["Should I take ketamine?", "Can I stop my antidepressant before ketamine?", "Is ketamine safe for my mum, she has high blood pressure?"])
def test_a_personal_decision_is_referred_with_cited_general_information(starter: Ragbot, question: str) -> None:
    answer = starter.ask(question)
    assert answer.status == "referred"
    assert answer.citations
    assert "mg" not in " ".join(statement.text for statement in answer.statements)
