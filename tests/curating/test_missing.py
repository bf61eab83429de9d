"""Counts always, words only where an organisation has opted in, and never those of a crisis."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ragbot.curating import missing
from ragbot.curating.missing import Feedback, redact
from ragbot.models import Embedder
from ragbot.records import Answer, Citation, Label, NearestArticle, Ruling, Statement, Status
from ragbot.settings import Settings

MakeSettings = Callable[..., Settings]
CANARY = "My name is Marigold Quince, marigold@quince.example, born 04/05/1981, call 0171 555 0199"


def answer(question: str, status: Status = "abstained", label: Label = "informational", nearest: str = "") -> Answer:
    cited = status == "answered"
    return Answer(
        question,
        status,
        Ruling("classifier", label, 0.9, ""),
        statements=(Statement("Words.", (1,), 1.0),) if cited else (),
        citations=(Citation(1, "slugs", "Slugs", "https://example.org", "", "Words.", 0, 6),) if cited else (),
        nearest=(NearestArticle(nearest, "Title"),) if nearest else (),
    )


def everything_on_disk(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_by_default_no_word_of_a_question_reaches_the_disk(settings: MakeSettings, copied_library: Path) -> None:
    feedback = Feedback(settings(sources=copied_library))
    feedback.count(answer(CANARY, nearest="slugs"))
    feedback.count(answer("Other words", "answered"))
    feedback.mark(answer(CANARY, "answered"), helpful=False)
    found = everything_on_disk(feedback.folder)
    assert b"Marigold" not in found
    assert b"Other words" not in found
    assert feedback.totals("missing") == [("slugs", 1)]
    assert dict(feedback.totals("status")) == {"abstained": 1, "answered": 1}
    usage = feedback.usage()["slugs"]
    assert (usage.cited, usage.helpful, usage.unhelpful) == (1, 0, 1)
    assert usage.last_cited == datetime.now(UTC).date().isoformat()
    assert feedback.questions() == []


def test_with_opt_in_the_words_are_kept_redacted(settings: MakeSettings, copied_library: Path) -> None:
    feedback = Feedback(settings(sources=copied_library, keep_questions=True))
    feedback.count(answer(f"Do slugs eat hostas? {CANARY}", nearest="slugs"))
    kept = feedback.questions()
    assert len(kept) == 1
    assert kept[0].question.startswith("Do slugs eat hostas?")
    found = everything_on_disk(feedback.folder)
    for word in (b"Marigold", b"quince.example", b"1981", b"0199"):
        assert word not in found


@pytest.mark.parametrize("label", ["crisis", "medical_emergency", "illicit", "injection"])
def test_what_was_said_in_danger_is_never_kept(settings: MakeSettings, copied_library: Path, label: Label) -> None:
    feedback = Feedback(settings(sources=copied_library, keep_questions=True))
    feedback.count(answer("CANARY of a crisis", "emergency" if "e" in label[:2] or label == "crisis" else "declined", label))
    feedback.mark(answer("CANARY of a crisis", "emergency" if label in ("crisis", "medical_emergency") else "declined", label), helpful=False)
    assert b"CANARY" not in everything_on_disk(feedback.folder)


def test_deleted_questions_are_gone_from_the_disk(settings: MakeSettings, copied_library: Path) -> None:
    feedback = Feedback(settings(sources=copied_library, keep_questions=True))
    for number in range(50):
        feedback.count(answer(f"CANARY number {number} about slugs"))
    assert feedback.delete_questions([feedback.questions()[0].id]) == 1
    assert len(feedback.questions()) == 49
    assert feedback.delete_questions() == 49
    assert b"CANARY" not in everything_on_disk(feedback.folder)


def test_old_questions_go_by_themselves(settings: MakeSettings, copied_library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    feedback = Feedback(settings(sources=copied_library, keep_questions=True, keep_questions_days=7))
    over_a_week_ago = (datetime.now(UTC).date() - timedelta(days=8)).isoformat()
    with monkeypatch.context() as patch:
        patch.setattr(missing, "_today", lambda: over_a_week_ago)
        feedback.count(answer("An old CANARY"))
    feedback.count(answer("A question of today"))
    assert [one.question for one in feedback.questions()] == ["A question of today"]
    assert b"CANARY" not in everything_on_disk(feedback.folder)


def test_questions_are_grouped_by_meaning_and_become_items_of_the_set(settings: MakeSettings, copied_library: Path, embedder: Embedder) -> None:
    feedback = Feedback(settings(sources=copied_library, keep_questions=True))
    for question in ("How much does an infusion cost?", "What is the price of an infusion?", "Can slugs swim in a pond?"):
        feedback.count(answer(question))
    groups = feedback.grouped(embedder)
    assert [len(group) for group in groups] == [2, 1]
    feedback.begin_article([one.id for one in groups[0]], "costs")
    assert feedback.published("costs") == 2
    assert [one.question for one in feedback.questions()] == ["Can slugs swim in a pond?"]
    items = [json.loads(line) for line in (feedback.folder / "asked.answers.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {item["question"] for item in items} == {"How much does an infusion cost?", "What is the price of an infusion?"}
    assert all(item["must_cite"] == ["costs"] and item["status"] == ["answered"] for item in items)
    assert feedback.published("costs") == 0


@pytest.mark.parametrize(
    ("question", "gone", "stays"),
    [
        ("write to jo.b@mail.example please", "jo.b", "please"),
        ("my therapist Dr. Hanna Weiss says so", "Weiss", "says so"),
        ("I live at 12 Elm Street with my dog", "Elm", "with my dog"),
        ("call +44 20 7946 0958 now", "7946", "now"),
        ("see www.site.example/me?id=3", "site", "see"),
        ("ask @jojo99 there", "jojo", "there"),
        ("is 40 mg twice a week for 6 weeks usual?", "[", "40 mg twice a week for 6 weeks"),
        ("Does Spravato differ from ketamine?", "[", "Does Spravato differ"),
    ],
)
def test_redaction_takes_names_and_numbers_and_leaves_the_matter(question: str, gone: str, stays: str) -> None:
    redacted = redact(question)
    assert gone not in redacted
    assert stays in redacted


def test_nobody_can_fill_the_disk(settings: MakeSettings, copied_library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(missing, "MOST_KEPT", 5)
    feedback = Feedback(settings(sources=copied_library, keep_questions=True))
    for number in range(20):
        feedback.count(answer(f"Do slugs eat {number} hostas?"))
        feedback.count(answer("Do slugs sleep?"))
    assert len(feedback.questions()) == 5
    assert [one.question for one in feedback.questions()].count("Do slugs sleep?") == 1


def test_forgetting_reaches_the_items_of_evaluations_too(settings: MakeSettings, copied_library: Path) -> None:
    feedback = Feedback(settings(sources=copied_library, keep_questions=True))
    feedback.count(answer("Do slugs eat CANARY?"))
    feedback.begin_article([feedback.questions()[0].id], "slugs")
    assert feedback.questions_for("slugs") == ["Do slugs eat CANARY?"]
    feedback.published("slugs")
    assert b"CANARY" in everything_on_disk(feedback.folder)
    feedback.delete_questions()
    assert b"CANARY" not in everything_on_disk(feedback.folder)
