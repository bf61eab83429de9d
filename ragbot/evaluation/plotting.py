"""Outcomes → plots as inline SVG, drawn here so that the report needs neither a plotting library nor a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from ragbot.evaluation.outcomes import AnswerabilityOutcome, AnswersOutcome, GroundingOutcome, Outcome, RetrievalOutcome

WIDTH, HEIGHT = 360, 240
LEFT, RIGHT, TOP, BOTTOM = 44, 12, 12, 40
BINS = 10
RANKS = 20
Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Plot:
    """A titled picture with one sentence on how to read it."""

    title: str
    caption: str
    svg: str


def draw_plots(outcomes: Sequence[Outcome]) -> tuple[Plot, ...]:
    """The plots that a set's outcomes have the figures for."""
    sure = [outcome for outcome in outcomes if not outcome.item.borderline and not outcome.error]
    plots: list[Plot] = []
    told = [pair for outcome in sure if (pair := _probability(outcome)) is not None]
    if told and len({truth for truth, _ in told}) == 2:
        plots.append(draw_reliability(told))
        if not isinstance(sure[0], GroundingOutcome):
            plots.append(draw_abstention(told))
    if spent := [outcome.milliseconds for outcome in sure if isinstance(outcome, AnswersOutcome)]:
        plots.append(draw_latency(spent))
    if found := [outcome for outcome in sure if isinstance(outcome, RetrievalOutcome)]:
        plots.append(draw_ranks(found))
    return tuple(plots)


def _probability(outcome: Outcome) -> tuple[bool, float] | None:
    if isinstance(outcome, AnswersOutcome) and outcome.probability is not None:
        return outcome.item.answerable, outcome.probability
    if isinstance(outcome, AnswerabilityOutcome):
        return outcome.item.answerable, outcome.probability
    if isinstance(outcome, GroundingOutcome):
        return outcome.item.supported, outcome.support
    return None


def draw_reliability(told: Sequence[tuple[bool, float]]) -> Plot:
    """Said probability against what came true, in ten bins; the dots grow with the number of items."""
    truth = np.array([one for one, _ in told], dtype=float)
    scores = np.array([score for _, score in told])
    bins = np.clip((scores * BINS).astype(int), 0, BINS - 1)
    points = [(float(scores[bins == one].mean()), float(truth[bins == one].mean())) for one in np.unique(bins)]
    sizes = [3 + 9 * float((bins == one).mean()) ** 0.5 for one in np.unique(bins)]
    body = _line([(0, 0), (1, 1)], 1, 1, "guide") + _line(points, 1, 1) + _dots(points, sizes)
    return Plot("Reliability", "What was said against what came true; on the dotted line a probability means what it says.", _frame(body, "said", "true", 1, 1))


def draw_abstention(told: Sequence[tuple[bool, float]]) -> Plot:
    """Precision of abstaining against its recall, over all thresholds."""
    order = sorted(told, key=lambda pair: pair[1])
    unanswerable = sum(not truth for truth, _ in order)
    points: list[tuple[float, float]] = []
    silent = 0
    for count, (truth, _) in enumerate(order, start=1):
        silent += not truth
        points.append((silent / unanswerable, silent / count))
    return Plot(
        "Abstention",
        "Of the unanswerable questions the share left unanswered (across), and of the silences the share that is right (up), for every threshold.",
        _frame(_line(points, 1, 1), "recall", "precision", 1, 1),
    )


def draw_latency(spent: Sequence[float]) -> Plot:
    """How many answers took how long."""
    highest = max(float(np.percentile(spent, 99)) * 1.1, 1.0)
    counts, edges = np.histogram(np.clip(spent, 0, highest), bins=24, range=(0, highest))
    most = float(counts.max())
    bars = "".join(_bar(edges[row], edges[row + 1], counts[row], highest, most) for row in range(len(counts)))
    median, late = np.percentile(spent, (50, 95))
    guides = _line([(median, 0), (median, most)], highest, most, "guide") + _line([(late, 0), (late, most)], highest, most, "guide")
    caption = f"Milliseconds from question to answer; the dotted lines are the median, {median:.0f} ms, and the 95th percentile, {late:.0f} ms."
    return Plot("Latency", caption, _frame(bars + guides, "ms", "answers", highest, most))


def draw_ranks(outcomes: Sequence[RetrievalOutcome]) -> Plot:
    """The share of queries that have a relevant document at a rank or above."""
    firsts: list[int] = []
    for outcome in outcomes:
        ranks = [rank for rank, (document, _) in enumerate(outcome.ranked, start=1) if outcome.grades.get(document, 0) > 0]
        firsts.append(ranks[0] if ranks else RANKS + 1)
    points = [(rank, sum(first <= rank for first in firsts) / len(firsts)) for rank in range(1, RANKS + 1)]
    return Plot(
        "Retrieval by rank",
        "Share of the queries whose first relevant document stands at this rank or above.",
        _frame(_line(points, RANKS, 1) + _dots(points, [2.5] * len(points), RANKS), "rank", "share", RANKS, 1),
    )


def _across(value: float, highest: float) -> float:
    return LEFT + value / highest * (WIDTH - LEFT - RIGHT)


def _up(value: float, highest: float) -> float:
    return HEIGHT - BOTTOM - value / highest * (HEIGHT - TOP - BOTTOM)


def _line(points: Points, widest: float, highest: float, kind: str = "line") -> str:
    path = " ".join(f"{_across(x, widest):.1f},{_up(y, highest):.1f}" for x, y in points)
    return f'<polyline class="{kind}" points="{path}"/>'


def _dots(points: Points, sizes: Sequence[float], widest: float = 1) -> str:
    return "".join(
        f'<circle class="dot" cx="{_across(x, widest):.1f}" cy="{_up(y, 1):.1f}" r="{size:.1f}"><title>{x:.2f}, {y:.2f}</title></circle>'
        for (x, y), size in zip(points, sizes, strict=True)
    )


def _bar(start: float, end: float, count: float, widest: float, highest: float) -> str:
    left, right, top = _across(start, widest), _across(end, widest), _up(count, highest)
    return f'<rect class="bar" x="{left:.1f}" y="{top:.1f}" width="{max(right - left - 1, 0.5):.1f}" height="{HEIGHT - BOTTOM - top:.1f}"/>'


def _frame(body: str, across: str, up: str, widest: float, highest: float) -> str:
    ticks = ""
    for share in (0, 0.25, 0.5, 0.75, 1):
        x, y = _across(share, 1), _up(share, 1)
        ticks += f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        ticks += f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 15}" text-anchor="middle">{_number(share * widest)}</text>'
        ticks += f'<text x="{LEFT - 5}" y="{y + 4:.1f}" text-anchor="end">{_number(share * highest)}</text>'
    names = f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 6}" text-anchor="middle">{escape(across)}</text>'
    names += f'<text transform="translate(11 {(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)" text-anchor="middle">{escape(up)}</text>'
    label = escape(f"{up} by {across}")
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">{ticks}{names}{body}</svg>'


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:g}"
