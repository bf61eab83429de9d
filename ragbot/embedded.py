"""An article with its vectors, as a generation keeps it: three files an article, so that what did not change is taken over as it is.

::

    articles/ID.json      the document, its chunks and sentences, how wide the vectors are, and how many word pieces each text has
    articles/ID.vectors   the vectors of the chunks, then of the sentences, a row each: bare float32, little-endian
    articles/ID.pieces    the vectors of the word pieces of the sentences, then of the chunks' labels (title and heading): bare float16

The numbers are bare because a thousand files with headers take half a second longer to open than without.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter

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


def write_article(folder: Path, article: EmbeddedArticle) -> None:
    """Writes the three files of an article."""
    identity = article.document.source.id
    vectors = [part for part in (article.chunk_vectors, article.sentence_vectors) if len(part)]
    width = vectors[0].shape[1] if vectors else 0
    token_width = article.tokens[0].shape[1] if article.tokens else 0
    texts = _Texts(article.document, article.chunks, width, tuple(len(one) for one in article.tokens), token_width)
    (folder / f"{identity}.json").write_bytes(_TEXTS.dump_json(texts))
    (folder / f"{identity}.vectors").write_bytes(b"".join(part.astype("<f4").tobytes() for part in vectors))
    (folder / f"{identity}.pieces").write_bytes(b"".join(part.astype("<f2").tobytes() for part in article.tokens))


def take_over(old: Path, new: Path, identities: Iterable[str]) -> None:
    """Puts the files of articles that did not change into another generation's folder."""
    files = [old / f"{identity}{ending}" for identity in identities for ending in _ENDINGS]
    linked = sum(file.stat().st_size for file in files) > MOST_COPIED_BYTES
    for file in files:
        if linked:
            try:
                os.link(file, new / file.name)
                continue
            except OSError:
                # Not every file system knows links.
                linked = False
        shutil.copyfile(file, new / file.name)


class ArticleFiles:
    """The files of one article, read: texts and vectors at once, word pieces when they are asked for.

    Raises:
        OSError, ValueError: a file is missing, is none of ours, or does not match the others.
    """

    def __init__(self, folder: Path, identity: str) -> None:
        texts = _TEXTS.validate_json((folder / f"{identity}.json").read_bytes())
        self.document, self.chunks = texts.document, texts.chunks
        self._pieces_file, self._token_width = folder / f"{identity}.pieces", texts.token_width
        self._first_token = [0, *accumulate(texts.token_counts)]
        vectors: Vectors = np.fromfile(folder / f"{identity}.vectors", dtype="<f4").reshape(-1, max(1, texts.width))
        sentences = sum(len(chunk.sentences) for chunk in self.chunks)
        whole = len(vectors) == len(self.chunks) + sentences == len(texts.token_counts)
        if not whole or self.document.source.id != identity or self._pieces_file.stat().st_size != 2 * self._token_width * self._first_token[-1]:
            raise ValueError(f"the files of {identity!r} do not match each other")
        self.chunk_vectors: Vectors = vectors[: len(self.chunks)]
        self.sentence_vectors: Vectors = vectors[len(self.chunks) :]

    def tokens(self) -> list[TokenVectors]:
        """The word pieces of every sentence, then of every chunk's label, an array each."""
        pieces: TokenVectors = np.fromfile(self._pieces_file, dtype="<f2").reshape(-1, max(1, self._token_width))
        return [pieces[first:last] for first, last in zip(self._first_token, self._first_token[1:], strict=False)]
