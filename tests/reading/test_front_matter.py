from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from ragbot.errors import SourceError
from ragbot.reading import read_source
from ragbot.reading.front_matter import MOST_CARD_CHARACTERS, read_values, replace_status, set_status, split_file
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


def timed(act: Callable[[], object]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


# What YAML reads as a number, a day or a key, and then cannot build; each broke the staff page with an error of Python's own.
IMPOSSIBLE = {
    "a list as a key": "? [a]\n: b",
    "a mapping as a key": "? {a: b}\n: c",
    "a list as a key within": "topics: {[a]: b}",
    "a key that is no day": "? !!timestamp x\n: b",
    "binary without digits": "license: 0b_",
    "hexadecimal without digits": "license: 0x_",
    "a long number": f"license: {'9' * 5000}",
    "a long hexadecimal number": f"license: 0x{'f' * 5000}",
    "a number without digits": 'license: !!int ""',
    "no day": "license: !!timestamp x",
    "no such day": "license: 2026-02-30",
    "no number": "license: !!float x",
    "a number beyond all": f"license: {':'.join(['9' + '0' * 300] + ['59'] * 300)}.5",
    "no truth": "license: !!bool perhaps",
    "not binary": "license: !!binary ö",
    "no pairs": "license: !!pairs x",
    "no set": "license: !!set [a]",
    "an unknown tag": "license: !!python/object:os.system x",
    "never closed": "license: 'x",
    "a control character": "license: \x01",
}


@pytest.mark.parametrize("more", IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_impossible_values_are_an_error_with_a_line_and_no_crash(more: str, tmp_path: Path) -> None:
    assert read_values(REQUIRED + more) == {}
    with pytest.raises(SourceError) as caught:
        card(more + "\n", tmp_path)
    assert caught.value.line is not None
    # A control character is refused without its place.
    assert caught.value.line >= 6 or more.endswith("\x01")
    with pytest.raises(SourceError, match="front matter"):
        set_status(f"---\n{REQUIRED}{more}\n---\nWords.\n", "draft")
    with pytest.raises(SourceError, match="front matter"):
        replace_status(REQUIRED + more, "draft")


def test_aliases_and_anchors_are_refused_before_anything_grows_of_them(tmp_path: Path) -> None:
    bomb = "x0: &x0 [a, b]\n" + "".join(f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 9)}]\n" for n in range(1, 8)) + "authors: *x7\n"
    assert len(bomb) < 1000
    assert read_values(REQUIRED + bomb) == {}
    assert read_values("a: &x b\n") == {}
    assert read_values("a: 'R&D *x'\n") == {"a": "R&D *x"}
    with pytest.raises(SourceError, match=r"anchor \(&\) or an alias \(\*\)") as caught:
        card(bomb, tmp_path)
    assert caught.value.line == 6


def test_a_card_has_an_end(tmp_path: Path) -> None:
    long = f"license: {'x' * MOST_CARD_CHARACTERS}\n"
    assert read_values(long) == {}
    with pytest.raises(SourceError, match="more than 100,000 characters"):
        card(long, tmp_path)
    with pytest.raises(SourceError, match="more than 100,000 characters"):
        replace_status(long, "draft")
    assert card(f"license: {'x' * 90_000}\n", tmp_path).license.startswith("xxx")


def test_a_file_of_rules_is_split_at_once() -> None:
    assert timed(lambda: split_file("---\n" * 3_000_000)) < 0.5


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("title: T\n", "status: draft\ntitle: T\n"),
        ("title: T\r\n", "status: draft\r\ntitle: T\r\n"),
        ("", "status: draft\n"),
        ("# a remark\n", "status: draft\n# a remark\n"),
        ("status: published\ntitle: T\n", "status: draft\ntitle: T\n"),
        ("{title: T}\n", "{status: draft, title: T}\n"),
        ("{title: T, status: published}\n", "{title: T, status: draft}\n"),
        ("status: |\n  published\ntitle: T\n", "status: draft\ntitle: T\n"),
        ("status:\n  - published\ntitle: T\n", "status: draft\ntitle: T\n"),
        ("status:\ntitle: T\n", "status: draft\ntitle: T\n"),
    ],
)
def test_the_status_is_set_however_the_card_is_written(text: str, after: str) -> None:
    assert replace_status(text, "draft") == after


@pytest.mark.parametrize("text", ["- a\n- b\n", "words\n", "? status\n: published\n", "[title, T]\n"])
def test_where_no_status_can_be_set_it_is_told(text: str) -> None:
    with pytest.raises(SourceError, match="The status cannot be set"):
        replace_status(text, "draft")


@pytest.mark.parametrize("text", ["", "Words.", "---\ntitle: T\n", "Words.\n---\ntitle: T\n---\n", "Words.\n---\n"])
def test_no_status_is_set_without_front_matter(text: str) -> None:
    with pytest.raises(SourceError, match="There is no front matter"):
        set_status(text, "draft", "slugs.md")


@pytest.mark.parametrize(
    "review", ["{state: reviewed}", "{state: reviewed, by: Ada}", "{state: reviewed, on: 2026-01-05}", "{state: reviewed, by: ' ', on: 2026-01-05}"]
)
def test_a_review_that_has_taken_place_says_who_and_when(review: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"A review that has taken place needs 'by' and 'on'\.$") as caught:
        card(f"review: {review}\n", tmp_path)
    assert caught.value.line == 6
    assert card("review: {state: pending, due: 2027-01-05}\n", tmp_path).review.due == date(2027, 1, 5)


def test_words_of_the_card_stand_in_one_line(tmp_path: Path) -> None:
    several = '"a\\n\\n# b\\tc"'
    path = tmp_path / "tomatoes.md"
    path.write_text(
        f"---\ntitle: {several}\nsummary: {several}\npublisher: {several}\nurl: https://example.org/\nauthors: [{several}]\ntopics: [{several}]\nlicense: {several}\n"
        f"review: {{by: {several}}}\nreferences: [{{key: a, title: {several}, authors: {several}, container: {several}}}]\n"
        f"cautions: [{{claim: {several}, see: b, why: {several}}}]\n---\nWords.\n",
        encoding="utf-8",
    )
    source, line = read_source(path).source, "a # b c"
    assert (source.title, source.summary, source.publisher, source.license, source.review.by) == (line,) * 5
    assert source.authors == source.topics == (line,)
    assert (source.references[0].title, source.references[0].authors, source.references[0].container) == (line,) * 3
    assert source.cautions == (Caution("a\n\n# b\tc", "b", line),)


def test_words_of_nothing_but_separators_are_empty(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="The value of 'topics.0' cannot be used"):
        card('topics: ["\\x1c"]\n', tmp_path)


def test_what_may_stand_in_a_crisis_and_which_contacts_are_its_own(tmp_path: Path) -> None:
    source = card('in_crisis: true\ncontacts: ["(503) 555-0134", "desk@clinic.example", "clinic.example"]\n', tmp_path)
    assert source.in_crisis
    assert source.contacts == ("(503) 555-0134", "desk@clinic.example", "clinic.example")
    plain = card("", tmp_path)
    assert (plain.in_crisis, plain.contacts) == (False, ())


@pytest.mark.parametrize("more", ["in_crisis: yes please\n", 'in_crisis: "true"\n', "in_crisis: 1\n", "contacts: [us]\n", 'contacts: ["12"]\n', "contacts: 988\n"])
def test_a_mark_that_is_no_mark_is_refused_with_its_line(more: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        card(more, tmp_path)
    assert caught.value.line == 6
