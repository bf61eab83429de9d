"""The evaluator's workbench: sets → outcomes → predictions → scores → report.

``evaluate`` is what ``ragbot eval`` runs. Each step is a file: sets, runner (asking, weighing, searching), predictions, metrics,
judging, report (pages, summaries, plotting), comparing; calibrating chooses the thresholds that are measured here.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ragbot.chatbot import Ragbot
from ragbot.errors import DatasetError
from ragbot.evaluation.bars import read_bars
from ragbot.evaluation.bench import Bench, Progress
from ragbot.evaluation.calibrating import CalibrationResult, calibrate
from ragbot.evaluation.comparing import Comparison, compare_reports
from ragbot.evaluation.judging import judge_outcome
from ragbot.evaluation.metrics import METRICS, Score, score_outcomes
from ragbot.evaluation.plotting import draw_plots
from ragbot.evaluation.predictions import write_predictions
from ragbot.evaluation.report import Report, SetReport, read_report
from ragbot.evaluation.runner import run_set, show_progress
from ragbot.evaluation.searching import unknown_articles
from ragbot.evaluation.sets import EvaluationSet, read_sets
from ragbot.settings import CONFIG_NAME, Settings

__all__ = ["METRICS", "CalibrationResult", "Comparison", "Report", "Score", "SetReport", "calibrate", "compare_reports", "evaluate", "read_report"]

SHOWN_PASSAGES = 5


def evaluate(
    paths: Sequence[Path],
    settings: Settings,
    *,
    out: Path | None = None,
    compare: Path | None = None,
    predictions: Path | None = None,
    cache: Path | None = None,
    config: Path | None = None,
    bot: Ragbot | None = None,
) -> Report:
    """Runs evaluation sets and gives the report of them.

    Args:
        paths: sets, and folders that hold some.
        out: folder for report.html, report.md and report.json.
        compare: folder of an earlier report, to be set beside this one.
        predictions: folder for what the system said, written before any score is taken.
        cache: folder for the vectors of ad-hoc libraries; the system's folder for temporary files where None.
        config: the file with the bars; ./ragbot.toml where None.
        bot: the bot to ask, where one is open already.

    Raises:
        DatasetError: a path cannot be used, no set can be run, or the earlier report cannot be read. Lines that cannot be used
            do not stop the run: they stand in the report's ``problems``.
        StoreError, ModelError, SettingsError: see there.
    """
    earlier = read_report(compare) if compare is not None else None
    bars = read_bars(config or Path(CONFIG_NAME))
    sets, problems = read_sets(paths)
    if not sets:
        raise problems[0]
    _refuse_same_names(sets)
    bench = Bench(settings, cache, bot)
    reports: list[SetReport] = []
    try:
        with show_progress() as line:
            for one in sets:
                problems += unknown_articles(one, bench)
                reports.append(_report_set(one, bench, predictions, line(one)))
    finally:
        bench.close()
    report = Report(tuple(reports), _about(settings, bench), tuple(problems), bars)
    if earlier is not None:
        comparison = compare_reports(earlier, report.to_dict())
        report = Report(report.sets, report.about, report.problems, bars, comparison)
    if out is not None:
        report.write(out)
    return report


def _report_set(one: EvaluationSet, bench: Bench, predictions: Path | None, progress: Progress) -> SetReport:
    started = time.perf_counter()
    outcomes = run_set(one, bench, progress)
    if predictions is not None:
        write_predictions(predictions, one, outcomes)

    def find_passages(question: str) -> list[str]:
        found = bench.bot.search(question, SHOWN_PASSAGES)
        return [f"{passage.source.id} › {passage.chunk.heading}: {passage.chunk.plain}" for passage in found]

    items = tuple(judge_outcome(outcome, find_passages) for outcome in outcomes)
    errors = sum(bool(outcome.error) for outcome in outcomes)
    scores = score_outcomes(one.kind, outcomes)
    return SetReport(one.name, one.kind, scores, items, draw_plots(outcomes), errors, time.perf_counter() - started)


def _refuse_same_names(sets: Sequence[EvaluationSet]) -> None:
    seen: dict[tuple[str, str], Path] = {}
    for one in sets:
        if (one.name, one.kind) in seen:
            raise DatasetError(f"Another set has the same name: {str(seen[one.name, one.kind])!r}.", "Rename one of them.", path=one.path)
        seen[one.name, one.kind] = one.path


def _about(settings: Settings, bench: Bench) -> dict[str, str]:
    try:
        released = version("ragbot")
    except PackageNotFoundError:
        released = "unreleased"
    about = {"date": datetime.now(UTC).isoformat(timespec="minutes"), "ragbot": released, "model": settings.model}
    if "bot" in bench.__dict__:
        about["index"] = bench.bot.generation.name
        about["articles"] = str(len(bench.bot.generation.documents))
    return about
