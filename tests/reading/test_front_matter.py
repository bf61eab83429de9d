from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from ragbot.errors import SourceError
from ragbot.reading import read_source
from ragbot.records import Caution, Reference, Review, Source

REQUIRED = "title: Tomatoes\nsummary: On tomatoes.\npublisher: Example Garden Society\nurl: https://example.org/\n"


def card(more: str, folder: Path) -> Source:
    path = folder / "tomatoes.md"
    path.write_text(f"---\n{REQUIRED}{more}---\nThey are red.\n", encoding="utf-8")
    return read_source(path).source


def test_four_lines_are_enough_and_make_a_draft(tmp_path: Path) -> None:
    source = card("", tmp_path)
    assert source == Source("tomatoes", "Tomatoes", "On tomatoes.", "Example Garden Society", "https://example.org/")
    assert source.status == "draft"
    assert source.review == Review(state="pending")


def test_every_key_of_the_contract_is_read(tmp_path: Path) -> None:
    source = card(
        """authors: [Ada Bloom, "Dahlgren, Carl"]
published: 2023-11-01
retrieved: 2026-11-23
license: CC-BY-4.0
status: published
review: {state: reviewed, by: Head gardener, on: 2026-11-23, due: 2027-11-23}
topics: [watering]
references: [{key: bloom2019, title: Steady watering, authors: Bloom A, container: Letters, year: 2019, doi: 10.5555/14}]
cautions: [{claim: They are red., see: green-tomatoes, why: Some are green.}]
""",
        tmp_path,
    )
    assert source.authors == ("Ada Bloom", "Dahlgren, Carl")
    assert (source.published, source.retrieved) == (date(2023, 11, 1), date(2026, 11, 23))
    assert (source.license, source.status, source.topics) == ("CC-BY-4.0", "published", ("watering",))
    assert source.review == Review("reviewed", "Head gardener", date(2026, 11, 23), date(2027, 11, 23))
    assert source.references == (Reference("bloom2019", "Steady watering", "Bloom A", "Letters", 2019, "10.5555/14"),)
    assert source.cautions == (Caution("They are red.", "green-tomatoes", "Some are green."),)


PROBLEMS = [
    ("unknown-key", 6, "The key 'licence' is unknown. Known keys: title, summary, publisher, url"),
    ("missing-title", 2, "The key 'title' is missing. Add a line 'title: …'"),
    ("empty-title", 3, "The value of 'title' cannot be used"),
    ("bad-date", 7, "The value of 'published' cannot be used"),
    ("impossible-date", 7, "day is out of range for month"),
    ("bad-url", 5, "The value of 'url' cannot be used"),
    ("bad-status", 6, "The value of 'status' cannot be used: Input should be 'draft', 'published' or 'retired'"),
    ("bad-review", 9, "The value of 'review.state' cannot be used"),
    ("bad-reference", 10, "The value of 'references.1.year' cannot be used"),
    ("reference-without-title", 8, "The key 'references.1.title' is missing"),
    ("reference-twice", 7, "the reference key 'one' stands twice"),
    ("colon-in-title", 3, "mapping values are not allowed here. Quote values that hold a colon"),
    ("key-twice", 7, "the key 'summary' stands twice"),
    ("not-a-mapping", 2, "The front matter is not a list of 'key: value' lines"),
    ("no-front-matter", 1, "There is no front matter"),
    ("never-closed", 1, "There is no front matter"),
    ("empty-body", None, "The article has no text"),
    ("nul", 8, "The file holds a NUL character"),
    ("latin-1", 9, "The file is not UTF-8"),
]


@pytest.mark.parametrize(("name", "line", "message"), PROBLEMS, ids=[case[0] for case in PROBLEMS])
def test_a_broken_article_is_turned_away_with_its_line(name: str, line: int | None, message: str, broken: Path) -> None:
    path = broken / f"{name}.md"
    with pytest.raises(SourceError) as caught:
        read_source(path)
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{path}:")
    if line is not None:
        assert caught.value.line == line


def test_every_broken_article_is_in_the_table(broken: Path) -> None:
    assert {path.stem for path in broken.iterdir()} == {case[0] for case in PROBLEMS}


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ("topics:\n  - watering\n  - 3\n", 8),
        ("review: {state: pending, reviewer: A}\n", 6),
        ("review:\n  state: pending\n  due: soon\n", 8),
        ("cautions:\n  - {claim: A, see: b, why: C}\n  - {claim: A, see: b}\n", 8),
        ("cautions:\n  - {claim: A, see: b, why: C}\n  - claim: A\n    see: b\n    why: ''\n", 10),
        ("references:\n  - {key: a, title: A, url: nowhere}\n", 7),
        ("1: one\n", 6),
        ("license: {a: [b]}\n", 6),
        ("license: !!python/object:os.system x\n", 6),
        ("topics: [*unknown]\n", 6),
        ("license: 'never closed\n", None),
        ("references: &all [*all]\n", 6),
    ],
)
def test_the_line_is_that_of_the_wrong_value(more: str, line: int | None, tmp_path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        card(more, tmp_path)
    if line is not None:
        assert caught.value.line == line


def test_yaml_nested_without_end_is_an_error_and_no_crash(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"tomatoes\.md"):
        card(f"topics: {'[' * 3000}\n", tmp_path)


@pytest.mark.parametrize("doi", ["10.5555/14", '"10.5555/14"'])
def test_a_doi_is_words_and_no_number(doi: str, tmp_path: Path) -> None:
    assert card(f"references: [{{key: a, title: A, doi: {doi}}}]\n", tmp_path).references[0].doi == "10.5555/14"
