from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragbot.chunking import split_document
from ragbot.models import Embedder
from ragbot.records import Chunk, Document, Source
from ragbot.rephrasing import Rephraser, find_abbreviations

TEXT = """Treatment-resistant depression (TRD) is common. The World Health Organization (WHO) counts it. Electroconvulsive therapy (ECT) helps.

Ketamine and esketamine are medicines. The mood gets better, and blood pressure rises. Vomiting is seldom.
"""
WORDS = {"ket": "ketamine", "special k": "ketamine", "bp": "blood pressure", "throw up": "vomiting", "w/o": "without", "throw": "toss"}


def chunks_of(text: str) -> Sequence[Chunk]:
    return split_document(Document(Source("article", "Ketamine", "", "", "https://example.org/"), text, "0" * 64))


@pytest.fixture(scope="module")
def rephraser(embedder: Embedder) -> Rephraser:
    return Rephraser(chunks_of(TEXT), WORDS, embedder.is_everyday)


@pytest.mark.parametrize(
    ("question", "rephrased"),
    [
        ("What is TRD?", "What is Treatment-resistant depression (TRD) ?"),
        ("what is trd", "what is Treatment-resistant depression (TRD)"),
        ("Is ECT painful?", "Is Electroconvulsive therapy (ECT) painful ?"),
    ],
)
def test_abbreviations_that_the_articles_explain_are_written_out(rephraser: Rephraser, question: str, rephrased: str) -> None:
    assert rephraser.rephrase(question) == rephrased


def test_who_is_a_word_and_WHO_an_organisation(rephraser: Rephraser) -> None:
    assert rephraser.rephrase("Who should not have ketamine?") == "Who should not have ketamine?"
    assert rephraser.rephrase("who can help") == "who can help"
    assert rephraser.rephrase("What does the WHO say?") == "What does the World Health Organization (WHO) say ?"


@pytest.mark.parametrize(
    ("question", "rephrased"),
    [
        ("Is ket safe?", "Is ketamine safe ?"),
        ("is Special K safe", "is ketamine safe"),
        ("Does it raise my BP?", "Does it raise my blood pressure ?"),
        ("Will I throw up?", "Will I vomiting ?"),
        ("w/o a doctor", "without a doctor"),
    ],
)
def test_everyday_words_become_the_articles_words(rephraser: Rephraser, question: str, rephrased: str) -> None:
    assert rephraser.rephrase(question) == rephrased


def test_a_longer_phrase_goes_before_a_shorter_one(rephraser: Rephraser) -> None:
    assert "vomiting" in rephraser.rephrase("throw up now")
    assert "toss" in rephraser.rephrase("throw it up")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("ketamin", "ketamine"),
        ("ketmaine", "ketamine"),
        ("esketamin", "esketamine"),
        ("depresion", "depression"),
        ("presure", "pressure"),
        ("medecines", "medicines"),
    ],
)
def test_misspelt_words_become_the_articles_words(rephraser: Rephraser, typed: str, meant: str) -> None:
    assert rephraser.rephrase(f"about {typed} please").split()[1] == meant


@pytest.mark.parametrize(
    "question",
    [
        "What is ketamine?",
        "Does  it   help,  or not?",
        "Is food good for the mood?",
        "Can I have moot and blond hair?",
        "xyzzyq zzgrth?",
        "0.5 mg/kg over 40 minutes",
        "¿Qué es la 🍅?",
        "Etamine",
        "",
        "   ",
    ],
)
def test_a_question_without_anything_to_change_is_returned_as_it_is(rephraser: Rephraser, question: str) -> None:
    assert rephraser.rephrase(question) == question


@given(st.text())
def test_any_text_can_be_rephrased(text: str) -> None:
    rephraser = Rephraser(chunks_of(TEXT), WORDS, lambda word: True)
    assert rephraser.rephrase("") == ""
    assert isinstance(rephraser.rephrase(text), str)


@given(st.lists(st.sampled_from(["what", "is", "ketamine", "the", "mood", "better", "?", "who", "1%"])))
def test_the_librarys_own_words_stay(words: list[str]) -> None:
    text = "  ".join(words)
    assert Rephraser(chunks_of(TEXT), {}, lambda word: False).rephrase(text) == text


def test_an_empty_library_changes_only_what_the_table_says() -> None:
    rephraser = Rephraser([], WORDS, lambda word: False)
    assert rephraser.rephrase("Is ketamin TRD?") == "Is ketamin TRD?"
    assert rephraser.rephrase("Is ket good?") == "Is ketamine good ?"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Treatment-resistant depression (TRD) is common.", {"trd": "Treatment-resistant depression"}),
        ("the lateral habenula (LHb) fires", {"lhb": "lateral habenula"}),
        ("given electroconvulsive therapy (ECT) or magnets (rTMS)", {"ect": "electroconvulsive therapy"}),
        ("World Health Organization (WHO), and later the World Heritage Office (WHO)", {"who": "World Health Organization"}),
        ("a trial (ABC) of plants", {}),
        ("(TRD) alone", {}),
        ("plants (in pots) and beds (see below)", {}),
        ("", {}),
    ],
)
def test_abbreviations_are_found_with_their_long_forms(text: str, found: dict[str, str]) -> None:
    assert find_abbreviations([text]) == found
