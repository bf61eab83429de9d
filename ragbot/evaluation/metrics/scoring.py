"""A score with its interval and its reason, and the ways to get one."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

SEED = 20231101
RESAMPLES = 1000
_Z = 1.959964  # two-sided 95 % of the normal distribution

Array = NDArray[Any]
Unit = Literal["share", "ms", "words", "count"]
Better = Literal["high", "low", ""]


@dataclass(frozen=True, slots=True)
class Score:
    """A figure over ``n`` items with its 95 % interval; ``value`` is None where nothing could be scored, which is not 0.

    ``unit``: ``share`` is 0 to 1. ``better``: whether high or low is good; empty where neither is.
    """

    name: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    reason: str
    unit: Unit = "share"
    better: Better = "high"

    def to_dict(self) -> dict[str, Any]:
        figures = {name: None if (value := getattr(self, name)) is None else round(value, 6) for name in ("value", "low", "high")}
        return {"name": self.name, **figures, "n": self.n, "unit": self.unit, "better": self.better, "reason": self.reason}


def not_scored(name: str, reason: str, unit: Unit = "share", better: Better = "high") -> Score:
    """A score that could not be taken, and why."""
    return Score(name, None, None, None, 0, reason, unit, better)


def mean_score(name: str, values: Sequence[float], reason: str, *, unit: Unit = "share", better: Better = "high") -> Score:
    """The mean of the items' values with its percentile bootstrap interval (fixed seed)."""
    if not values:
        return not_scored(name, f"not scored: no item has it. {reason}", unit, better)
    array = np.asarray(values, dtype=np.float64)
    rows = _resampled_rows(len(array), RESAMPLES)
    low, high = np.percentile(array[rows].mean(axis=1), (2.5, 97.5))
    return Score(name, float(array.mean()), float(low), float(high), len(array), reason, unit, better)


def share_score(name: str, hits: Sequence[bool], reason: str, *, better: Better = "high") -> Score:
    """The share of hits with its Wilson interval, which stays honest where nearly all or none are hits."""
    if not hits:
        return not_scored(name, f"not scored: no item has it. {reason}", "share", better)
    low, high = wilson_interval(sum(hits), len(hits))
    return Score(name, sum(hits) / len(hits), low, high, len(hits), f"{sum(hits)} of {len(hits)}. {reason}", "share", better)


def wilson_interval(hits: int, n: int) -> tuple[float, float]:
    """The 95 % score interval of a share (Wilson, Journal of the American Statistical Association 22, 1927)."""
    share = hits / n
    centre = share + _Z**2 / (2 * n)
    spread = _Z * math.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
    scale = 1 + _Z**2 / n
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def sampled_score(
    name: str,
    columns: Sequence[Array],
    measure: Callable[..., float | None],
    reason: str,
    *,
    unit: Unit = "share",
    better: Better = "high",
    quick: Callable[..., float | None] | None = None,
) -> Score:
    """What ``measure`` gives for whole columns, with its bootstrap interval over rows.

    Args:
        measure: takes the columns; None where it cannot be told, such as AUROC where all items are of one kind.
        quick: gives the same faster, for the resamples.
    """
    n = len(columns[0])
    value = measure(*columns) if n else None
    if value is None:
        return not_scored(name, f"not scored: it needs items of both kinds. {reason}", unit, better)
    resampled = quick or measure
    drawn = [resampled(*(column[rows] for column in columns)) for rows in _resampled_rows(n, RESAMPLES)]
    told = [one for one in drawn if one is not None]
    low, high = np.percentile(told, (2.5, 97.5)) if told else (value, value)
    return Score(name, float(value), float(low), float(high), n, reason, unit, better)


def _resampled_rows(n: int, resamples: int) -> NDArray[np.int64]:
    rows: NDArray[np.int64] = np.random.default_rng(SEED).integers(0, n, size=(resamples, n))
    return rows
