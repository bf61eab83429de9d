"""The form of a card: what it shows comes back as it was, and what is marked is marked."""

from __future__ import annotations

import pytest
from starlette.datastructures import FormData

from ragbot.reading.front_matter import read_values, split_file
from ragbot.web.staff_forms import card_fields, edited_text

TEXT = "---\ntitle: T\nsummary: S\npublisher: P\nurl: https://example.org/\nstatus: draft\n{more}---\n\nWords.\n"


@pytest.mark.parametrize(
    ("before", "sent", "after"),
    [
        ("", {"in_crisis_asked": "yes", "in_crisis": "yes"}, True),
        ("in_crisis: true\n", {"in_crisis_asked": "yes"}, False),
        ("in_crisis: true\n", {"in_crisis_asked": "yes", "in_crisis": "yes"}, True),
        # A form that does not ask, changes nothing.
        ("in_crisis: true\n", {}, True),
        ("", {"in_crisis_asked": "yes"}, None),
    ],
)
def test_the_mark_for_a_crisis_is_set_and_taken_back(before: str, sent: dict[str, str], after: bool | None) -> None:
    text, slip = edited_text(TEXT.format(more=before), FormData(sent))
    assert not slip
    assert read_values(split_file(text)[0]).get("in_crisis") is after


def test_contacts_are_written_as_a_list() -> None:
    text, _ = edited_text(TEXT.format(more=""), FormData({"contacts": "(503) 555-0134; desk@clinic.example"}))
    values = read_values(split_file(text)[0])
    assert values["contacts"] == ["(503) 555-0134", "desk@clinic.example"]
    html = card_fields(values | {"in_crisis": True})
    assert "(503) 555-0134; desk@clinic.example" in html
    assert 'name="in_crisis" value="yes" checked' in html
