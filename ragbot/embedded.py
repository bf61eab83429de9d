"""An article with its vectors, as a generation keeps it: three files an article, so that what did not change is taken over as it is.

::

    articles/ID.json      the document, its chunks and sentences, how wide the vectors are, and how many word pieces each text has
    articles/ID.vectors   the vectors of the chunks, then of the sentences, a row each: bare float32, little-endian
    articles/ID.pieces    the vectors of the word pieces of the sentences, then of the chunks' labels (title and heading): bare float16

Each file is known by its sha256 (see ragbot.digests). The numbers are bare because a thousand files with headers take half a second
longer to open than without.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from pydantic import TypeAdapter

from ragbot.digests import Files, digest_of
from ragbot.models import TokenVectors, Vectors
from ragbot.records import Chunk, Document

# Copies share no damage with the generation that they were copied from; a library that is too large to be copied in about a
# second shares its files (hard links) instead.
MOST_COPIED_BYTES = 200_000_000


@dataclass(frozen=True, slots=True)
class _Texts:
    document: Document
    chunks: tuple[Chunk, ...]
    width: int
    token_counts: tuple[int, ...]
    token_width: int


FOLDER = "articles"
_ENDINGS = (".json", ".vectors", ".pieces")
_TEXTS = TypeAdapter(_Texts)


@dataclass(frozen=True, slots=True)
class EmbeddedArticle:
    """An article, its chunks, and their vectors: a row a chunk, a row a sentence in the chunks' order, and the word pieces of
    every sentence, then of every chunk's label, one array a text."""

    document: Document
    chunks: tuple[Chunk, ...]
    chunk_vectors: Vectors
    sentence_vectors: Vectors
    tokens: Sequence[TokenVectors]


def write_article(folder: Path, article: EmbeddedArticle) -> dict[str, str]:
    """Writes the three files of an article into a generation's folder; the sha256 of each by its path there."""
    identity = article.document.source.id
    vectors = [part for part in (article.chunk_vectors, article.sentence_vectors) if len(part)]
    width = vectors[0].shape[1] if vectors else 0
    token_width = article.tokens[0].shape[1] if article.tokens else 0
    texts = _Texts(article.document, article.chunks, width, tuple(len(one) for one in article.tokens), token_width)
    contents = (
        _TEXTS.dump_json(texts),
        b"".join(part.astype("<f4").tobytes() for part in vectors),
        b"".join(part.astype("<f2").tobytes() for part in article.tokens),
    )
    digests: dict[str, str] = {}
    for name, data in zip(names_of(identity), contents, strict=True):
        (folder / name).write_bytes(data)
        digests[name] = digest_of(data)
    return digests


def names_of(identity: str) -> tuple[str, str, str]:
    """The paths of an article's files in a generation's folder: texts, vectors, word pieces."""
    texts, vectors, pieces = (f"{FOLDER}/{identity}{ending}" for ending in _ENDINGS)
    return texts, vectors, pieces


def take_over(old: Files, new: Path, identities: Iterable[str]) -> dict[str, str]:
    """Puts the files of articles that did not change into another generation's folder; their digests."""
    names = [name for identity in identities for name in names_of(identity)]
    linked = sum((old.folder / name).stat().st_size for name in names) > MOST_COPIED_BYTES
    for name in names:
        if linked:
            try:
                os.link(old.folder / name, new / name)
                continue
            except OSError:
                # Not every file system knows links.
                linked = False
        shutil.copyfile(old.folder / name, new / name)
    return {name: old.digests[name] for name in names}


class ArticleFiles:
    """The files of one article, read: texts and vectors at once, word pieces when they are asked for.

    Raises:
        IndexBrokenError: a file is missing, or not what was written.
        ValueError: they do not match each other.
    """

    def __init__(self, files: Files, identity: str) -> None:
        texts_name, vectors_name, self._pieces = names_of(identity)
        self._files = files
        texts = _TEXTS.validate_json(files.read(texts_name).tobytes())
        self.document, self.chunks = texts.document, texts.chunks
        self._token_width = texts.token_width
        self._first_token = [0, *accumulate(texts.token_counts)]
        vectors: Vectors = files.read(vectors_name).view("<f4").reshape(-1, max(1, texts.width))
        sentences = sum(len(chunk.sentences) for chunk in self.chunks)
        whole = len(vectors) == len(self.chunks) + sentences == len(texts.token_counts)
        if not whole or self.document.source.id != identity:
            raise ValueError(f"the files of {identity!r} do not match each other")
        self.chunk_vectors: Vectors = vectors[: len(self.chunks)]
        self.sentence_vectors: Vectors = vectors[len(self.chunks) :]

    def tokens(self) -> list[TokenVectors]:
        """The word pieces of every sentence, then of every chunk's label, an array each.

        Raises:
            IndexBrokenError: their file is missing by now, or not what was written.
        """
        pieces: TokenVectors = self._files.read(self._pieces).view("<f2").reshape(-1, max(1, self._token_width))
        return [pieces[first:last] for first, last in zip(self._first_token, self._first_token[1:], strict=False)]
