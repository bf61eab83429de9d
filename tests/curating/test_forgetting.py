"""Mentions of an article in counts, kept questions and the evaluators' set: counted, removed from the bytes, all others kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ragbot.curating.forgetting import Mentions
from ragbot.curating.missing import FOLDER, Feedback
from ragbot.errors import SourceError
from ragbot.records import Answer
from ragbot.settings import Settings


@pytest.fixture
def feedback(settings: Callable[..., Settings], copied_library: Path, answer_to: Callable[..., Answer]) -> Feedback:
    feedback = Feedback(settings(sources=copied_library, keep_questions=True))
    for article in ("slugs", "snails"):
        for _ in range(2):
            feedback.count(answer_to(f"What do {article} eat?", article))
        feedback.mark(answer_to(f"What do {article} eat?", article), helpful=False)
        feedback.begin_article([feedback.questions()[-1].id], article)
    feedback.published("slugs")
    feedback.mark(answer_to("Why slugs?", "slugs"), helpful=False)
    return feedback


def test_the_mentions_of_one_article_are_removed_and_no_other(feedback: Feedback) -> None:
    others = feedback.usage()["snails"]
    mentions = Mentions(feedback.folder, "slugs")
    # Cited, unhelpful, two questions, an item of the evaluators' set.
    assert mentions.count() == mentions.remove() == 5
    assert mentions.count() == 0
    assert feedback.usage() == {"snails": others}
    assert [one.question for one in feedback.questions()] == ["What do snails eat?", "Why slugs?"]
    assert all(b'"slugs"' not in path.read_bytes() for path in feedback.folder.iterdir())
    assert b"unhelpfulslugs" not in (feedback.folder / "feedback.sqlite").read_bytes()
    assert Mentions(feedback.folder, "snails").count() == 3


def test_where_nothing_was_counted_nothing_is_made(tmp_path: Path) -> None:
    mentions = Mentions(tmp_path / FOLDER, "slugs")
    assert mentions.count() == mentions.remove() == 0
    assert not (tmp_path / FOLDER).exists()


def test_a_database_that_cannot_be_read_is_told(feedback: Feedback) -> None:
    (feedback.folder / "feedback.sqlite").write_bytes(b"garbage" * 1000)
    with pytest.raises(SourceError, match="counts cannot be read or written"):
        Mentions(feedback.folder, "slugs").count()
