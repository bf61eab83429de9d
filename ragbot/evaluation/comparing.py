"""Two reports side by side, item by item and score by score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# What a clock says differs from run to run.
UNSTEADY_UNITS = ("ms",)
TOLERANCE = 0.002


@dataclass(frozen=True, slots=True)
class Movement:
    """A score that is another than before."""

    set: str
    metric: str
    before: float | None
    after: float | None
    better: str

    @property
    def verdict(self) -> str:
        """``better``, ``worse`` or ``other``."""
        if self.before is None or self.after is None or not self.better:
            return "other"
        return "better" if (self.after > self.before) == (self.better == "high") else "worse"

    def __str__(self) -> str:
        before, after = ("not scored" if value is None else f"{value:.3f}" for value in (self.before, self.after))
        return f"{self.set}: {self.metric} {before} → {after} ({self.verdict})"


@dataclass(frozen=True, slots=True)
class SetComparison:
    """The items of a set that were mended, broken, came or went, and how many stayed as they were."""

    name: str
    fixed: tuple[str, ...]
    broken: tuple[str, ...]
    unchanged: int
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything that differs between two reports."""

    before: str
    sets: tuple[SetComparison, ...]
    movements: tuple[Movement, ...]

    def to_dict(self) -> dict[str, Any]:
        return {
            "before": self.before,
            "sets": [
                {"name": one.name, "fixed": one.fixed, "broken": one.broken, "unchanged": one.unchanged, "added": one.added, "removed": one.removed}
                for one in self.sets
            ],
            "movements": [{"set": one.set, "metric": one.metric, "before": one.before, "after": one.after, "verdict": one.verdict} for one in self.movements],
        }


def compare_reports(before: Mapping[str, Any], after: Mapping[str, Any], tolerance: float = TOLERANCE) -> Comparison:
    """What the later of two reports (in their JSON form) has otherwise; only sets that stand in both are compared."""
    earlier = {_title(one): one for one in before["sets"]}
    both = [(earlier[_title(one)], one) for one in after["sets"] if _title(one) in earlier]
    movements = [movement for old, new in both for movement in _movements(old, new, tolerance)]
    date = str(before.get("about", {}).get("date", "an earlier report"))
    return Comparison(date, tuple(_compare_items(old, new) for old, new in both), tuple(movements))


def _title(one: Mapping[str, Any]) -> str:
    return f"{one['name']}.{one['kind']}"


def _compare_items(old: Mapping[str, Any], new: Mapping[str, Any]) -> SetComparison:
    then = {item["id"]: item["passed"] for item in old["items"]}
    now = {item["id"]: item["passed"] for item in new["items"]}
    shared = [identity for identity in now if identity in then]
    return SetComparison(
        _title(new),
        fixed=tuple(identity for identity in shared if now[identity] and not then[identity]),
        broken=tuple(identity for identity in shared if then[identity] and not now[identity]),
        unchanged=sum(now[identity] == then[identity] for identity in shared),
        added=tuple(identity for identity in now if identity not in then),
        removed=tuple(identity for identity in then if identity not in now),
    )


def _movements(old: Mapping[str, Any], new: Mapping[str, Any], tolerance: float) -> list[Movement]:
    """Scores that moved further than the tolerance, in either direction, or came or went; times are left out."""
    then = {score["name"]: score for score in old["scores"]}
    now = {score["name"]: score for score in new["scores"]}
    found: list[Movement] = []
    for name in dict.fromkeys([*now, *then]):
        score = now.get(name) or then[name]
        if score["unit"] in UNSTEADY_UNITS:
            continue
        before, after = (scores.get(name, {}).get("value") for scores in (then, now))
        moved = (before is None) != (after is None) or (before is not None and after is not None and abs(after - before) > tolerance)
        if moved:
            found.append(Movement(_title(new), name, before, after, score["better"]))
    return found
