"""Which numbers and addresses in a text nobody vouches for."""

from __future__ import annotations

import pytest

from ragbot.guardrails import OutputRail, Policy
from ragbot.guardrails.contacts import foreign_contact, foreign_link, known_contacts
from ragbot.records import Reference, Source

RAIL = OutputRail.of(Policy())
CLINIC = Source(
    "a",
    "A",
    "s",
    "p",
    "https://clinic.example/a",
    references=(Reference("k", "T", url="https://trial.example/x"),),
    contacts=("(503) 555-0134", "desk@clinic.example"),
)


@pytest.mark.parametrize(
    "text",
    [
        "The lifeline is now reached at 1-900-555-0155.",
        "Call 1.900.555.0155 now.",
        "Call (900) 555 0155.",
        "Ring one nine hundred, five five five, zero one five five.",
        "The number to dial is nine eight nine.",
        "Text HOME to 90055.",
        "Text HOME to nine zero zero five five.",
        "Call ９８９ at any hour.",
        "In an emergency press 9 . 8 . 1 and wait.",
        "Dial 1.9OO.555.O177 if it is busy.",
        "Call 1-800-GET-HELP today.",
        "The new crisis number is 555-0142.",
        "Write to help@lifeline.example at once.",
        "Write to help (at) lifeline (dot) example.",
        "Chat with us at lifeline-help.example tonight.",
        "Open lifeline dash help dot com tonight.",
        "Open help.lifeline dot com tonight.",
        "Go to www.988-lifeline.example now.",
        "Go to https://988lifeline.org.example/help.",
        "Use tel:19005550155.",
    ],
)
def test_a_stranger_is_found(text: str) -> None:
    assert RAIL.stranger(text) is not None


@pytest.mark.parametrize(
    "text",
    [
        "In the US, call or text 988 at any hour.",
        "Call 9-8-8 in Canada, or dial nine one one.",
        "Text HOME to 741741, or in the UK SHOUT to 85258.",
        "Samaritans answer 116 123, Childline 0800 1111, PAPYRUS 0800 068 4141.",
        "Poison Control is 1-800-222-1222 or (800) 222-1222.",
        "SAMHSA's National Helpline is 1-800-662-4357.",
        "Chat at 988lifeline.org, or look at www.iasp.info/crisis-centres-helplines.",
        "Veterans can press 1.",
        "In KADS (Loo 2023), 0.5 mg/kg was given twice weekly for 4 weeks to 174 people.",
        "The trial NCT02417064 ran in 2019-2021 and was published as doi 10.1176/appi.ajp.2017.17040472.",
        "Exercise helped 14,170 people in 218 trials (95% CI 1.9-7.3).",
        "About 280 million people, or 3.8%, live with depression.",
        "First studies call for larger trials of 300 people.",
        "On 16 July 2022 the number changed.",
        "The price was $4,700 to $6,800 in 2019.",
        "See the register at ClinicalTrials.gov.",
        "The effect is small, e.g. in adults.It fades.",
    ],
)
def test_helplines_and_other_figures_pass(text: str) -> None:
    assert RAIL.stranger(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "Call the clinic on 503 555 0134.",
        "Call +1 (503) 555-0134.",
        "Write to desk@clinic.example.",
        "More stands at trial.example and https://trial.example/x.",
    ],
)
def test_what_the_card_names_passes_in_its_own_article_alone(text: str) -> None:
    assert RAIL.stranger(text, CLINIC) is None
    assert RAIL.stranger(text) is not None


def test_without_helplines_every_number_is_foreign() -> None:
    assert foreign_contact("Call 988.", known_contacts(())) == "988"
    assert foreign_contact("Call 988.", known_contacts(("9-8-8",))) is None


@pytest.mark.parametrize(
    "words",
    [
        "The lifeline answers on 1\u2011900\u2011555\u20110155 now.", "Instead of 988 the lifeline service now answers at 989.",
        "Many people are helped by sending HOME to 90055.", "The emergency number in the United States is 119.",
        "Follow @lifeline988real for help in a crisis.", "Help is at lifeline988.zone at any hour.", "The hotline moved: 65 11 90, then 741742.",
        "Reach the helpline on 1\u00a0\u2013\u00a0900\u00a0\u2013\u00a0555\u00a0\u2013\u00a00155.",
    ],
)  # fmt: skip
def test_no_dash_no_verb_and_no_length_makes_a_strange_number_a_known_one(words: str) -> None:
    rail = OutputRail.of(Policy())
    assert rail.stranger(words) is not None


@pytest.mark.parametrize(
    "words",
    [
        "US poison centres had reports of 758 ketamine exposures in 2019-2021.", "Samaritans answer 116 123, free from landlines, every day of the year.",
        "In 2024 the 988 lifeline answered 5 million calls, 150 of 200 within 30 seconds.", "Call or text 988, or text HOME to 741741.",
        "The helpline took 120 calls a day in its first 12 weeks.",
    ],
)  # fmt: skip
def test_counts_in_a_sentence_on_help_are_no_numbers_to_call(words: str) -> None:
    assert OutputRail.of(Policy()).stranger(words) is None


@pytest.mark.parametrize("address", ["https://evil.example?.gov", "https://evil.example#.gov", "https://evil.example?x=.mil", "https://who.int@evil.example", "https://evil.example\\.gov"])
def test_an_authority_is_a_name_and_nothing_else(address: str) -> None:
    assert foreign_link(f"See {address} for more.", ()) is not None
