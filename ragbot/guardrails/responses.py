"""The fixed texts with the helplines of a region filled in. A language model never writes or changes them."""

from __future__ import annotations

from collections.abc import Sequence

from ragbot.guardrails.policies import Line, Policy
from ragbot.records import Label


class Responses:
    """The texts of a policy for one region.

    Raises:
        SettingsError: the policy does not know the region.
    """

    def __init__(self, policy: Policy, region: str) -> None:
        self._policy = policy
        self.region = policy.region(region)
        self.elsewhere = policy.resources.elsewhere

    def resources(self) -> str:
        """Every helpline of the region and where to look elsewhere, a line each."""
        emergency = self.region.emergency
        lines = [f"Immediate danger ({self.region.name}): call {emergency.number}."]
        lines += [describe_line(line) for line in self.region.lines]
        lines += [describe_line(line) for line in self.elsewhere.lines[:1]]
        return "\n".join(f"• {line}" for line in lines)

    def resources_short(self) -> str:
        """The first helpline, the emergency number and where to look elsewhere, in one line."""
        first = describe_line(self.region.lines[0]) + " " if self.region.lines else ""
        directory = self.elsewhere.lines[0]
        return f"{first}In immediate danger call {self.region.emergency.number}. Other countries: {_bare(directory.url or directory.name)}."

    def emergency(self) -> str:
        """Whom to call in a medical emergency."""
        lines = [f"• Call {self.region.emergency.number} now ({self.region.name}; elsewhere your local emergency number)."]
        if self.region.poison is not None:
            poison = self.region.poison
            hours = f", {poison.hours}" if poison.hours else ""
            lines.append(f"• If too much was taken and the person is awake and well: {poison.name}, {poison.number}{hours}.")
        return "\n".join(lines)

    def text(self, name: str, **values: str) -> str:
        """A text of the policy by its name, filled in."""
        treatment = describe_line(self.region.treatment) if self.region.treatment else describe_line(self.elsewhere.lines[0])
        known = {
            "resources": self.resources(),
            "resources_short": self.resources_short(),
            "emergency": self.emergency(),
            "treatment": treatment,
            "topics": self._policy.topics.topics,
        }
        return self._policy.texts[name].format(**(known | values)).strip()

    def notice(self, label: Label) -> str | None:
        """The text that a class of message is answered with, or None."""
        name = self._policy.class_of(label).response
        return self.text(name) if name is not None else None

    def nearest(self, titles: Sequence[str]) -> str:
        """That the articles do not answer, and which come nearest."""
        articles = self.text("abstained_nearest", titles="; ".join(f"“{title}”" for title in titles)) if titles else ""
        return self.text("abstained", articles=articles)


def describe_line(line: Line) -> str:
    """A helpline in one sentence: how it is reached, for whom, when."""
    ways = []
    if line.call and line.call == line.text:
        ways.append(f"call or text {line.call}")
    else:
        if line.call:
            ways.append(f"call {readable_number(line.call)}")
        if line.text:
            ways.append(f"text {line.keyword} to {line.text}" if line.keyword else f"text {line.text}")
    if line.url:
        ways.append(_bare(line.url))
    what = f" ({line.what})" if line.what else ""
    hours = f", {line.hours}" if line.hours else ""
    return f"{line.name}{what}: {', '.join(ways)}{hours}."


def readable_number(number: str) -> str:
    """A phone number in groups, as people read it."""
    if "-" in number or " " in number or len(number) <= 5:
        return number
    if len(number) == 6:
        return f"{number[:3]} {number[3:]}"
    if len(number) == 8:
        return f"{number[:4]} {number[4:]}"
    return f"{number[:4]} {number[4:7]} {number[7:]}"


def _bare(url: str) -> str:
    return url.removeprefix("https://").rstrip("/")
