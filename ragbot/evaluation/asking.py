"""Runs answers and guardrails sets: the bot is asked as a person would ask it."""

from __future__ import annotations

import time
from collections.abc import Iterator

from ragbot.evaluation.bench import FAILURES, Bench, explain_failure
from ragbot.evaluation.outcomes import AnswersOutcome, GuardrailsOutcome
from ragbot.evaluation.sets import AnswersItem, EvaluationSet, GuardrailsItem
from ragbot.records import Answer


def run_answers(one: EvaluationSet, bench: Bench) -> Iterator[AnswersOutcome]:
    """Asks every question with its history."""
    bench.bot.warm_up()
    for item in one.items:
        assert isinstance(item, AnswersItem)
        started = time.perf_counter()
        try:
            answer = bench.bot.ask(item.question, item.history)
            milliseconds = (time.perf_counter() - started) * 1000
            yield AnswersOutcome(item, answer, milliseconds, inexact_quotes(answer, bench))
        except FAILURES as error:
            yield AnswersOutcome(item, None, error=explain_failure(error))


def inexact_quotes(answer: Answer, bench: Bench) -> tuple[str, ...]:
    """The quotes of an answer that do not stand in their article where the citation says."""
    documents = bench.bot.generation.documents
    return tuple(
        citation.quote
        for citation in answer.citations
        if citation.article not in documents or documents[citation.article].text[citation.start : citation.end] != citation.quote
    )


def run_guardrails(one: EvaluationSet, bench: Bench) -> Iterator[GuardrailsOutcome]:
    """Puts every message before the guardrails."""
    for item in one.items:
        assert isinstance(item, GuardrailsItem)
        try:
            judged = bench.bot.judge(item.text, item.history)
            status = bench.bot.policy.class_of(judged.ruling.label).status
            confidences = {str(ruling.label): ruling.confidence for ruling in judged.rulings}
            yield GuardrailsOutcome(item, judged.ruling.label, confidences, status, f"{judged.ruling.rail}: {judged.ruling.reason}")
        except FAILURES as error:
            yield GuardrailsOutcome(item, error=explain_failure(error))
