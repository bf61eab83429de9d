from __future__ import annotations

from pathlib import Path

import pytest

from ragbot.errors import SettingsError
from ragbot.evaluation.bars import reaches, read_bars
from ragbot.evaluation.metrics.scoring import not_scored, share_score


@pytest.mark.parametrize(
    ("share", "better", "bar", "reached"),
    [(0.5, "high", 0.5, True), (0.5, "high", 0.6, False), (0.5, "low", 0.6, True), (0.5, "low", 0.4, False)],
)
def test_a_bar_is_a_floor_or_a_ceiling(share: float, better: str, bar: float, reached: bool) -> None:
    score = share_score("x", [True, False], "", better=better)  # type: ignore[arg-type]
    assert score.value == share
    assert reaches(score, bar) is reached


def test_what_was_not_scored_reaches_no_bar() -> None:
    assert not reaches(not_scored("x", "", better="low"), 1.0)


def test_bars_are_read_by_set_and_metric(tmp_path: Path) -> None:
    path = tmp_path / "ragbot.toml"
    path.write_text('[ragbot]\nport = 80\n[bars."report.answers"]\ncoverage = 1\n', encoding="utf-8")
    assert read_bars(path) == {"report.answers": {"coverage": 1.0}}
    assert read_bars(tmp_path / "missing.toml") == {}


@pytest.mark.parametrize("text", ["[bars\n", "bars = 3\n", "[bars]\ncoverage = 0.5\n", '[bars."x.answers"]\ncoverage = "high"\n'])
def test_bars_that_cannot_be_used_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "ragbot.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=r"ragbot\.toml"):
        read_bars(path)
