"""One generation of the index on the disk, and its opened form. The only file that knows chromadb.

::

    gen-000007/manifest.json     what it was built from: ids, sha256, model and versions
    gen-000007/library.json      the articles, chunks and sentences as they were then
    gen-000007/chroma/           the chunks' vectors, searched by Chroma (HNSW, cosine)
    gen-000007/chunks.npy        the same vectors, to verify by query and to reuse what did not change
    gen-000007/sentences.npy     the sentences' vectors, made here and not at question time
    gen-000007/tokens.npy        the vectors of the word pieces of sentences and of the chunks' labels (title and heading)
    gen-000007/guard.npz         the trained guardrail classifier
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from langchain_core.embeddings import Embeddings
from pydantic import TypeAdapter, ValidationError

from ragbot.errors import IndexBrokenError, IndexMismatchError
from ragbot.models import TokenVectors, Vectors
from ragbot.records import Chunk, Document

FORMAT = 2
COLLECTION = "chunks"
BATCH = 2000
VERIFIED_CHUNKS = 200


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a generation was built from; two equal manifests mean equal content."""

    embedder: str
    chunker: int
    policy: str
    documents: Mapping[str, str]
    format: int = FORMAT


@dataclass(frozen=True, slots=True)
class Content:
    """The articles of a generation and their vectors: a row a chunk and a row a sentence, in the chunks' order.

    ``tokens`` holds the word pieces of every sentence, then of every chunk's label, one array a text.
    """

    documents: tuple[Document, ...]
    chunks: tuple[Chunk, ...]
    chunk_vectors: Vectors
    sentence_vectors: Vectors
    tokens: Sequence[TokenVectors] = ()
    guard: Mapping[str, Any] = field(default_factory=dict)


_LIBRARY = TypeAdapter(tuple[tuple[Document, ...], tuple[Chunk, ...]])


class _Precomputed(Embeddings):
    """Hands Chroma the vectors that are there already."""

    def __init__(self, vectors: Vectors) -> None:
        self._rows = iter(vectors)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [next(self._rows).tolist() for _ in texts]

    def embed_query(self, text: str) -> list[float]:
        raise TypeError("questions are embedded by ragbot.models")


def _chroma(folder: Path, embeddings: Embeddings | None, *, create: bool) -> Any:
    import chromadb
    from chromadb.config import Settings
    from langchain_chroma import Chroma

    client = chromadb.PersistentClient(str(folder), settings=Settings(anonymized_telemetry=False))
    return Chroma(
        collection_name=COLLECTION,
        client=client,
        embedding_function=embeddings,
        collection_configuration={"hnsw": {"space": "cosine"}},
        create_collection_if_not_exists=create,
    )


def write_generation(folder: Path, manifest: Manifest, content: Content) -> None:
    """Fills an empty folder with a generation."""
    library = _LIBRARY.dump_json((content.documents, content.chunks))
    (folder / "library.json").write_bytes(library)
    np.save(folder / "chunks.npy", content.chunk_vectors)
    np.save(folder / "sentences.npy", content.sentence_vectors)
    np.save(folder / "tokens.npy", np.concatenate(content.tokens) if content.tokens else np.zeros((0, 0), dtype=np.float16))
    np.save(folder / "token-counts.npy", np.array([len(one) for one in content.tokens], dtype=np.int32))
    if content.guard:
        np.savez(folder / "guard.npz", **content.guard)
    store = _chroma(folder / "chroma", _Precomputed(content.chunk_vectors), create=True)
    for start in range(0, len(content.chunks), BATCH):
        batch = content.chunks[start : start + BATCH]
        store.add_texts(
            [chunk.plain for chunk in batch],
            metadatas=[{"row": start + row, "source": chunk.source_id, "heading": chunk.heading} for row, chunk in enumerate(batch)],
            ids=[chunk.id for chunk in batch],
        )
    close_chroma(store)
    described = asdict(manifest) | {"created": datetime.now(UTC).isoformat(timespec="seconds"), "chunks": len(content.chunks)}
    (folder / "manifest.json").write_text(json.dumps(described, indent=1, sort_keys=True), encoding="utf-8")


def close_chroma(store: Any) -> None:
    """Lets go of the database's files, so that a folder can be renamed, reopened or removed."""
    client = store._client  # noqa: SLF001 — langchain-chroma offers no way to close
    close = getattr(client, "close", None)
    if close is not None:
        close()


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a generation.

    Raises:
        IndexBrokenError: it cannot be read.
        IndexMismatchError: another version of ragbot wrote it.
    """
    try:
        values = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        if values["format"] != FORMAT:
            raise IndexMismatchError(f"The index {folder.name!r} has the format of another ragbot.", "Build it anew with: ragbot index --rebuild")
        return Manifest(**{name: values[name] for name in Manifest.__dataclass_fields__})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IndexBrokenError(f"The manifest of {folder.name!r} cannot be read.", "Build the index anew with: ragbot index --rebuild") from error


class Generation:
    """An opened generation: its articles in memory, its vectors, and the search in Chroma. Only ever read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = folder.name
        self.manifest = read_manifest(folder)
        try:
            documents, chunks = _LIBRARY.validate_json((folder / "library.json").read_bytes())
            self.chunk_vectors: Vectors = np.load(folder / "chunks.npy")
            self.sentence_vectors: Vectors = np.load(folder / "sentences.npy")
            # Mapped, not read: a question looks at the pieces of a few passages.
            self._tokens: TokenVectors = np.load(folder / "tokens.npy", mmap_mode="r")
            token_counts = np.load(folder / "token-counts.npy")
            self.guard: dict[str, Any] = dict(np.load(folder / "guard.npz")) if (folder / "guard.npz").exists() else {}
        except (OSError, ValueError, ValidationError, EOFError) as error:
            raise _broken(folder, "its files cannot be read") from error
        self.chunks = chunks
        self.documents = {document.source.id: document for document in documents}
        counts = [len(chunk.sentences) for chunk in chunks]
        self.first_sentence = [0, *np.cumsum(counts).tolist()]
        if len(self.chunk_vectors) != len(chunks) or len(self.sentence_vectors) != self.first_sentence[-1]:
            raise _broken(folder, "vectors and texts do not match")
        self._first_token = [0, *np.cumsum(token_counts).tolist()]
        if len(token_counts) != self.first_sentence[-1] + len(chunks) or len(self._tokens) != self._first_token[-1]:
            raise _broken(folder, "word pieces and texts do not match")
        self.rows = {chunk.id: row for row, chunk in enumerate(chunks)}

    @cached_property
    def vector_store(self) -> Any:
        """The chunks as a LangChain ``Chroma`` vector store, without an embedding function."""
        try:
            return _chroma(self.folder / "chroma", None, create=False)
        except Exception as error:  # chromadb raises what its Rust core raises, of any kind
            raise _broken(self.folder, f"Chroma cannot open it: {error}") from error

    def search(self, vector: Vectors, count: int) -> list[tuple[Chunk, float]]:
        """The ``count`` chunks nearest to a unit vector with their cosine, best first."""
        if not self.chunks:
            return []
        try:
            found = self.vector_store.similarity_search_by_vector_with_relevance_scores(vector.tolist(), k=min(count, len(self.chunks)))
        except IndexBrokenError:
            raise
        except Exception as error:  # see vector_store
            raise _broken(self.folder, f"Chroma cannot search it: {error}") from error
        return [(self.chunks[document.metadata["row"]], 1.0 - distance) for document, distance in found]

    def vectors_of(self, chunk: Chunk) -> Vectors:
        """The vectors of a chunk's sentences, a row each."""
        row = self.rows[chunk.id]
        return self.sentence_vectors[self.first_sentence[row] : self.first_sentence[row + 1]]

    def tokens_of(self, chunk: Chunk) -> tuple[list[TokenVectors], TokenVectors]:
        """The word pieces of a chunk's sentences, an array each, and of its label."""
        row = self.rows[chunk.id]
        sentences = [self._tokens_at(place) for place in range(self.first_sentence[row], self.first_sentence[row + 1])]
        return sentences, self._tokens_at(self.first_sentence[-1] + row)

    def _tokens_at(self, place: int) -> TokenVectors:
        return np.asarray(self._tokens[self._first_token[place] : self._first_token[place + 1]])

    def verify(self, sample: int = VERIFIED_CHUNKS) -> None:
        """Asks for chunks by their own vectors; a count would say that all is well where nothing can be found.

        Args:
            sample: how many chunks are asked for, spread evenly over the library.

        Raises:
            IndexBrokenError: one of them is not found.
        """
        step = max(1, len(self.chunks) // sample)
        for row in range(0, len(self.chunks), step):
            vector = self.chunk_vectors[row]
            found = self.search(vector, 3)
            # Two chunks may hold the same words, so a hit of the same cosine is as good as the chunk itself.
            if not any(hit.id == self.chunks[row].id or cosine > 0.9999 for hit, cosine in found):
                raise _broken(self.folder, f"{self.chunks[row].id!r} is not found by its own vector")

    def close(self) -> None:
        """Lets go of the files."""
        if "vector_store" in self.__dict__:
            close_chroma(self.vector_store)


def _broken(folder: Path, why: str) -> IndexBrokenError:
    return IndexBrokenError(f"The index {folder.name!r} is broken: {why}.", "Build it anew with: ragbot index --rebuild")


def open_index(folders: Sequence[Path]) -> tuple[Generation, list[str]]:
    """The first generation that can be opened and finds what it holds, and what was wrong with those before it.

    Raises:
        IndexBrokenError: none of them is sound; the first one's problem is told.
    """
    problems: list[IndexBrokenError | IndexMismatchError] = []
    for folder in folders:
        try:
            generation = Generation(folder)
            generation.verify(sample=32)
        except (IndexBrokenError, IndexMismatchError) as error:
            problems.append(error)
        else:
            return generation, [str(problem) for problem in problems]
    raise problems[0]
