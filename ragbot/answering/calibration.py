"""The calibrated weights and thresholds of answering, kept as data with the evidence they were chosen by."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib import resources

import numpy as np

from ragbot.answering.relevance import FEATURE_NAMES
from ragbot.models import Vectors

GATE_NAMES = ("cosine", "overlap", "context_overlap", "passage_cosine", "score", "margin", "missing", "hardest")


@dataclass(frozen=True, slots=True)
class Calibration:
    """See thresholds.toml for what each figure was chosen by."""

    relevance_weights: Vectors
    relevance_bias: float
    gate_weights: Vectors
    gate_bias: float
    gate_threshold: float


def load_calibration() -> Calibration:
    """The figures of thresholds.toml."""
    values = tomllib.loads(resources.files("ragbot.answering").joinpath("thresholds.toml").read_text(encoding="utf-8"))
    relevance, gate = values["relevance"], values["gate"]
    return Calibration(
        np.array([relevance["weights"][name] for name in FEATURE_NAMES], dtype=np.float32),
        float(relevance["bias"]),
        np.array([gate["weights"][name] for name in GATE_NAMES], dtype=np.float32),
        float(gate["bias"]),
        float(gate["threshold"]),
    )
