"""Articles in a generation's folder: what comes back, and what is taken over."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from ragbot import embedded
from ragbot.embedded import ArticleFiles, EmbeddedArticle, take_over, write_article
from ragbot.records import Chunk, Document, Sentence, Source, Span

WORDS = "Slugs eat lettuce. They come at night."


def article(identity: str = "slugs") -> EmbeddedArticle:
    source = Source(identity, "Slugs", "", "", "https://example.org/", status="published")
    sentences = (Sentence(Span(0, 18), WORDS[:18]), Sentence(Span(19, 38), WORDS[19:]))
    chunk = Chunk(f"{identity}#0", identity, "Slugs", "", Span(0, 38), WORDS, sentences)
    vectors = np.arange(12, dtype=np.float32).reshape(3, 4)
    tokens = [np.full((count, 4), count, dtype=np.float16) for count in (2, 3, 1)]
    return EmbeddedArticle(Document(source, WORDS, "0" * 64), (chunk,), vectors[:1], vectors[1:], tokens)


def test_an_article_comes_back_as_it_was_written(tmp_path: Path) -> None:
    written = article()
    write_article(tmp_path, written)
    read = ArticleFiles(tmp_path, "slugs")
    assert (read.document, read.chunks) == (written.document, written.chunks)
    assert np.array_equal(read.chunk_vectors, written.chunk_vectors)
    assert np.array_equal(read.sentence_vectors, written.sentence_vectors)
    assert [one.tolist() for one in read.tokens()] == [one.tolist() for one in written.tokens]


def test_an_article_without_a_sentence_comes_back_empty(tmp_path: Path) -> None:
    empty = EmbeddedArticle(article().document, (), np.zeros((0, 0), dtype=np.float32), np.zeros((0, 0), dtype=np.float32), [])
    write_article(tmp_path, empty)
    read = ArticleFiles(tmp_path, "slugs")
    assert (read.chunks, len(read.chunk_vectors), read.tokens()) == ((), 0, [])


def test_names_that_look_like_endings_are_kept_apart(tmp_path: Path) -> None:
    for identity in ("slugs", "slugs.vectors", "slugs.pieces"):
        write_article(tmp_path, article(identity))
    assert [ArticleFiles(tmp_path, identity).document.source.id for identity in ("slugs", "slugs.vectors", "slugs.pieces")] == [
        "slugs", "slugs.vectors", "slugs.pieces",
    ]  # fmt: skip


def test_the_files_of_another_article_are_found_out(tmp_path: Path) -> None:
    write_article(tmp_path, article())
    for ending in (".json", ".vectors", ".pieces"):
        (tmp_path / f"slugs{ending}").rename(tmp_path / f"snails{ending}")
    with pytest.raises(ValueError, match="'snails' do not match"):
        ArticleFiles(tmp_path, "snails")


@pytest.mark.parametrize(("most", "shared"), [(10**9, False), (0, True)])
def test_a_small_library_is_copied_and_a_large_one_shares_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int, shared: bool) -> None:
    monkeypatch.setattr(embedded, "MOST_COPIED_BYTES", most)
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    new.mkdir()
    write_article(old, article())
    write_article(old, article("snails"))
    take_over(old, new, ["slugs"])
    assert sorted(path.name for path in new.iterdir()) == ["slugs.json", "slugs.pieces", "slugs.vectors"]
    assert all((path.stat().st_nlink == 2) is shared for path in new.iterdir())
    assert ArticleFiles(new, "slugs").document == article().document


def test_where_files_cannot_be_shared_they_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(embedded, "MOST_COPIED_BYTES", 0)
    monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "new").mkdir()
    write_article(tmp_path, article())
    take_over(tmp_path, tmp_path / "new", ["slugs"])
    assert ArticleFiles(tmp_path / "new", "slugs").chunks == article().chunks
