"""Articles in a generation's folder: what comes back, and what is taken over."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from ragbot import embedded
from ragbot.digests import Files, digest_of
from ragbot.embedded import FOLDER, ArticleFiles, EmbeddedArticle, take_over, write_article
from ragbot.errors import IndexBrokenError
from ragbot.records import Chunk, Document, Sentence, Source, Span

WORDS = "Slugs eat lettuce. They come at night."


def article(identity: str = "slugs") -> EmbeddedArticle:
    source = Source(identity, "Slugs", "", "", "https://example.org/", status="published")
    sentences = (Sentence(Span(0, 18), WORDS[:18]), Sentence(Span(19, 38), WORDS[19:]))
    chunk = Chunk(f"{identity}#0", identity, "Slugs", "", Span(0, 38), WORDS, sentences)
    vectors = np.arange(12, dtype=np.float32).reshape(3, 4)
    tokens = [np.full((count, 4), count, dtype=np.float16) for count in (2, 3, 1)]
    return EmbeddedArticle(Document(source, WORDS, "0" * 64), (chunk,), vectors[:1], vectors[1:], tokens)


def write(folder: Path, *articles: EmbeddedArticle) -> Files:
    """Writes articles into a generation's folder; its files."""
    (folder / FOLDER).mkdir(parents=True)
    digests: dict[str, str] = {}
    for one in articles:
        digests |= write_article(folder, one)
    return Files(folder, digests)


def test_an_article_comes_back_as_it_was_written(tmp_path: Path) -> None:
    written = article()
    read = ArticleFiles(write(tmp_path, written), "slugs")
    assert (read.document, read.chunks) == (written.document, written.chunks)
    assert np.array_equal(read.chunk_vectors, written.chunk_vectors)
    assert np.array_equal(read.sentence_vectors, written.sentence_vectors)
    assert [one.tolist() for one in read.tokens()] == [one.tolist() for one in written.tokens]


def test_an_article_without_a_sentence_comes_back_empty(tmp_path: Path) -> None:
    empty = EmbeddedArticle(article().document, (), np.zeros((0, 0), dtype=np.float32), np.zeros((0, 0), dtype=np.float32), [])
    read = ArticleFiles(write(tmp_path, empty), "slugs")
    assert (read.chunks, len(read.chunk_vectors), read.tokens()) == ((), 0, [])


def test_names_that_look_like_endings_are_kept_apart(tmp_path: Path) -> None:
    files = write(tmp_path, *(article(identity) for identity in ("slugs", "slugs.vectors", "slugs.pieces")))
    assert [ArticleFiles(files, identity).document.source.id for identity in ("slugs", "slugs.vectors", "slugs.pieces")] == [
        "slugs", "slugs.vectors", "slugs.pieces",
    ]  # fmt: skip


def test_the_files_of_another_article_are_found_out(tmp_path: Path) -> None:
    files = write(tmp_path, article())
    renamed = {}
    for name, digest in files.digests.items():
        renamed[name.replace("slugs", "snails")] = digest
        (tmp_path / name).rename(tmp_path / name.replace("slugs", "snails"))
    with pytest.raises(ValueError, match="'snails' do not match"):
        ArticleFiles(Files(tmp_path, renamed), "snails")


@pytest.mark.parametrize("ending", [".json", ".vectors", ".pieces"])
def test_a_file_that_is_not_what_was_written_is_never_read(tmp_path: Path, ending: str) -> None:
    files = write(tmp_path, article())
    read = ArticleFiles(files, "slugs")
    path = tmp_path / FOLDER / f"slugs{ending}"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(IndexBrokenError, match=f"'articles/slugs{ending}' is not what was written"):
        read.tokens() if ending == ".pieces" else ArticleFiles(files, "slugs")
    path.unlink()
    with pytest.raises(IndexBrokenError, match=f"'articles/slugs{ending}' cannot be read"):
        read.tokens() if ending == ".pieces" else ArticleFiles(files, "slugs")


@pytest.mark.parametrize(("most", "shared"), [(10**9, False), (0, True)])
def test_a_small_library_is_copied_and_a_large_one_shares_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int, shared: bool) -> None:
    monkeypatch.setattr(embedded, "MOST_COPIED_BYTES", most)
    old, new = tmp_path / "old", tmp_path / "new"
    (new / FOLDER).mkdir(parents=True)
    digests = take_over(write(old, article(), article("snails")), new, ["slugs"])
    assert sorted(path.name for path in (new / FOLDER).iterdir()) == ["slugs.json", "slugs.pieces", "slugs.vectors"]
    assert all((path.stat().st_nlink == 2) is shared for path in (new / FOLDER).iterdir())
    assert digests == {f"{FOLDER}/{path.name}": digest_of(path.read_bytes()) for path in (new / FOLDER).iterdir()}
    assert ArticleFiles(Files(new, digests), "slugs").document == article().document


def test_where_files_cannot_be_shared_they_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(embedded, "MOST_COPIED_BYTES", 0)
    monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "new" / FOLDER).mkdir(parents=True)
    digests = take_over(write(tmp_path / "old", article()), tmp_path / "new", ["slugs"])
    assert ArticleFiles(Files(tmp_path / "new", digests), "slugs").chunks == article().chunks
