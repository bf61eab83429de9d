"""The calibrated weights and thresholds of answering, kept as data with the evidence they were chosen by."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ragbot.answering.relevance import FEATURE_NAMES
from ragbot.models import Vectors

THRESHOLDS = Path(__file__).with_name("thresholds.toml")
GATE_NAMES = (
    "cosine", "cosine3", "gap", "aligned", "weakest", "passage_aligned", "passage_weakest", "together",
    "overlap", "context_overlap", "passage_cosine", "score", "margin", "missing", "hardest",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Curve:
    """What a feature adds to the gate's sum: straight lines between knots, level beyond the first and the last."""

    knots: tuple[float, ...]
    values: tuple[float, ...]

    def __call__(self, feature: float) -> float:
        return float(np.interp(feature, self.knots, self.values))


@dataclass(frozen=True, slots=True)
class Calibration:
    """See thresholds.toml for what each figure was chosen by.

    The gate is an additive model (Hastie and Tibshirani, 1986): a logistic function of a sum of curves, one a feature.
    """

    relevance_weights: Vectors
    relevance_bias: float
    gate_curves: Mapping[str, Curve]
    gate_bias: float
    gate_threshold: float

    def gate_probability(self, features: Mapping[str, float]) -> float:
        """The probability that a question is answered, 0 to 1, from the features named in ``GATE_NAMES``."""
        total = self.gate_bias + sum(curve(features[name]) for name, curve in self.gate_curves.items())
        return 1.0 / (1.0 + math.exp(-total))


def load_calibration() -> Calibration:
    """The figures of thresholds.toml."""
    values = tomllib.loads(THRESHOLDS.read_text(encoding="utf-8"))
    relevance, gate = values["relevance"], values["gate"]
    return Calibration(
        np.array([relevance["weights"][name] for name in FEATURE_NAMES], dtype=np.float32),
        float(relevance["bias"]),
        {name: Curve(tuple(gate["curves"][name]["knots"]), tuple(gate["curves"][name]["values"])) for name in GATE_NAMES},
        float(gate["bias"]),
        float(gate["threshold"]),
    )
