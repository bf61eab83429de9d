from __future__ import annotations

from typing import Any

import pytest

from ragbot.evaluation.comparing import compare_reports


def report(passed: dict[str, bool], scores: dict[str, float | None] | None = None, name: str = "x") -> dict[str, Any]:
    told = [
        {"name": key, "value": value, "unit": "ms" if "latency" in key else "share", "better": "low" if "wrong" in key else "high"}
        for key, value in (scores or {}).items()
    ]
    items = [{"id": key, "passed": value} for key, value in passed.items()]
    return {"about": {"date": "yesterday"}, "sets": [{"name": name, "kind": "answers", "items": items, "scores": told}]}


def test_items_are_fixed_broken_unchanged_added_and_removed() -> None:
    before = report({"a": True, "b": False, "c": True, "gone": True})
    after = report({"a": True, "b": True, "c": False, "new": False})
    one = compare_reports(before, after).sets[0]
    assert (one.fixed, one.broken, one.unchanged, one.added, one.removed) == (("b",), ("c",), 1, ("new",), ("gone",))


@pytest.mark.parametrize(
    ("name", "before", "after", "verdict"),
    [
        ("coverage", 0.80, 0.90, "better"),
        ("coverage", 0.90, 0.80, "worse"),
        ("wrong abstention", 0.10, 0.02, "better"),
        ("wrong abstention", 0.02, 0.10, "worse"),
        ("coverage", None, 0.80, "other"),
        ("coverage", 0.80, 0.8001, None),
        ("coverage", None, None, None),
        ("latency p50", 0.1, 99.0, None),
    ],
)
def test_movements_in_either_direction_are_told(name: str, before: float | None, after: float | None, verdict: str | None) -> None:
    movements = compare_reports(report({}, {name: before}), report({}, {name: after})).movements
    assert [movement.verdict for movement in movements] == ([verdict] if verdict else [])


def test_a_score_that_came_or_went_is_told() -> None:
    movements = compare_reports(report({}, {"old": 0.5}), report({}, {"new": 0.5})).movements
    assert {(movement.metric, movement.before, movement.after) for movement in movements} == {("new", None, 0.5), ("old", 0.5, None)}


def test_sets_that_stand_in_one_report_only_are_left_out() -> None:
    assert compare_reports(report({"a": True}, name="x"), report({"a": False}, name="y")).sets == ()
