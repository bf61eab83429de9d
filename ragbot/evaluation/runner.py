"""Runs sets through the same code that a visitor's question goes through, with progress on stderr."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as ProgressBars

from ragbot.evaluation.asking import run_answers, run_guardrails
from ragbot.evaluation.bench import Bench, Progress
from ragbot.evaluation.outcomes import Outcome
from ragbot.evaluation.searching import run_retrieval
from ragbot.evaluation.sets import EvaluationSet
from ragbot.evaluation.weighing import run_answerability, run_grounding

RUNNERS: dict[str, Callable[[EvaluationSet, Bench, Progress], Iterator[Outcome]]] = {
    "answers": lambda one, bench, _: run_answers(one, bench),
    "guardrails": lambda one, bench, _: run_guardrails(one, bench),
    "answerability": run_answerability,
    "grounding": run_grounding,
    "retrieval": run_retrieval,
}


def run_set(one: EvaluationSet, bench: Bench, progress: Progress = lambda step, done, total: None) -> list[Outcome]:
    """What the system says of every item of a set, in the set's order. An item that fails says so in its outcome.

    Args:
        progress: called with the step's name, how much is done and how much there is to do.
    """
    outcomes: list[Outcome] = []
    for outcome in RUNNERS[one.kind](one, bench, progress):
        outcomes.append(outcome)
        progress("running", len(outcomes), len(one.items))
    return outcomes


@contextmanager
def show_progress() -> Iterator[Callable[[EvaluationSet], Progress]]:
    """Progress bars on stderr, a line a set; nothing is drawn where stderr is no terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with ProgressBars(*columns, console=console, disable=not console.is_terminal) as bars:

        def line(one: EvaluationSet) -> Progress:
            task = bars.add_task(f"{one.name}.{one.kind}", total=len(one.items))

            def show(step: str, done: int, total: int) -> None:
                bars.update(task, description=f"{one.name}.{one.kind} · {step}", completed=done, total=total)

            return show

        yield line
