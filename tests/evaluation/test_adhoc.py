from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ragbot.chatbot import Ragbot
from ragbot.errors import StoreError
from ragbot.evaluation.adhoc import PreparedEmbedder, VectorCache, embedded_texts, make_document, make_generation, split_documents
from ragbot.models import Embedder
from ragbot.retrieving import Retriever


class CountingEmbedder(PreparedEmbedder):
    """Counts the texts that really have to be embedded."""

    def __init__(self, embedder: Embedder) -> None:
        super().__init__(embedder, ())
        self.count = 0

    def encode(self, texts, *, progress=None):  # type: ignore[no-untyped-def]
        self.count += len(texts)
        return super().encode(texts, progress=progress)


def test_the_same_articles_in_memory_are_searched_like_the_index(bot: Ragbot) -> None:
    stored = bot.generation
    documents = list(stored.documents.values())
    chunks = split_documents(documents)
    vectors = {chunk.embedded: vector for chunk, vector in zip(stored.chunks, stored.chunk_vectors, strict=True)}
    sentences = (sentence.text for chunk in stored.chunks for sentence in chunk.sentences)
    vectors |= dict(zip(sentences, stored.sentence_vectors, strict=True))
    memory = make_generation(documents, chunks, vectors, bot.embedder)
    for question in ("When should I water?", "Do coffee grounds help tomatoes?"):
        ours = Retriever(memory, bot.embedder).retrieve(question, 3)
        theirs = Retriever(stored, bot.embedder).retrieve(question, 3)
        assert {passage.chunk.text for passage in ours} == {passage.chunk.text for passage in theirs}


def test_a_vector_is_made_once(tmp_path: Path, embedder: Embedder) -> None:
    counting = CountingEmbedder(embedder)
    texts = ["one sentence", "another sentence", "one sentence"]
    first = VectorCache(tmp_path, counting)
    before = first.encode(texts)
    first.close()
    again = VectorCache(tmp_path, counting)
    after = again.encode([*texts, "a third"])
    again.close()
    assert counting.count == 3
    assert set(before) == {"one sentence", "another sentence"}
    np.testing.assert_allclose(after["one sentence"], before["one sentence"])
    np.testing.assert_allclose(after["a third"], embedder.encode(["a third"])[0], atol=1e-5)


def test_a_cache_that_cannot_be_written_says_so(tmp_path: Path, embedder: Embedder) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(StoreError, match="--cache DIR"):
        VectorCache(tmp_path / "file", embedder)


@pytest.mark.parametrize("texts", [(), ("",), ("   \n",)])
def test_a_library_without_words_finds_nothing(embedder: Embedder, texts: tuple[str, ...]) -> None:
    documents = [make_document(str(number), text) for number, text in enumerate(texts)]
    chunks = split_documents(documents)
    assert not embedded_texts(chunks)
    assert Retriever(make_generation(documents, chunks, {}, embedder), embedder).retrieve("anything?", 5) == []


def test_progress_reaches_its_end(tmp_path: Path, embedder: Embedder) -> None:
    seen: list[tuple[int, int]] = []
    cache = VectorCache(tmp_path, embedder)
    cache.encode(["a", "b"], lambda done, total: seen.append((done, total)))
    cache.close()
    assert seen[-1] == (2, 2)
