"""Runs answers and guardrails sets: the bot is asked as a person would ask it."""

from __future__ import annotations

import time
from collections.abc import Iterator

from ragbot.answering.extractive import ExtractiveAnswerer
from ragbot.evaluation.bench import FAILURES, Bench, explain_failure
from ragbot.evaluation.outcomes import AnswersOutcome, GuardrailsOutcome
from ragbot.evaluation.sets import AnswersItem, EvaluationSet, GuardrailsItem
from ragbot.guardrails.conversation import earlier_topic, leans_on_history
from ragbot.records import Answer, as_turns


def run_answers(one: EvaluationSet, bench: Bench) -> Iterator[AnswersOutcome]:
    """Asks every question with its history."""
    bench.bot.warm_up()
    probe = GateProbe(bench)
    for item in one.items:
        assert isinstance(item, AnswersItem)
        started = time.perf_counter()
        try:
            answer = bench.bot.ask(item.question, item.history)
            milliseconds = (time.perf_counter() - started) * 1000
            yield AnswersOutcome(item, answer, milliseconds, probe.probability(item), inexact_quotes(answer, bench))
        except FAILURES as error:
            yield AnswersOutcome(item, None, error=explain_failure(error))


class GateProbe:
    """Asks for the gate's probability, which an answer does not tell. Outside the time that is measured."""

    def __init__(self, bench: Bench) -> None:
        generation = bench.bot.generation
        self._answerer = ExtractiveAnswerer(generation, bench.embedder)
        self._retriever = bench.retriever(generation)
        self._rephraser = bench.rephraser(generation)
        self._passages = bench.settings.passages

    def probability(self, item: AnswersItem) -> float:
        """The probability that the library answers the question, 0 to 1; of its wordings the best one's."""
        return max(self._of(self._rephraser.rephrase(wording)) for wording in wordings_of(item))

    def _of(self, asked: str) -> float:
        return self._answerer.gate(asked, self._answerer.rate(asked, self._retriever.retrieve(asked, self._passages))).probability


def wordings_of(item: AnswersItem) -> list[str]:
    """The wordings that the bot tries: one that leans on the turn before is best looked up with its topic."""
    topic = earlier_topic(as_turns(item.history))
    if not topic:
        return [item.question]
    both = [item.question, f"{topic} {item.question}"]
    return both[::-1] if leans_on_history(item.question) else both


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
    items = [item for item in one.items if isinstance(item, GuardrailsItem)]
    for item in items:
        try:
            judged = bench.bot.judge(item.text, item.history)
            status = bench.bot.policy.class_of(judged.ruling.label).status
            confidences = {str(ruling.label): ruling.confidence for ruling in judged.rulings}
            yield GuardrailsOutcome(item, judged.ruling.label, confidences, status, f"{judged.ruling.rail}: {judged.ruling.reason}")
        except FAILURES as error:
            yield GuardrailsOutcome(item, error=explain_failure(error))
