"""The fixed texts: every region's own numbers stand in them, and nothing is left to be filled in."""

from __future__ import annotations

import pytest

from ragbot.errors import SettingsError
from ragbot.guardrails import LABELS, Policy, Responses
from ragbot.guardrails.responses import describe_line, readable_number

POLICY = Policy()
REGIONS = sorted(POLICY.resources.regions)
VALUES = {"limit": "2,000", "titles": "a title", "articles": "an article", "questions": "a question?"}


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("name", sorted(POLICY.texts))
def test_no_placeholder_is_left(region: str, name: str) -> None:
    text = Responses(POLICY, region).text(name, **VALUES)
    assert text.strip()
    assert not {"{", "}"} & set(text)
    assert "None" not in text


@pytest.mark.parametrize("region", REGIONS)
def test_the_crisis_text_names_every_line_of_the_region(region: str) -> None:
    responses = Responses(POLICY, region)
    text = responses.text("crisis")
    assert responses.region.emergency.number in text
    assert "findahelpline.com" in text
    for line in responses.region.lines:
        assert line.name in text
        assert readable_number(line.call) in text if line.call else True
        assert line.text in text if line.text else True


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("name", ["crisis_line", "sensitive_topic", "unavailable"])
def test_the_short_line_stands_where_help_may_be_needed(region: str, name: str) -> None:
    responses = Responses(POLICY, region)
    text = responses.text(name, **VALUES)
    assert responses.region.emergency.number in text
    assert "findahelpline.com" in text
    if responses.region.lines:
        assert responses.region.lines[0].name in text


@pytest.mark.parametrize(
    ("region", "name", "numbers"),
    [
        ("US", "crisis", ["911", "988", "text HOME to 741741"]),
        ("US", "medical_emergency", ["911", "1-800-222-1222"]),
        ("US", "illicit", ["1-800-662-4357"]),
        ("CA", "crisis", ["911", "988"]),
        ("GB", "crisis", ["999", "116 123", "text SHOUT to 85258", "0800 1111", "0800 068 4141"]),
        ("GB", "medical_emergency", ["999"]),
        ("IE", "crisis", ["112", "116 123"]),
        ("EU", "crisis", ["112", "findahelpline.com"]),
    ],
)
def test_the_numbers_of_a_region(region: str, name: str, numbers: list[str]) -> None:
    text = Responses(POLICY, region).text(name)
    assert [number for number in numbers if number not in text] == []


def test_a_region_is_found_in_small_letters_and_an_unknown_one_is_told() -> None:
    assert Responses(POLICY, "gb").region.emergency.number == "999"
    with pytest.raises(SettingsError, match="Known regions"):
        Responses(POLICY, "Atlantis")


@pytest.mark.parametrize("label", LABELS)
def test_each_class_but_the_plain_one_has_a_notice(label: str) -> None:
    notice = Responses(POLICY, "US").notice(label)  # type: ignore[arg-type]
    assert (notice is None) == (label in ("informational", "small_talk", "about"))


def test_the_nearest_articles_are_offered_where_there_are_some() -> None:
    responses = Responses(POLICY, "US")
    assert "“Blood pressure”; “Sleep”" in responses.nearest(["Blood pressure", "Sleep"])
    assert "nearest" not in responses.nearest([])


@pytest.mark.parametrize(
    ("number", "readable"), [("988", "988"), ("116123", "116 123"), ("08001111", "0800 1111"), ("08000684141", "0800 068 4141"), ("1-800-222-1222", "1-800-222-1222")]
)
def test_numbers_are_grouped_as_people_read_them(number: str, readable: str) -> None:
    assert readable_number(number).strip() == readable
    assert "  " not in readable_number(number)
    assert readable_number(number) == readable_number(number).strip()


def test_a_line_says_how_it_is_reached() -> None:
    first = POLICY.region("US").lines[0]
    assert "call or text 988" in describe_line(first)
    assert "988lifeline.org" in describe_line(first)
    assert "24/7" in describe_line(first)
