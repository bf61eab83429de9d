"""A library in memory, made of texts that are in no index: the passages of an item, the corpus of a retrieval set.

It goes the same way as the curated articles (chunking, the same vectors, the same retriever and answerer); only the search is
by brute force in place of Chroma.
"""

from __future__ import annotations

import hashlib
import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ragbot.chunking import split_document
from ragbot.errors import StoreError
from ragbot.generation import Generation
from ragbot.models import Embedder, Tokens, TokenVectors, Vectors
from ragbot.records import Chunk, Document, Source

Progress = Callable[[int, int], Any]
DEFAULT_CACHE = Path(tempfile.gettempdir()) / "ragbot-vectors"
BATCH = 512


def nothing(_done: int, _total: int) -> None:
    """Progress that nobody looks at."""


class MemoryGeneration(Generation):
    """A generation of the index that never was on a disk; ``search`` looks at every chunk."""

    def __init__(
        self, documents: Sequence[Document], chunks: Sequence[Chunk], chunk_vectors: Vectors, sentence_vectors: Vectors, embedder: Embedder
    ) -> None:
        # Generation's own __init__ reads a folder; everything else it does is inherited.
        self.name = "memory"
        self.guard = {}
        self.chunks = tuple(chunks)
        self.documents = {document.source.id: document for document in documents}
        self.chunk_vectors = chunk_vectors
        self.sentence_vectors = sentence_vectors
        self.first_sentence = [0, *np.cumsum([len(chunk.sentences) for chunk in chunks]).tolist()]
        self.rows = {chunk.id: row for row, chunk in enumerate(chunks)}
        self._embedder = embedder

    def tokens_of(self, chunk: Chunk) -> tuple[list[TokenVectors], TokenVectors]:
        """The word pieces of a chunk's sentences and of its label, made when they are asked for: only few passages are weighed."""
        _, tokens = self._embedder.encode_with_tokens([*(sentence.text for sentence in chunk.sentences), chunk.label])
        return [one.vectors for one in tokens[:-1]], tokens[-1].vectors

    def search(self, vector: Vectors, count: int) -> list[tuple[Chunk, float]]:
        """The ``count`` chunks nearest to a unit vector with their cosine, best first."""
        if not self.chunks:
            return []
        cosines = self.chunk_vectors @ vector
        return [(self.chunks[row], float(cosines[row])) for row in np.argsort(-cosines, kind="stable")[:count]]


class VectorCache:
    """Vectors by the sha256 of the text, in a file of one embedding model, so that a big corpus is embedded once.

    A run that was stopped goes on where it was: every batch is kept as soon as it is made.

    Raises:
        StoreError: the folder cannot be written.
    """

    def __init__(self, folder: Path, embedder: Embedder) -> None:
        self._embedder = embedder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = sqlite3.connect(folder / f"{embedder.digest[:16]}.sqlite", timeout=60)
            self._file.execute("CREATE TABLE IF NOT EXISTS vectors (digest BLOB PRIMARY KEY, vector BLOB NOT NULL) WITHOUT ROWID")
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"The vector cache {str(folder)!r} cannot be written: {error}.", "Name another folder with --cache DIR.") from error

    def encode(self, texts: Sequence[str], progress: Progress = nothing) -> dict[str, Vectors]:
        """The unit vector of each different text."""
        digests = {text: hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in dict.fromkeys(texts)}
        known: dict[str, Vectors] = {}
        for text, digest in digests.items():
            row = self._file.execute("SELECT vector FROM vectors WHERE digest = ?", (digest,)).fetchone()
            if row is not None:
                known[text] = np.frombuffer(row[0], dtype=np.float32)
        missing = sorted((text for text in digests if text not in known), key=len)
        for start in range(0, len(missing), BATCH):
            batch = missing[start : start + BATCH]
            fresh = dict(zip(batch, self._embedder.encode(batch), strict=True))
            known |= fresh
            with self._file:
                rows = [(digests[text], vector.tobytes()) for text, vector in fresh.items()]
                self._file.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", rows)
            progress(len(known), len(digests))
        progress(len(digests), len(digests))
        return known

    def close(self) -> None:
        """Lets go of the file."""
        self._file.close()


class PreparedEmbedder(Embedder):
    """An embedder that was handed word pieces in advance; whatever else is asked for, the other one makes.

    The verifier asks for them a claim at a time; thousands of claims would take an hour that way.
    """

    def __init__(self, embedder: Embedder, texts: Sequence[str], progress: Progress = nothing) -> None:
        # Embedder's own __init__ would look for the weights again.
        self._embedder = embedder
        self.folder = embedder.folder
        self.digest = embedder.digest
        unique = list(dict.fromkeys(texts))
        done = 0

        def report(count: int) -> None:
            nonlocal done
            done += count
            progress(done, len(unique))

        self._known = dict(zip(unique, embedder.encode_with_tokens(unique, progress=report)[1], strict=True))

    def question_tokens(self, texts: Sequence[str]) -> list[Tokens]:
        if all(text in self._known for text in texts):
            return [self._known[text] for text in texts]
        return self._embedder.question_tokens(texts)

    def encode(self, texts: Sequence[str], *, progress: Callable[[int], Any] | None = None) -> Vectors:
        return self._embedder.encode(texts, progress=progress)

    def encode_questions(self, texts: Sequence[str]) -> Vectors:
        return self._embedder.encode_questions(texts)

    def is_everyday(self, word: str) -> bool:
        return self._embedder.is_everyday(word)


def make_document(identity: str, text: str, title: str = "", url: str = "") -> Document:
    """A document of nothing but a text."""
    source = Source(id=identity, title=title, summary="", publisher="", url=url, status="published")
    return Document(source, text, hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest())


def embedded_texts(chunks: Iterable[Chunk]) -> list[str]:
    """Every text of the chunks that has to have a vector: the chunks' own and their sentences'."""
    return [text for chunk in chunks for text in (chunk.embedded, *(sentence.text for sentence in chunk.sentences))]


def split_documents(documents: Sequence[Document], progress: Progress = nothing) -> list[Chunk]:
    """The chunks of documents, those of a document together."""
    chunks: list[Chunk] = []
    for number, document in enumerate(documents, start=1):
        chunks += split_document(document)
        progress(number, len(documents))
    return chunks


def make_generation(
    documents: Sequence[Document], chunks: Sequence[Chunk], vectors: Mapping[str, Vectors], embedder: Embedder
) -> MemoryGeneration:
    """The library of these documents; ``vectors`` holds one for each of ``embedded_texts``."""
    if not chunks:
        empty = np.zeros((0, 0), dtype=np.float32)
        return MemoryGeneration(documents, (), empty, empty, embedder)
    whole = np.stack([vectors[chunk.embedded] for chunk in chunks])
    single = np.stack([vectors[sentence.text] for chunk in chunks for sentence in chunk.sentences])
    return MemoryGeneration(documents, chunks, whole, single, embedder)
