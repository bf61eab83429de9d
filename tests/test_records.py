from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragbot.records import Answer, Chunk, Citation, Reference, Ruling, Sentence, Source, Span, Statement, Turn, as_turns

RULING = Ruling("classifier", "informational", 0.971234, "")


def citation(number: int) -> Citation:
    return Citation(number, "watering-tomatoes", "Watering tomatoes", "https://example.org/", "", "Water.", 10, 16)


def answer(**changes: Any) -> Answer:
    values: dict[str, Any] = {
        "question": "How much water?",
        "status": "answered",
        "guardrail": RULING,
        "statements": (Statement("Water.", (1,), 0.9),),
        "citations": (citation(1),),
    }
    return Answer(**(values | changes))


@pytest.mark.parametrize(("start", "end"), [(-1, 3), (4, 3), (-2, -1)])
def test_an_impossible_span_cannot_be_built(start: int, end: int) -> None:
    with pytest.raises(ValueError, match=r"not a span"):
        Span(start, end)


spans = st.tuples(st.integers(0, 20), st.integers(0, 20)).map(lambda pair: Span(min(pair), max(pair)))


@given(spans, spans)
def test_spans_relate_as_their_characters_do(one: Span, other: Span) -> None:
    letters, others = set(range(one.start, one.end)), set(range(other.start, other.end))
    if letters and others:
        assert one.overlaps(other) == bool(letters & others) == other.overlaps(one)
        assert (other in one) == (others <= letters)


def test_a_span_cuts_its_words_out_of_the_text() -> None:
    assert Span(2, 5).of("a tomato") == "tom"


@pytest.mark.parametrize(
    ("reference", "link"),
    [
        (Reference("a", "A", doi="10.5555/1", url="https://example.org/a"), "https://doi.org/10.5555/1"),
        (Reference("a", "A", url="https://example.org/a"), "https://example.org/a"),
        (Reference("a", "A"), None),
    ],
)
def test_a_reference_links_to_its_doi_first(reference: Reference, link: str | None) -> None:
    assert reference.link == link


def test_a_chunk_is_embedded_below_its_title_and_heading() -> None:
    sentences = (Sentence(Span(0, 10), "Water it."), Sentence(Span(10, 20), "Feed it."))
    chunk = Chunk("a#0", "a", "Tomatoes", "Care", Span(0, 20), "Water **it**. Feed it.", sentences)
    assert chunk.plain == "Water it. Feed it."
    assert chunk.embedded == "Tomatoes. Care\nWater it. Feed it."
    assert chunk.digest == hashlib.sha256(chunk.embedded.encode()).hexdigest()
    assert dataclasses.replace(chunk, heading="Feeding").digest != chunk.digest


@pytest.mark.parametrize("record", [Span(0, 1), Source("a", "A", "", "", ""), RULING, Turn("Why?"), citation(1)])
def test_records_are_frozen_and_take_no_new_names(record: Any) -> None:
    name = dataclasses.fields(record)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(record, name, "other")
    assert not hasattr(record, "__dict__")


UNSOURCED = [
    ("answered without a statement", {"statements": (), "citations": ()}, "needs at least one statement"),
    ("a statement without a citation", {"statements": (Statement("Water.", (), 0.9),), "citations": ()}, "uncited statement: 'Water.'"),
    (
        "one of two statements without a citation",
        {"statements": (Statement("Water.", (1,), 0.9), Statement("Feed.", (), 0.9))},
        "uncited statement: 'Feed.'",
    ),
    ("a citation that is missing", {"statements": (Statement("Water.", (1, 2), 0.9),)}, "do not match"),
    ("a citation that nobody uses", {"citations": (citation(1), citation(2))}, "do not match"),
    ("citations out of order", {"citations": (citation(2), citation(1)), "statements": (Statement("W.", (1, 2), 1.0),)}, "numbered from 1"),
    ("a caution's citation that is missing", {"statements": (Statement("Water.", (1,), 0.9, "Careful.", 2),)}, "do not match"),
    ("abstained with a statement", {"status": "abstained"}, "'abstained' carries no statements"),
    ("declined with a statement", {"status": "declined"}, "'declined' carries no statements"),
    ("an uncited statement in an emergency", {"status": "emergency", "statements": (Statement("W.", (), 1.0),), "citations": ()}, "uncited"),
    ("an uncited statement in a referral", {"status": "referred", "statements": (Statement("W.", (), 1.0),), "citations": ()}, "uncited"),
]


@pytest.mark.parametrize(("changes", "message"), [case[1:] for case in UNSOURCED], ids=[case[0] for case in UNSOURCED])
def test_an_unsourced_answer_cannot_be_built(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        answer(**changes)


@pytest.mark.parametrize("status", ["abstained", "declined", "referred", "emergency"])
def test_other_answers_need_no_statement(status: str) -> None:
    bare = answer(status=status, statements=(), citations=(), notice="A notice.")
    assert bare.text == "A notice."
    assert bare.to_dict()["statements"] == []


@pytest.mark.parametrize(
    ("status", "text"),
    [
        ("answered", "Water. [1]\n\nA notice."),
        ("referred", "A notice.\n\nWater. [1]"),
        ("emergency", "A notice.\n\nWater. [1]"),
    ],
)
def test_the_notice_comes_first_where_someone_may_be_in_danger(status: str, text: str) -> None:
    assert answer(status=status, notice="A notice.").text == text


def test_a_caution_stands_beside_its_statement_in_the_text() -> None:
    cautioned = answer(statements=(Statement("Water.", (1,), 0.9, "A later trial differs.", 2),), citations=(citation(1), citation(2)))
    assert cautioned.text == "Water. [1] (Caution: A later trial differs. See [2].)"


def test_the_json_form_is_that_of_the_contract() -> None:
    rich = answer(notice="A notice.", follow_ups=("Why?",), index="gen-000001", timings_ms={"guard": 1.23456, "total": 2.0})
    full = json.loads(json.dumps(rich.to_dict()))
    assert full["statements"] == [{"text": "Water.", "citations": [1], "support": 0.9}]
    assert full["citations"][0] | {"number": 1, "quote": "Water.", "start": 10, "end": 16} == full["citations"][0]
    assert full["guardrail"] == {"label": "informational", "confidence": 0.9712, "rule": None, "policy": None}
    assert full["timings_ms"] == {"guard": 1.23, "total": 2.0}
    required = "question status text statements citations notice guardrail follow_ups model index timings_ms".split()
    assert set(required) <= set(full)


def test_of_a_stream_of_answers_the_last_one_counts() -> None:
    later = answer(notice="More.")
    assert answer() + later is later


@pytest.mark.parametrize(
    ("history", "turns"),
    [
        ((), ()),
        (("Why?", "How?"), (Turn("Why?"), Turn("How?"))),
        ((Turn("Why?", "So."),), (Turn("Why?", "So."),)),
        (({"question": "Why?", "answer": "So."},), (Turn("Why?", "So."),)),
        (({"question": "Why?", "text": "So."},), (Turn("Why?", "So."),)),
        (({"question": "Why?", "answer": None},), (Turn("Why?"),)),
        (({"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}), (Turn("Why?", "So."),)),
        (({"role": "assistant", "content": "Welcome."}, {"role": "user", "content": "Why?"}), (Turn("Why?"),)),
    ],
)
def test_a_history_is_read_in_each_of_its_forms(history: tuple[Any, ...], turns: tuple[Turn, ...]) -> None:
    assert as_turns(history) == turns


@pytest.mark.parametrize("entry", [3, None, {}, {"question": 3}, {"role": "user"}, ("Why?", "So.")])
def test_an_entry_that_is_no_turn_is_refused(entry: Any) -> None:
    with pytest.raises(ValueError, match="not a turn"):
        as_turns((entry,))
