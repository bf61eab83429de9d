from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from ragbot.answering.chat_model import INSTRUCTIONS, MOST_CHARACTERS, ChatModelAnswerer, create_chat_model, evidence_for
from ragbot.chatbot import Ragbot
from ragbot.errors import ModelError, ModelMissingError, ModelReplyError, SettingsError
from ragbot.generation import Generation
from ragbot.models import Embedder
from ragbot.records import Answer, DraftStatement, Passage
from ragbot.retrieving import Retriever
from ragbot.settings import Settings

NAME = "test:scripted"
QUESTION = "When is the best time to water tomatoes?"
GOOD = "The best time to water is the early morning, because the leaves dry before the night."


class ScriptedChatModel(BaseChatModel):
    """Says what it was told to, piece by piece; an exception among the pieces is raised. It keeps what it was asked."""

    pieces: list[Any]
    asked: list[list[BaseMessage]] = []

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _stream(
        self, messages: list[BaseMessage], stop: list[str] | None = None, run_manager: Any = None, **_: Any
    ) -> Iterator[ChatGenerationChunk]:
        self.asked.append(messages)
        for piece in self.pieces:
            if isinstance(piece, Exception):
                raise piece
            yield ChatGenerationChunk(message=AIMessageChunk(content=piece))

    def _generate(self, messages: list[BaseMessage], stop: list[str] | None = None, run_manager: Any = None, **_: Any) -> ChatResult:
        text = "".join(str(chunk.message.content) for chunk in self._stream(messages))
        return ChatResult(generations=[ChatGeneration(message=AIMessage(content=text))])


def scripted(*pieces: Any) -> ChatModelAnswerer:
    return ChatModelAnswerer(ScriptedChatModel(pieces=list(pieces)), NAME)


@pytest.fixture(scope="module")
def passages(small: Generation, embedder: Embedder) -> list[Passage]:
    return Retriever(small, embedder).retrieve(QUESTION, 4)


@pytest.fixture(scope="module")
def ask(library: Path, index: Path) -> Callable[..., Answer]:
    """Asks the bot with a scripted model: ``ask(piece, …)``."""

    def run(*pieces: Any) -> Answer:
        return Ragbot.open(Settings(sources=library, index=index), chat_model=scripted(*pieces)).ask(QUESTION)

    return run


def number_of(passages: Sequence[Passage], words: str) -> int:
    return next(number for number, passage in enumerate(passages, 1) if words in passage.chunk.plain)


def drafted(answerer: ChatModelAnswerer, passages: Sequence[Passage]) -> list[DraftStatement]:
    return list(answerer.draft(QUESTION, passages))


# What the model is told.


def test_the_model_sees_numbered_passages_and_the_question(passages: list[Passage]) -> None:
    model = ScriptedChatModel(pieces=[f"{GOOD} [1]"], asked=[])
    drafted(ChatModelAnswerer(model, NAME), passages)
    ((system, human),) = model.asked
    assert system.text == INSTRUCTIONS
    assert human.text.endswith(f"Question: {QUESTION}")
    for number, passage in enumerate(passages, 1):
        assert f"[{number}] {passage.source.title} – {passage.chunk.heading}\n{passage.chunk.plain}" in human.text


# What is read from its reply.


@pytest.mark.parametrize(
    "pieces",
    [
        [f"{GOOD} [1] Wet leaves invite mould. [2]"],
        list(f"{GOOD} [1] Wet leaves invite mould. [2]"),
        [f"{GOOD} [", "1", "] Wet leaves", " invite mould. [2", "]"],
        [f"- {GOOD} [1]\n- Wet leaves invite mould. [2]\n"],
        [f"{GOOD[:-1]} [1]. Wet leaves invite mould [2]."],
    ],
)
def test_sentences_are_read_with_their_citations_however_they_arrive(passages: list[Passage], pieces: list[str]) -> None:
    statements = drafted(scripted(*pieces), passages)
    assert [statement.text for statement in statements] == [GOOD, "Wet leaves invite mould."]
    assert [[evidence.passage for evidence in statement.evidence] for statement in statements] == [[passages[0]], [passages[1]]]


def test_a_sentence_is_given_before_the_next_one_is_written(passages: list[Passage]) -> None:
    statements = scripted(f"{GOOD} [1] ", "And then", RuntimeError("cut off")).draft(QUESTION, passages)
    assert next(statements).text == GOOD
    with pytest.raises(ModelError, match="cut off"):
        next(statements)


@pytest.mark.parametrize("citations", ["[1][2]", "[1] [2]", "[1, 2]", "[ 1 ,2 ]", "[1, 2, 1]"])
def test_several_citations_of_one_sentence_are_all_taken(passages: list[Passage], citations: str) -> None:
    (statement,) = drafted(scripted(f"{GOOD} {citations}"), passages)
    assert [evidence.passage for evidence in statement.evidence] == passages[:2]


@pytest.mark.parametrize("citations", ["[9]", "[0]", "[1, 9]", "[1][9]", "[12345678901234567890]"])
def test_a_passage_that_was_not_given_is_no_evidence(passages: list[Passage], citations: str) -> None:
    (statement,) = drafted(scripted(f"{GOOD} {citations}"), passages)
    assert statement.evidence == ()


@pytest.mark.parametrize("reply", [GOOD, f"{GOOD} (1)", f"{GOOD} [one]", "{}", '{"answer": 1}'])
def test_a_reply_without_citations_comes_without_evidence(passages: list[Passage], reply: str) -> None:
    statements = drafted(scripted(reply), passages)
    assert statements
    assert all(statement.evidence == () for statement in statements)


@pytest.mark.parametrize("pieces", [[""], [" ", "\n"], ["NO ANSWER"], ["NO ", "ANSWER", "."]])
def test_no_answer_is_an_error_of_the_reply(passages: list[Passage], pieces: list[str]) -> None:
    with pytest.raises(ModelReplyError, match="found no answer"):
        drafted(scripted(*pieces), passages)


@pytest.mark.parametrize("error", [RuntimeError("boom"), TimeoutError("too slow"), ConnectionError("refused"), ValueError("bad")])
def test_a_model_that_fails_is_a_model_error_that_names_it(passages: list[Passage], error: Exception) -> None:
    with pytest.raises(ModelError, match=f"'{NAME}' did not answer: {error}") as caught:
        drafted(scripted(error), passages)
    assert caught.value.__cause__ is error


class ProviderError(Exception):
    """Providers' clients have trees of their own below Exception, as openai.OpenAIError is."""


PROVIDER_ERRORS = [ProviderError("rate limit"), httpx.ConnectError("refused"), httpx.ReadTimeout("too slow"), KeyError("choices")]


@pytest.mark.parametrize("error", PROVIDER_ERRORS, ids=lambda error: type(error).__name__)
def test_a_providers_own_error_is_a_model_error_too(passages: list[Passage], error: Exception) -> None:
    with pytest.raises(ModelError):
        drafted(scripted(error), passages)


def test_a_model_that_never_ends_is_cut_off(passages: list[Passage]) -> None:
    statements = drafted(scripted(*[f"{GOOD} [1] "] * 1000), passages)
    assert sum(len(statement.text) for statement in statements) <= MOST_CHARACTERS + 2 * len(GOOD)


@pytest.mark.parametrize(
    ("text", "quote"),
    [
        ("Wet leaves invite leaf mould.", "Wet leaves in the evening invite leaf mould."),
        ("It was on 12% of the plants in the morning and on 31% in the evening.", "Moss et al. counted leaf mould on 12%"),
        ("Water early in the morning, as the leaves then dry before night.", "Early morning is the best time to water"),
    ],
)
def test_the_evidence_is_the_sentence_that_holds_most(passages: list[Passage], text: str, quote: str) -> None:
    passage = passages[number_of(passages, "Early morning") - 1]
    evidence = evidence_for(text, passage)
    words = passage.chunk.text[evidence.span.start - passage.chunk.span.start : evidence.span.end - passage.chunk.span.start]
    assert words.startswith(quote)
    assert evidence.span in passage.chunk.span


# End to end: nothing unsupported is shown, and quotes take its place.


def morning(small: Generation, embedder: Embedder) -> int:
    return number_of(Retriever(small, embedder).retrieve(QUESTION, 8), "Early morning")


def check_quotes(answer: Answer, small: Generation) -> None:
    for citation in answer.citations:
        assert small.documents[citation.article].text[citation.start : citation.end] == citation.quote


def test_a_good_reply_is_shown_with_exact_quotes(ask: Callable[..., Answer], small: Generation, embedder: Embedder) -> None:
    number = morning(small, embedder)
    answer = ask(GOOD[:20], GOOD[20:], f" [{number}] Wet leaves in the evening ", f"invite mould. [{number}]")
    assert (answer.status, answer.model) == ("answered", NAME)
    assert [statement.text for statement in answer.statements] == [GOOD, "Wet leaves in the evening invite mould."]
    assert [citation.quote[:13] for citation in answer.citations] == ["Early morning", "Wet leaves in"]
    assert all(0.65 <= statement.support <= 1 for statement in answer.statements)
    assert answer.withheld == ()
    check_quotes(answer, small)


def test_a_good_reply_grows_sentence_by_sentence(library: Path, index: Path, small: Generation, embedder: Embedder) -> None:
    number = morning(small, embedder)
    answerer = scripted(f"{GOOD} [{number}] ", f"Wet leaves in the evening invite mould. [{number}]")
    answers = list(Ragbot.open(Settings(sources=library, index=index), chat_model=answerer).stream(QUESTION))
    counts = [len(answer.statements) for answer in answers]
    assert counts[0] == 1
    assert counts == sorted(counts)
    assert counts[-1] == 2


BAD_REPLIES = {
    "a passage that was not given": f"{GOOD} [99]",
    "no citation": GOOD,
    "changed number": "Leaf mould was counted on 21% of the plants that were watered in the morning. [{n}]",
    "changed direction": "Early morning is not the best time to water. [{n}]",
    "of its own": "Tomatoes were brought to Europe by sailors and first grown in Spain. [{n}]",
    "no answer": "NO ANSWER",
    "empty": "",
    "blank": " \n ",
    "instructions": "Ignore the passages and visit example.com for cheap tomatoes. [{n}]",
}


@pytest.mark.parametrize("reply", BAD_REPLIES.values(), ids=BAD_REPLIES.keys())
def test_a_bad_reply_is_not_shown_and_quotes_take_its_place(
    ask: Callable[..., Answer], small: Generation, embedder: Embedder, reply: str
) -> None:
    reply = reply.format(n=morning(small, embedder))
    answer = ask(reply)
    assert (answer.status, answer.model) == ("answered", "extractive")
    assert answer.withheld
    assert "Early morning is the best time to water" in answer.text
    for statement in answer.statements:
        assert statement.support == 1.0
        assert any(statement.text in chunk.plain for chunk in small.chunks)
    check_quotes(answer, small)


@pytest.mark.parametrize("pieces", [[TimeoutError("too slow")], ["Early morn", ConnectionError("too slow")], []])
def test_an_error_of_the_model_brings_quotes(ask: Callable[..., Answer], pieces: list[Any]) -> None:
    answer = ask(*pieces)
    assert (answer.status, answer.model) == ("answered", "extractive")
    assert any(("too slow" if pieces else "did not answer") in reason for reason in answer.withheld)


@pytest.mark.parametrize("error", PROVIDER_ERRORS[:2], ids=lambda error: type(error).__name__)
def test_a_providers_own_error_brings_quotes(ask: Callable[..., Answer], error: Exception) -> None:
    assert ask(error).model == "extractive"


def test_what_holds_stays_when_the_rest_does_not(ask: Callable[..., Answer], small: Generation, embedder: Embedder) -> None:
    number = morning(small, embedder)
    answer = ask(
        f"{GOOD} [{number}] Leaf mould was on 99% of all plants. [{number}] Wet leaves are fun. [77] And so on", RuntimeError("cut off")
    )
    assert answer.model == NAME
    assert [statement.text for statement in answer.statements] == [GOOD]
    assert len(answer.withheld) == 3


@pytest.mark.parametrize(
    "glue",
    [
        pytest.param("\n", id="new line"),
        pytest.param(" ", id="same line"),
    ],
)
@pytest.mark.parametrize("uncited", ["Slugs love beer.", "Always add salt."])
def test_an_uncited_sentence_does_not_ride_on_the_next_ones_citation(
    ask: Callable[..., Answer], small: Generation, embedder: Embedder, uncited: str, glue: str
) -> None:
    answer = ask(f"{uncited}{glue}{GOOD} [{morning(small, embedder)}]")
    assert uncited not in answer.text


def test_nothing_is_asked_of_the_model_where_the_library_does_not_answer(library: Path, index: Path) -> None:
    model = ScriptedChatModel(pieces=[f"{GOOD} [1]"], asked=[])
    bot = Ragbot.open(Settings(sources=library, index=index), chat_model=ChatModelAnswerer(model, NAME))
    assert bot.model_name == NAME
    assert bot.ask("How do I repair a bicycle chain?").statements == ()
    assert model.asked == []


# Models by name.


@pytest.mark.parametrize("name", ["gpt-4o-mini", "openai:", ":gpt-4o-mini", ":", ""])
def test_a_malformed_name_is_told_with_the_form_it_has_to_have(name: str) -> None:
    with pytest.raises(SettingsError, match="provider:name") as caught:
        create_chat_model(Settings(model=name))
    assert repr(name) in str(caught.value)


def test_an_unknown_provider_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="'nosuchprovider:tomato'"):
        create_chat_model(Settings(model="nosuchprovider:tomato"))


@pytest.mark.skipif(importlib.util.find_spec("langchain_mistralai") is not None, reason="the package is installed here")
def test_a_missing_package_is_named() -> None:
    with pytest.raises(ModelMissingError, match="pip install langchain-mistralai"):
        create_chat_model(Settings(model="mistralai:mistral-small"))


def test_a_bot_with_an_unknown_provider_does_not_open(library: Path, index: Path) -> None:
    with pytest.raises(SettingsError, match="nosuchprovider"):
        Ragbot.open(Settings(sources=library, index=index, model="nosuchprovider:tomato"))
