"""Help at the door: from rules alone, with each refusal."""

from __future__ import annotations

import pytest

from ragbot.guardrails import Policy, Responses
from ragbot.web.first_help import FirstHelp

POLICY = Policy()
HELP = FirstHelp(POLICY, Responses(POLICY, "US"))


@pytest.mark.parametrize("question", ["i want to kill myself", "he took all the pills and won't wake up", "x " * 500_000 + "\ni want to kill myself", "i want to die " + "x" * 1_000_000], ids=lambda text: text[:20])
def test_danger_is_seen_at_once_also_at_the_ends_of_a_long_letter(question: str) -> None:
    answer = HELP.judge(question)
    assert answer is not None and answer.status == "emergency"
    assert 'href="tel:' in HELP.block_html(answer)


@pytest.mark.parametrize("question", ["", "What is ketamine?", "hello"])
def test_no_danger_is_none(question: str) -> None:
    assert HELP.judge(question) is None


@pytest.mark.parametrize("region", sorted(POLICY.resources.regions))
@pytest.mark.parametrize("name", ["busy", "conversation_limit", "address_limit", "not_taken", "too_large", "too_slow"])
def test_each_refusal_carries_the_crisis_line_and_no_more(region: str, name: str) -> None:
    responses = Responses(POLICY, region)
    refusal = FirstHelp(POLICY, responses).refuse(429, name)
    said = refusal.to_dict()
    assert said["detail"].startswith(responses.text(name)) and responses.region.emergency.number in said["detail"]
    assert f"tel:{responses.region.emergency.number}" in said["help"]
    # Calm: one line, and not a list of helplines.
    assert "<li>" not in said["help"]


def test_a_refusal_of_somebody_in_danger_carries_the_block() -> None:
    refusal = HELP.refuse(429, "busy", HELP.judge("i want to kill myself"))
    assert 'role="alert"' in refusal.help_html and "988" in refusal.help_text
