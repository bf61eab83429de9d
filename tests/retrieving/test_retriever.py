from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ragbot.errors import ModelError, ModelMissingError
from ragbot.generation import Generation
from ragbot.generations import current_generation
from ragbot.indexing import IndexReport
from ragbot.models import Embedder
from ragbot.retrieving import LangchainRetriever, LexicalIndex, Reranker, Retriever
from ragbot.retrieving.dense import rank_chunks, score_by_sentence
from ragbot.retrieving.feedback import as_weights
from ragbot.terms import terms_of

FINDERS = ("dense", "sentence", "lexical", "feedback")


@pytest.fixture(scope="module")
def small(bare_index: Path) -> Iterator[Generation]:
    generation = Generation(current_generation(bare_index))
    yield generation
    generation.close()


@pytest.fixture(scope="module")
def retriever(small: Generation, embedder: Embedder) -> Retriever:
    return Retriever(small, embedder)


@pytest.fixture(scope="module")
def empty(index_articles: Callable[..., IndexReport], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Generation]:
    folder = tmp_path_factory.mktemp("empty")
    (folder / "sources").mkdir()
    index_articles(folder / "index", folder / "sources")
    generation = Generation(current_generation(folder / "index"))
    yield generation
    generation.close()


@pytest.fixture(scope="module")
def cross_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cross-encoder of one small layer with random weights: it orders, but without sense."""
    import torch
    from sentence_transformers import CrossEncoder
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    folder = tmp_path_factory.mktemp("cross-encoder")
    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        "tomato",
        "water",
        "feed",
        *"abcdefghijklmnopqrstuvwxyz",
        *(f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"),
    ]
    (folder / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    torch.manual_seed(7)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=512,
        num_labels=1,
    )
    BertForSequenceClassification(config).save_pretrained(folder / "bare")
    BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=512).save_pretrained(folder / "bare")
    CrossEncoder(str(folder / "bare"), device="cpu", local_files_only=True).save_pretrained(str(folder / "model"))
    return folder / "model"


@pytest.mark.parametrize(
    ("question", "heading"),
    [
        ("How much water does a tomato plant need?", "How much water does a tomato plant need?"),
        ("Why does my fruit split open?", "Why do tomatoes crack?"),
        ("leaf mould", "When is the best time to water?"),
        ("snails and lettuce", "Do coffee grounds keep slugs away?"),
        ("clean knife", "What tools are needed?"),
        ("potassium", "Which nutrients do tomatoes need?"),
    ],
)
def test_what_answers_is_found_near_the_top(retriever: Retriever, question: str, heading: str) -> None:
    assert heading in [passage.chunk.heading for passage in retriever.retrieve(question, 3)]


@pytest.mark.parametrize("count", [1, 3, 8, 500])
def test_passages_come_once_best_first_and_no_more_than_asked(retriever: Retriever, small: Generation, count: int) -> None:
    passages = retriever.retrieve("How much water does a tomato plant need?", count)
    assert len(passages) == min(count, len(small.chunks))
    assert len({passage.chunk.id for passage in passages}) == len(passages)
    scores = [passage.score for passage in passages]
    assert scores == sorted(scores, reverse=True)
    for passage in passages:
        assert passage.found_by
        assert set(passage.found_by) <= set(FINDERS)
        assert passage.source.id == passage.chunk.source_id
        assert passage.chunk.span.of(small.documents[passage.source.id].text) == passage.chunk.text


def test_fewer_passages_are_the_first_of_more(retriever: Retriever) -> None:
    more = retriever.retrieve("When are side shoots removed?", 8)
    assert retriever.retrieve("When are side shoots removed?", 3) == more[:3]


def test_drafts_and_retired_articles_are_not_found(retriever: Retriever) -> None:
    for question in ("How long do tomato seeds keep?", "Do tomatoes sown at the full moon ripen earlier?"):
        assert not {passage.source.id for passage in retriever.retrieve(question, 500)} & {"saving-seeds", "moon-planting"}


def test_what_shares_no_word_is_found_by_meaning_alone(retriever: Retriever) -> None:
    (best, *_) = retriever.retrieve("snails", 3)
    assert best.source.id == "coffee-grounds"
    assert "lexical" not in best.found_by
    assert {"dense", "sentence"} <= set(best.found_by)


@pytest.mark.parametrize("question", ["", " ", "\n"])
def test_a_blank_question_finds_nothing(retriever: Retriever, question: str) -> None:
    assert retriever.retrieve(question, 8) == []


@pytest.mark.parametrize("question", ["?!", "the of and", "🍅", "x" * 5000, "tomato " * 2000])
def test_odd_questions_are_searched_too(retriever: Retriever, question: str) -> None:
    assert retriever.retrieve(question, 2)


def test_an_empty_library_finds_nothing(empty: Generation, embedder: Embedder) -> None:
    retriever = Retriever(empty, embedder)
    assert retriever.retrieve("How much water?", 8) == []
    assert LangchainRetriever(search=retriever.retrieve).invoke("How much water?") == []
    assert not len(score_by_sentence(empty, embedder.encode_questions(["How much water?"])[0]))


# One ranking at a time.


def test_dense_ranks_by_cosine(small: Generation, embedder: Embedder) -> None:
    vector = embedder.encode_questions(["Why do tomatoes crack?"])[0]
    rows = rank_chunks(small, vector, len(small.chunks))
    cosines = [float(small.chunk_vectors[row] @ vector) for row in rows]
    assert sorted(rows) == list(range(len(small.chunks)))
    assert cosines == pytest.approx(sorted(cosines, reverse=True), abs=1e-5)


def test_by_sentence_ranks_by_the_best_sentence(small: Generation, embedder: Embedder) -> None:
    vector = embedder.encode_questions(["The knife is wiped with alcohol."])[0]
    scores = score_by_sentence(small, vector)
    best = [max(float(value) for value in small.vectors_of(chunk) @ vector) for chunk in small.chunks]
    assert scores.tolist() == pytest.approx(best, abs=1e-5)
    rows = scores.argsort()[::-1]
    assert "wiped with alcohol" in small.chunks[rows[0]].plain


@pytest.mark.parametrize(
    ("question", "words"),
    [("potassium", "potassium"), ("SLUGS crossing rings", "Slugs crossed"), ("greenhouses cracking", "crack"), ("35%", "35%")],
)
def test_lexical_finds_words_in_any_form(small: Generation, question: str, words: str) -> None:
    scores = LexicalIndex(small.chunks).score_chunks(as_weights(terms_of(question)))
    assert words in small.chunks[int(scores.argmax())].plain


@pytest.mark.parametrize("question", ["", "the of and", "zebra", "?!"])
def test_lexical_finds_nothing_where_no_telling_word_is_shared(small: Generation, question: str) -> None:
    assert not LexicalIndex(small.chunks).score_chunks(as_weights(terms_of(question))).any()


def test_lexical_over_nothing() -> None:
    assert not len(LexicalIndex([]).score_chunks({"tomato": 1.0}))


# LangChain.


def test_langchain_gets_the_same_passages(retriever: Retriever, small: Generation) -> None:
    question = "When is the best time to water?"
    documents = LangchainRetriever(search=retriever.retrieve, count=3).invoke(question)
    passages = retriever.retrieve(question, 3)
    assert [document.id for document in documents] == [passage.chunk.id for passage in passages]
    for document, passage in zip(documents, passages, strict=True):
        meta = document.metadata
        assert small.documents[meta["article"]].text[meta["start"] : meta["end"]] == document.page_content
        assert (meta["title"], meta["url"], meta["heading"]) == (passage.source.title, passage.source.url, passage.chunk.heading)
        assert (meta["score"], meta["found_by"]) == (passage.score, list(passage.found_by))


def test_langchain_batches(retriever: Retriever) -> None:
    one, other = LangchainRetriever(search=retriever.retrieve, count=1).batch(["Why do tomatoes crack?", "clean knife"])
    assert one[0].metadata["article"] == "watering-tomatoes"
    assert other[0].metadata["article"] == "pruning-tomatoes"


# Reranking.


def test_a_cross_encoder_orders_again(small: Generation, embedder: Embedder, retriever: Retriever, cross_encoder: Path) -> None:
    reranker = Reranker(cross_encoder)
    found = retriever.retrieve("How much water?", 500)
    again = reranker.rerank("How much water?", found)
    assert {passage.chunk.id for passage in again} == {passage.chunk.id for passage in found}
    scores = [passage.score for passage in again]
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) > 1
    assert all(passage.found_by[-1] == "reranked" and passage.found_by[:-1] for passage in again)
    assert Retriever(small, embedder, reranker).retrieve("How much water?", 3) == again[:3]


def test_a_cross_encoder_of_nothing(cross_encoder: Path) -> None:
    assert Reranker(cross_encoder).rerank("How much water?", []) == []


def test_a_folder_without_a_cross_encoder_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ModelMissingError, match="RAGBOT_RERANKER_MODEL"):
        Reranker(tmp_path)


def test_a_broken_cross_encoder_is_told(tmp_path: Path, retriever: Retriever) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}), encoding="utf-8")
    with pytest.raises(ModelError, match="cannot be loaded"):
        Reranker(tmp_path).rerank("How much water?", retriever.retrieve("How much water?", 2))
