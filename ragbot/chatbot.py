"""Composes the way of a question: guardrails → rephrasing → retrieving → answering → verifying → guardrails → Answer.

``Ragbot.open()`` gives the bot, ``.ask()`` an answer, ``.stream()`` the same answer statement by statement, and
``.as_runnable()`` the whole chain as a LangChain Runnable.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import islice
from typing import Any

from langchain_core.runnables import Runnable, RunnableGenerator, RunnableLambda

from ragbot.answering.chat_model import ChatModelAnswerer, create_chat_model
from ragbot.answering.extractive import Gate
from ragbot.chunking import plain_text
from ragbot.engines import Engine, Engines
from ragbot.errors import IndexBrokenError, ModelError, QuestionError
from ragbot.generation import Generation
from ragbot.guardrails import Guard, Judged, OutputRail, Policy, Responses
from ragbot.guardrails.conversation import asked_part, earlier_topic, leans_on_history, turns_since_crisis
from ragbot.guardrails.policies import SocialKind
from ragbot.guardrails.social import social_kind, taken_up
from ragbot.library import open_policy
from ragbot.models import Embedder
from ragbot.records import Answer, DraftStatement, Evidence, Label, NearestArticle, Passage, Ruling, Span, Status, Turn, as_turns
from ragbot.retrieving import LangchainRetriever, Reranker
from ragbot.settings import Settings
from ragbot.verifying import Checked, Checking

History = Sequence[Turn | str | Mapping[str, Any]]
EXTRACTIVE = "extractive"
MOST_FOLLOW_UPS = 3
MOST_NEAREST = 3
# Below this probability nothing in the library is near enough to be offered.
NEAREST_FLOOR = 0.02
# What is longer is no title, and looking at it takes time.
MOST_TITLE = 500
# How many times as many passages are looked at for those that may stand beside a crisis block.
LOOKED_AT_IN_CRISIS = 5


@dataclass(frozen=True, slots=True)
class Exchange:
    """What the steps hand on: the question, and what each step found out about it."""

    question: str
    turns: tuple[Turn, ...]
    asked: str = ""
    judged: Judged | None = None
    passages: tuple[Passage, ...] = ()
    gate: Gate | None = None
    answered: bool = False
    timings_ms: Mapping[str, float] = field(default_factory=dict)

    def timed(self, step: str, started: float) -> dict[str, float]:
        spent = (time.perf_counter() - started) * 1000
        return {**self.timings_ms, step: self.timings_ms.get(step, 0.0) + spent}


class Ragbot:
    """A question-answering bot over one index. Safe to share between threads.

    It notices when another process has switched the index to a new generation, and goes over to it before the next question.
    """

    def __init__(self, settings: Settings, *, chat_model: ChatModelAnswerer | None = None) -> None:
        self.settings = settings
        self.policy = open_policy(settings)
        self.responses = Responses(self.policy, settings.region)
        self.output_rail = OutputRail.of(self.policy)
        self.embedder = Embedder(settings.embedding_model)
        self._chat_model = chat_model or _chat_model(settings)
        self.engines = Engines(settings, self.embedder, self.policy, Reranker(settings.reranker_model) if settings.reranker_model else None)

    @classmethod
    def open(cls, settings: Settings | None = None, *, chat_model: ChatModelAnswerer | None = None) -> Ragbot:
        """The bot over the index that the settings name.

        Args:
            chat_model: used in place of the one that the settings name.

        Raises:
            IndexMissingError, IndexBrokenError, IndexMismatchError: there is no index that can be used.
            ModelError, PolicyError, SettingsError: see there.
        """
        return cls(settings or Settings.load(), chat_model=chat_model)

    @property
    def model_name(self) -> str:
        return self._chat_model.name if self._chat_model is not None else EXTRACTIVE

    @property
    def generation(self) -> Generation:
        """The generation that the next answer is drawn from."""
        return self.engines.current().generation

    def warm_up(self) -> None:
        """Loads the weights, so that the first question does not wait for them."""
        self.embedder.load()
        self.ask("What is this library about?")

    def ask(self, question: str, history: History = ()) -> Answer:
        """The answer to a question after the turns before it.

        Raises:
            QuestionError: the question is empty or too long.
            RagbotError: a part is broken; nothing is answered. See ``answer_when_broken``.
        """
        answer: Answer | None = None
        for answer in self.stream(question, history):  # noqa: B007 — the last one is the whole answer
            pass
        assert answer is not None
        return answer

    def stream(self, question: str, history: History = ()) -> Iterator[Answer]:
        """The answer as it grows: each item is a whole ``Answer`` with what has been checked so far, the last one is complete.

        Where someone may be in danger, the help comes first, before anything is looked up: at once where the rules see it, else as
        soon as the classifier does.
        """
        exchange = self._take(question, history)
        immediate = self._immediate_help(exchange)
        if immediate is not None:
            yield immediate
        engine = self.engines.current()
        try:
            yield from self._look_into(exchange, engine, immediate)
        except IndexBrokenError as error:
            engine = self.engines.replace(engine, error)
            yield from self._look_into(exchange, engine, immediate)

    def _look_into(self, exchange: Exchange, engine: Engine, immediate: Answer | None) -> Iterator[Answer]:
        """What one engine gives: the help that its classifier calls for, where the rules did not, and then the answer."""
        exchange = self._judge(exchange, engine)
        if immediate is None and (help_first := self._judged_help(exchange)) is not None:
            yield help_first
        if self.policy.class_of(_label(exchange)).status == "social":
            yield from self._socialise(exchange, engine)
        else:
            yield from self._answer(self._retrieve(exchange, engine), engine)

    def _socialise(self, exchange: Exchange, engine: Engine) -> Iterator[Answer]:
        """The fixed words that small talk is met with, or the answer to what was offered before and is now taken up."""
        kind = social_kind(exchange.question, _label(exchange), self.policy.social)
        offered = taken_up(exchange.question, kind, exchange.turns)
        if offered is None:
            yield self._social_answer(exchange, engine, kind)
            return
        taken = self._judge(replace(exchange, question=offered), engine)
        if self.policy.class_of(_label(taken)).status == "social":
            yield self._social_answer(exchange, engine, kind)
            return
        for answer in self._answer(self._retrieve(taken, engine), engine):
            yield replace(answer, question=exchange.question)

    def _social_answer(self, exchange: Exchange, engine: Engine, kind: SocialKind) -> Answer:
        assert exchange.judged is not None
        words = kind.text.format(topics=self.policy.topics.topics).strip()
        has_line = not kind.ends and self._line_stands(exchange)
        return Answer(
            question=exchange.question,
            status="social",
            guardrail=replace(exchange.judged.ruling, reason=f"{kind.name}; {exchange.judged.ruling.reason}"),
            notice=f"{words}\n\n{self.responses.text('crisis_line')}" if has_line else words,
            help="line" if has_line else None,
            follow_ups=() if kind.ends else self.policy.topics.suggestions[:MOST_FOLLOW_UPS],
            index=engine.generation.name,
            timings_ms={**exchange.timings_ms, "total": sum(exchange.timings_ms.values())},
        )

    def judge(self, text: str, history: History = ()) -> Judged:
        """What the guardrails say of a message, without answering it."""
        return self.engines.current().guard.judge(text, as_turns(history))

    def search(self, query: str, count: int = 8) -> list[Passage]:
        """Ranked passages for a query, without guardrails and answering."""
        engine = self.engines.current()
        return self._in_time(engine.retriever.retrieve(engine.rephraser.rephrase(query), count))

    def withheld_sentences(self, identity: str) -> tuple[Span, ...]:
        """The sentences of an article that are not shown even on its own page: those with a number or address to call that neither the
        policy nor the card names, and those against calling for help. In the order of the text."""
        article = self.generation.articles.get(identity)
        if article is None:
            return ()
        text, source = article.document.text, article.document.source
        spans = {
            sentence.span
            for chunk in article.chunks
            for sentence in chunk.sentences
            if self.output_rail.strange_contact(sentence.span.of(text), source) or self.output_rail.objection(sentence.text, "answered") == "against-help"
        }
        return tuple(sorted(spans, key=lambda span: span.start))

    def as_retriever(self, count: int = 8) -> LangchainRetriever:
        """``search`` as a LangChain ``BaseRetriever``: it follows the index, and gives nothing that was taken back or is overdue."""
        return LangchainRetriever(search=self.search, count=count)

    def as_runnable(self) -> Runnable[Any, Answer]:
        """The whole chain as a LangChain Runnable: ``invoke``, ``stream``, ``batch``.

        Its input is a question, or a mapping with ``question`` and, if there was one, ``history``.
        """

        def steps(inputs: Iterator[Any]) -> Iterator[Answer]:
            for given in inputs:
                yield from self.stream(given["question"], given.get("history", ()))

        def normalise(given: Any) -> dict[str, Any]:
            return {"question": given} if isinstance(given, str) else dict(given)

        return RunnableLambda(normalise).with_config(run_name="question") | RunnableGenerator(steps).with_config(run_name="ragbot")

    def answer_when_broken(self, question: str) -> Answer:
        """What is shown where answering failed: the help that the rules call for, else that nothing can be answered now.

        Needs neither index nor models.
        """
        immediate = self._immediate_help(Exchange(question, ()))
        return immediate or unavailable_answer(question, self.responses)

    # The steps, in the order of the way.

    def _take(self, question: str, history: History) -> Exchange:
        if not question.strip():
            raise QuestionError(self.responses.text("empty"))
        if len(question) > self.settings.question_limit:
            too_long = self.responses.text("too_long", limit=f"{self.settings.question_limit:,}")
            raise QuestionError(f"{too_long}\n{self.responses.resources_short()}")
        return Exchange(question, as_turns(history))

    def _immediate_help(self, exchange: Exchange) -> Answer | None:
        return immediate_help(exchange.question, self.policy, self.responses)

    def _judged_help(self, exchange: Exchange) -> Answer | None:
        assert exchange.judged is not None
        return help_answer(exchange.question, exchange.judged, self.policy, self.responses)

    def _judge(self, exchange: Exchange, engine: Engine) -> Exchange:
        started = time.perf_counter()
        judged = engine.guard.judge(exchange.question, exchange.turns)
        return replace(exchange, judged=judged, timings_ms=exchange.timed("guard", started))

    def _retrieve(self, exchange: Exchange, engine: Engine) -> Exchange:
        """Finds passages: for the bare question first, then, where it leans on the turn before, with that turn's topic too."""
        assert exchange.judged is not None
        one = self.policy.class_of(exchange.judged.ruling.label)
        asked = asked_part(exchange.question) if one.status == "emergency" else exchange.question
        if not asked or not (one.answer_question or one.yields_to_an_answer):
            return exchange
        found = self._look_up(replace(exchange, asked=asked), engine)
        topic = earlier_topic(exchange.turns)
        leaning = leans_on_history(asked)
        if topic and (leaning or not found.answered):
            wider = self._look_up(replace(found, asked=f"{topic} {asked}"), engine)
            if wider.answered and (leaning or not found.answered):
                return wider
            found = replace(found, timings_ms=wider.timings_ms)
        return found

    def _look_up(self, exchange: Exchange, engine: Engine) -> Exchange:
        started = time.perf_counter()
        exchange = replace(exchange, asked=engine.rephraser.rephrase(exchange.asked))
        passages = self._quotable(exchange, engine)
        timings = exchange.timed("retrieve", started)
        started = time.perf_counter()
        gate = engine.extractive.gate(exchange.asked, engine.extractive.rate(exchange.asked, passages))
        exchange = replace(exchange, passages=tuple(passages), gate=gate, answered=engine.extractive.answers(gate), timings_ms=timings)
        return replace(exchange, timings_ms=exchange.timed("answer", started))

    def _quotable(self, exchange: Exchange, engine: Engine) -> list[Passage]:
        """The passages that an answer may be drawn from; where someone may be in danger, those of articles marked ``in_crisis`` alone, so
        that none of the others keeps them from being found."""
        assert exchange.judged is not None
        count = self.settings.passages
        if self.policy.class_of(exchange.judged.ruling.label).status != "emergency":
            return self._in_time(engine.retriever.retrieve(exchange.asked, count))
        if not any(document.source.in_crisis for document in engine.generation.documents.values()):
            return []
        found = self._in_time(engine.retriever.retrieve(exchange.asked, count * LOOKED_AT_IN_CRISIS))
        return [passage for passage in found if passage.source.in_crisis][:count]

    def _in_time(self, passages: Sequence[Passage]) -> list[Passage]:
        """Without those of articles that were just retired, or whose review is overdue for longer than the settings allow."""
        today, most = date.today(), self.settings.review_grace_days
        return [
            passage
            for passage in passages
            if not self.engines.is_withdrawn(passage.source.id) and passage.source.review.overdue_days(today) <= most
        ]

    def _answer(self, exchange: Exchange, engine: Engine) -> Iterator[Answer]:
        assert exchange.judged is not None
        ruling = exchange.judged.ruling
        one = self.policy.class_of(ruling.label)
        status: Status = one.status
        if one.yields_to_an_answer and exchange.answered:
            ruling = next(other for other in exchange.judged.rulings if other.label in ("sensitive_topic", "informational"))
            status = "answered"
        checked = Checked((), (), ())
        model = EXTRACTIVE
        if exchange.answered and status in ("answered", "emergency", "referred"):
            grown = exchange
            for checked, model, grown in self._check(exchange, engine, status):
                if checked.statements:
                    yield self._compose(grown, engine, ruling, status, checked, model)
            exchange = grown
        if status == "answered" and not checked.statements:
            status = "abstained"
        yield self._compose(exchange, engine, ruling, status, checked, model, complete=True)

    def _check(self, exchange: Exchange, engine: Engine, status: Status) -> Iterator[tuple[Checked, str, Exchange]]:
        """The checked part of the answer as it grows. Where nothing of a chat model's draft survives, quotes take its place."""
        checking = Checking(engine.verifier, exchange.passages)
        if self._chat_model is not None:
            started = time.perf_counter()
            try:
                for statement in self._chat_model.draft(exchange.asked, exchange.passages):
                    if objection := self._objection(statement, engine, status):
                        checking.withhold(statement.text, f"the output rail {objection!r} objects")
                    elif checking.add(statement):
                        yield checking.result(), self._chat_model.name, replace(exchange, timings_ms=exchange.timed("answer", started))
            except ModelError as error:
                checking.withhold("the chat model's answer", str(error))
            exchange = replace(exchange, timings_ms=exchange.timed("answer", started))
            if checking.result().statements:
                yield checking.result(), self._chat_model.name, exchange
                return
        started = time.perf_counter()
        draft = engine.extractive.draft(exchange.asked, exchange.passages)
        exchange = replace(exchange, timings_ms=exchange.timed("answer", started))
        for statement in draft.statements if draft is not None else ():
            started = time.perf_counter()
            if objection := self._objection(statement, engine, status):
                checking.withhold(statement.text, f"the output rail {objection!r} objects")
            else:
                checking.add(statement)
            exchange = replace(exchange, timings_ms=exchange.timed("verify", started))
            yield checking.result(), EXTRACTIVE, exchange
        if draft is None:
            yield checking.result(), EXTRACTIVE, exchange

    def _objection(self, statement: DraftStatement, engine: Engine, status: Status) -> str | None:
        """The output rule that a statement, one of its quotes, or what stands beside it breaks, or None.

        An article that was taken back counts as such, and so does one that curators did not mark as safe to show in a crisis, where
        someone may be in danger.
        """
        if objection := self.output_rail.objection(statement.text, status):
            return objection
        if statement.caution is not None and self._speaks_out_of_turn(statement.caution.why, status):
            return "caution"
        shown = (*statement.evidence, *([statement.contrast] if statement.contrast else ()))
        return next(filter(None, (self._objection_to_quote(evidence, engine, status) for evidence in shown)), None)

    def _objection_to_quote(self, evidence: Evidence, engine: Engine, status: Status) -> str | None:
        source = evidence.passage.source
        if self.engines.is_withdrawn(source.id):
            return "withdrawn"
        if status == "emergency" and not source.in_crisis:
            return "in_crisis"
        if self._speaks_out_of_turn(source.title, status) or self._speaks_out_of_turn(evidence.passage.chunk.heading, status):
            return "title"
        quote = evidence.span.of(engine.generation.documents[source.id].text)
        return "stranger" if self.output_rail.stranger(quote, source) else self.output_rail.objection(plain_text(quote), status)

    def _speaks_out_of_turn(self, words: str, status: Status = "answered") -> bool:
        """Whether a title, a heading or a caution holds an unknown address or number, or words to the bot, which nothing shown may hold."""
        too_long = len(words) > MOST_TITLE
        return too_long or self.output_rail.objection(words, status) is not None or self.output_rail.stranger(words) is not None

    def _compose(
        self, exchange: Exchange, engine: Engine, ruling: Ruling, status: Status, checked: Checked, model: str, *, complete: bool = False
    ) -> Answer:
        shown = checked if status not in ("abstained", "declined") else Checked((), (), checked.withheld)
        nearest = self._nearest(exchange) if status == "abstained" else ()
        timings = dict(exchange.timings_ms)
        timings["total"] = sum(timings.values())
        notice = self._notice(exchange, engine, ruling.label, status, nearest, bool(shown.statements))
        return Answer(
            question=exchange.question,
            status=status,
            guardrail=ruling,
            statements=shown.statements,
            citations=shown.citations,
            notice=notice,
            help="block" if status == "emergency" else "line" if notice and self.responses.resources_short() in notice else None,
            follow_ups=self._follow_ups(exchange, engine, shown) if complete and status == "answered" else (),
            nearest=nearest,
            withheld=shown.withheld,
            model=model,
            index=engine.generation.name,
            timings_ms=timings,
        )

    def _notice(
        self, exchange: Exchange, engine: Engine, label: Label, status: Status, nearest: Sequence[NearestArticle], answered: bool
    ) -> str | None:
        parts: list[str] = []
        if status == "abstained":
            parts.append(self.responses.nearest([article.title for article in nearest]))
        elif label == "out_of_scope" and self._line_stands(exchange):
            # Somebody who tells of a bad time is not told that it is none of the bot's business.
            parts.append(self.responses.text("low_mood"))
        elif (fixed := self.responses.notice(label)) is not None and not (label == "sensitive_topic" and not answered):
            parts.append(fixed)
        if label == "personal_decision":
            questions = self._questions_to_bring(exchange, engine)
            if questions:
                parts.append(self.responses.text("personal_decision_questions", questions=" ".join(questions)))
            if answered:
                parts.append(self.responses.text("personal_decision_general"))
        assert exchange.judged is not None
        if label == "informational" and answered and exchange.judged.own_case:
            parts.append(self.responses.text("own_case"))
        if label != "crisis" and self._line_stands(exchange):
            parts.append(self.responses.text("crisis_line"))
        elif status == "abstained" and label == "sensitive_topic":
            parts.append(self.responses.text("sensitive_topic"))
        return "\n\n".join(part for part in parts if part) or None

    def _line_stands(self, exchange: Exchange) -> bool:
        """Whether a line of help stands with the answer: where someone may be low, beside an emergency, and in the turns after a crisis."""
        assert exchange.judged is not None
        if "crisis" in exchange.judged.labels or exchange.judged.help == "line":
            return True
        turns = turns_since_crisis(exchange.turns, self.policy)
        return turns is not None and turns < self.policy.class_of("crisis").follow_on_turns

    def _questions_to_bring(self, exchange: Exchange, engine: Engine) -> list[str]:
        vector = self.embedder.encode_questions([exchange.question])[0]
        ranked = sorted(engine.questions_to_bring, key=lambda one: -float(one[1] @ vector))
        fit = (text for text, _, article in ranked if not self.engines.is_withdrawn(article) and not self._speaks_out_of_turn(text))
        return list(islice(fit, MOST_FOLLOW_UPS))

    def _nearest(self, exchange: Exchange) -> tuple[NearestArticle, ...]:
        if exchange.gate is None or exchange.gate.probability < NEAREST_FLOOR:
            return ()
        found = {passage.source.id: passage.source.title for passage in exchange.passages if not self._speaks_out_of_turn(passage.source.title)}
        return tuple(NearestArticle(article, title) for article, title in list(found.items())[:MOST_NEAREST])

    def _follow_ups(self, exchange: Exchange, engine: Engine, checked: Checked) -> tuple[str, ...]:
        """Questions that the articles' own headings ask, near to what was asked and not answered yet."""
        cited = {citation.article for citation in checked.citations}
        used = {citation.heading for citation in checked.citations}
        near = [passage.chunk.heading for passage in exchange.passages]
        same = [chunk.heading for identity in engine.generation.documents if identity in cited for chunk in engine.generation.articles[identity].chunks]
        asked = exchange.question.casefold().strip(" ?")
        candidates = (heading for heading in dict.fromkeys([*near, *same]) if heading.endswith("?") and heading not in used)
        headings = (heading for heading in candidates if not self._speaks_out_of_turn(heading))
        return tuple(heading for heading in headings if heading.casefold().strip(" ?") != asked)[:MOST_FOLLOW_UPS]


def immediate_help(question: str, policy: Policy, responses: Responses) -> Answer | None:
    """The help that the rules alone call for, at once and whatever else is broken; None where they see no danger."""
    return help_answer(question, Guard(policy, None).judge_rules(question), policy, responses)


def help_answer(question: str, judged: Judged, policy: Policy, responses: Responses) -> Answer | None:
    """The help that a ruling calls for, before anything else is known; None where there is no danger."""
    if policy.class_of(judged.ruling.label).status != "emergency":
        return None
    return Answer(question=question, status="emergency", guardrail=judged.ruling, notice=responses.notice(judged.ruling.label), help="block")


def broken_answer(question: str, settings: Settings) -> Answer:
    """What is shown where not even the bot could be opened."""
    policy = open_policy(settings)
    responses = Responses(policy, settings.region)
    return immediate_help(question, policy, responses) or unavailable_answer(question, responses)


def unavailable_answer(question: str, responses: Responses) -> Answer:
    """That nothing can be answered just now, with the crisis line."""
    ruling = Ruling("unavailable", "informational", 0.0, "unavailable")
    return Answer(question=question, status="abstained", guardrail=ruling, notice=responses.text("unavailable"), help="line")


def _label(exchange: Exchange) -> Label:
    assert exchange.judged is not None
    return exchange.judged.ruling.label


def _chat_model(settings: Settings) -> ChatModelAnswerer | None:
    if settings.model == EXTRACTIVE:
        return None
    return ChatModelAnswerer(create_chat_model(settings), settings.model)
