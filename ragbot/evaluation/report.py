"""Scores and judged items → a report that is looked at, written to files, and compared with an earlier one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragbot.errors import DatasetError
from ragbot.evaluation.bars import Bars, FallenBar, reaches
from ragbot.evaluation.judging import JudgedItem
from ragbot.evaluation.metrics import HEADLINE, Score
from ragbot.evaluation.plotting import Plot

if TYPE_CHECKING:
    from ragbot.evaluation.comparing import Comparison

FORMAT = 1


@dataclass(frozen=True, slots=True)
class SetReport:
    """One set: its scores, its items, its plots. ``groups`` are shares of right items by the items' own kind."""

    name: str
    kind: str
    scores: tuple[Score, ...]
    items: tuple[JudgedItem, ...]
    plots: tuple[Plot, ...] = ()
    errors: int = 0
    seconds: float = 0.0

    @property
    def title(self) -> str:
        return f"{self.name}.{self.kind}"

    @property
    def failing(self) -> tuple[JudgedItem, ...]:
        return tuple(item for item in self.items if not item.passed)

    @property
    def groups(self) -> dict[str, tuple[int, int]]:
        """For each kind of item how many are right, of how many."""
        found: dict[str, tuple[int, int]] = {}
        for item in self.items:
            if item.group and not item.borderline:
                right, total = found.get(item.group, (0, 0))
                found[item.group] = (right + item.passed, total + 1)
        return found

    @property
    def headline(self) -> tuple[Score, ...]:
        names = HEADLINE.get(self.kind)
        return tuple(score for score in self.scores if score.value is not None and (names is None or score.name in names))

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "kind": self.kind,
            "n": len(self.items),
            "borderline": sum(item.borderline for item in self.items),
            "errors": self.errors,
            "seconds": round(self.seconds, 1),
            "scores": [score.to_dict() for score in self.scores],
            "groups": {group: {"right": right, "n": total} for group, (right, total) in self.groups.items()},
            "items": [item.to_dict() for item in self.items],
        }


@dataclass(frozen=True, slots=True)
class Report:
    """A whole run. ``about`` names date, version, model, index and settings; ``problems`` are lines that could not be used."""

    sets: tuple[SetReport, ...]
    about: Mapping[str, str]
    problems: tuple[DatasetError, ...] = ()
    bars: Bars | None = None
    comparison: Comparison | None = None

    @property
    def fallen(self) -> tuple[FallenBar, ...]:
        """The bars that are not reached by the sets that were run."""
        found: list[FallenBar] = []
        for one in self.sets:
            scores = {score.name: score for score in one.scores}
            for metric, bar in (self.bars or {}).get(one.title, {}).items():
                if metric not in scores:
                    found.append(FallenBar(one.title, metric, bar, None))
                elif not reaches(scores[metric], bar):
                    found.append(FallenBar(one.title, metric, bar, scores[metric].value))
        return tuple(found)

    @property
    def holds(self) -> bool:
        """Whether every bar is reached and every line could be used; the command exits 1 where not."""
        return not self.fallen and not self.problems

    def bar_of(self, one: SetReport, score: Score) -> float | None:
        return (self.bars or {}).get(one.title, {}).get(score.name)

    def headline(self) -> list[tuple[str, str, str, str, str]]:
        """The headline table, a row a score: set, metric, value (with its bar), 95 % interval, n."""
        rows: list[tuple[str, str, str, str, str]] = []
        for one in self.sets:
            for score in one.headline:
                bar = self.bar_of(one, score)
                mark = "" if bar is None else f" {'✓' if reaches(score, bar) else '✗'} {'≤' if score.better == 'low' else '≥'} {bar:g}"
                rows.append((one.title, score.name, show_figure(score.value, score) + mark, show_interval(score), str(score.n)))
        return rows

    def to_dict(self) -> dict[str, Any]:
        """The JSON form, which is what an earlier report is compared by."""
        return {
            "format": FORMAT,
            "about": dict(self.about),
            "holds": self.holds,
            "fallen_bars": [str(bar) for bar in self.fallen],
            "problems": [str(problem) for problem in self.problems],
            "comparison": self.comparison.to_dict() if self.comparison is not None else None,
            "sets": [one.to_dict() for one in self.sets],
        }

    def write(self, folder: Path) -> None:
        """Writes report.html, report.md and report.json.

        Raises:
            DatasetError: the folder cannot be written.
        """
        from ragbot.evaluation.pages import render_html
        from ragbot.evaluation.summaries import render_markdown

        files = {
            "report.json": json.dumps(self.to_dict(), ensure_ascii=False, indent=1) + "\n",
            "report.md": render_markdown(self),
            "report.html": render_html(self),
        }
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name, text in files.items():
                # Public sets hold lone surrogates and worse; a report that cannot be written helps nobody.
                (folder / name).write_text(text, encoding="utf-8", errors="replace")
        except OSError as error:
            raise DatasetError(f"The report cannot be written: {error.strerror}.", "Name another folder with --out DIR.", path=folder) from error


def show_figure(value: float | None, score: Score) -> str:
    """A value in its unit, as a table shows it."""
    if value is None:
        return "not scored"
    return f"{value:.3f}" if score.unit == "share" else f"{value:.0f}" + (f" {score.unit}" if score.unit != "count" else "")


def show_interval(score: Score) -> str:
    """The 95 % interval, as a table shows it."""
    if score.low is None or score.high is None:
        return ""
    return f"{show_figure(score.low, score)} – {show_figure(score.high, score)}"


def read_report(folder: Path) -> dict[str, Any]:
    """The JSON form of a report that was written earlier; ``folder`` may also be the file itself.

    Raises:
        DatasetError: there is none, or it cannot be read.
    """
    path = folder / "report.json" if folder.is_dir() else folder
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DatasetError(f"No report can be read here: {error}.", "Name a folder that 'ragbot eval --out' wrote.", path=path) from error
    if not isinstance(report, dict) or report.get("format") != FORMAT or not isinstance(report.get("sets"), Sequence):
        raise DatasetError("This is no report of this version.", "Run 'ragbot eval --out' again.", path=path)
    return report
