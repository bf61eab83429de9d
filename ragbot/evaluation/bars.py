"""The bars in ragbot.toml: what a score has to reach.

::

    [bars."report.answers"]
    coverage = 0.85              # at least, where high is good
    "wrong abstention" = 0.05    # at most, where low is good
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ragbot.errors import SettingsError
from ragbot.evaluation.metrics import Score

Bars = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class FallenBar:
    """A score that does not reach its bar."""

    set: str
    metric: str
    bar: float
    value: float | None

    def __str__(self) -> str:
        got = "not scored" if self.value is None else f"{self.value:.3f}"
        return f"{self.set}: {self.metric} is {got}, the bar is {self.bar:g}"


def read_bars(path: Path) -> Bars:
    """The bars of a settings file, by set (NAME.KIND) and metric; none where the file does not exist.

    Raises:
        SettingsError: the file cannot be read, or a bar is no number.
    """
    if not path.is_file():
        return {}
    try:
        bars = tomllib.loads(path.read_text(encoding="utf-8")).get("bars", {})
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"The settings file {str(path)!r} cannot be read: {error}.", "Mend it or leave it out.") from error
    for name, metrics in bars.items() if isinstance(bars, dict) else [("bars", bars)]:
        if not isinstance(metrics, dict) or not all(isinstance(bar, int | float) for bar in metrics.values()):
            raise SettingsError(f"The bars of {name!r} in {str(path)!r} cannot be used.", 'Write [bars."NAME.KIND"] and metric = number.')
    return {name: {metric: float(bar) for metric, bar in metrics.items()} for name, metrics in bars.items()}


def reaches(score: Score, bar: float) -> bool:
    """Whether a score reaches a bar; what was not scored does not."""
    if score.value is None:
        return False
    return score.value <= bar if score.better == "low" else score.value >= bar
