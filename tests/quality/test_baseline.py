"""The quality of the starter library's answers, as committed: a drop fails, and so does a rise that nobody wrote down.

After a change that moves it for good: ``python tests/quality/test_baseline.py``, and commit baseline.json with the reason.
"""

from __future__ import annotations

import json
from pathlib import Path

from ragbot.chatbot import Ragbot
from ragbot.evaluation import evaluate

HERE = Path(__file__).parent
BASELINE = HERE / "baseline.json"
SETS = ("report.answers.jsonl", "report.guardrails.jsonl", "library.retrieval")
# Two or three items of a set may fall the other way on another processor.
TOLERANCE = 0.025


def measure(bot: Ragbot) -> dict[str, dict[str, float]]:
    report = evaluate([HERE / name for name in SETS], bot.settings, bot=bot)
    return {
        one.title: {
            score.name: round(score.value, 3) for score in one.headline if score.value is not None and not score.name.startswith("latency")
        }
        for one in report.sets
    }


def test_the_quality_is_the_committed_one(starter: Ragbot) -> None:
    moved = []
    measured = measure(starter)
    committed = json.loads(BASELINE.read_text(encoding="utf-8"))
    assert {name: sorted(scores) for name, scores in measured.items()} == {name: sorted(scores) for name, scores in committed.items()}
    for name, scores in committed.items():
        moved += [f"{name} {metric}: {was} → {measured[name][metric]}" for metric, was in scores.items() if abs(measured[name][metric] - was) > TOLERANCE]
    assert not moved


if __name__ == "__main__":
    BASELINE.write_text(json.dumps(measure(Ragbot.open()), indent=1) + "\n", encoding="utf-8")
