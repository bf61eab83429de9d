"""One generation of the index on the disk, and its opened form. The only file that knows chromadb.

::

    gen-000007/manifest.json     what it was built from: see ragbot.manifest
    gen-000007/articles/         the articles as they were then, with their vectors: see ragbot.embedded
    gen-000007/chroma/           the chunks' vectors, searched by Chroma (HNSW, cosine)
    gen-000007/guard.npz         the trained guardrail classifier
"""

from __future__ import annotations

import shutil
import sqlite3
import uuid
import weakref
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from langchain_core.embeddings import Embeddings

from ragbot.embedded import ArticleFiles, EmbeddedArticle, take_over, write_article
from ragbot.errors import IndexBrokenError, IndexMismatchError
from ragbot.manifest import Manifest, read_description, write_manifest
from ragbot.models import TokenVectors, Vectors, digest_of_file
from ragbot.records import Chunk, Document

COLLECTION = "chunks"
BATCH = 2000
VERIFIED_CHUNKS = 200
# Vectors that were taken out leave gaps in the graph that the search walks; above this share of it, it is built anew.
MOST_GAPS = 0.2
# Articles whose word pieces are kept at hand.
TOKENS_AT_HAND = 32


@dataclass(frozen=True, slots=True)
class Content:
    """What a generation is to hold: articles that are new or changed, the generation that all other articles of the manifest are
    taken over from, and the classifier's arrays."""

    fresh: tuple[EmbeddedArticle, ...]
    previous: Generation | None = None
    guard: Mapping[str, Any] = field(default_factory=dict)


class _Precomputed(Embeddings):
    """Hands Chroma the vectors that are there already."""

    def __init__(self, vectors: Vectors) -> None:
        self._rows = iter(vectors)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [next(self._rows).tolist() for _ in texts]

    def embed_query(self, text: str) -> list[float]:
        raise TypeError("questions are embedded by ragbot.models")


def load_chroma() -> None:
    """Imports Chroma, which takes most of a second, before it is needed."""
    import chromadb  # noqa: F401


def _client(folder: Path) -> Any:
    import chromadb
    from chromadb.config import Settings

    return chromadb.PersistentClient(str(folder), settings=Settings(anonymized_telemetry=False))


def _as_langchain(client: Any, embeddings: Embeddings | None, *, create: bool) -> Any:
    from langchain_chroma import Chroma

    return Chroma(
        collection_name=COLLECTION,
        client=client,
        embedding_function=embeddings,
        collection_configuration={"hnsw": {"space": "cosine"}},
        create_collection_if_not_exists=create,
    )


def write_generation(folder: Path, manifest: Manifest, content: Content) -> None:
    """Fills an empty folder with a generation. What did not change is taken over from the one before, which is only read."""
    previous = content.previous
    (folder / "articles").mkdir()
    for article in content.fresh:
        write_article(folder / "articles", article)
    same = frozenset(manifest.documents.keys() - {article.document.source.id for article in content.fresh})
    if previous is not None:
        take_over(previous.folder / "articles", folder / "articles", sorted(same))
    if content.guard:
        if previous is not None and _same_arrays(content.guard, previous.guard):
            shutil.copyfile(previous.folder / "guard.npz", folder / "guard.npz")
        else:
            np.savez(folder / "guard.npz", **content.guard)
    gaps = _write_vectors(folder / "chroma", content.fresh, previous, same)
    files = {path.relative_to(folder).as_posix(): digest_of_file(path) for path in _vector_files(folder / "chroma")}
    write_manifest(folder, manifest, gaps=gaps, files=files)


def _vector_files(folder: Path) -> list[Path]:
    """The files whose digests are kept: Chroma's own library ends the process on vectors that are garbage, so they are compared before
    it sees them.

    Its database is left out, because being asked already touches it, and garbage there is an error like any other; so are vectors
    that it has not put into files yet (below a thousand), where the files hold what the memory happened to hold.
    """
    return sorted(path for written in folder.glob("*/index_metadata.pickle") for path in written.parent.iterdir())


def _same_arrays(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return one.keys() == other.keys() and all(one[name] is other[name] for name in one)


def _write_vectors(folder: Path, fresh: Sequence[EmbeddedArticle], previous: Generation | None, same: frozenset[str]) -> int:
    """Fills Chroma's folder; how many vectors were taken out of it since it was last built whole."""
    gone = [chunk for chunk in previous.chunks if chunk.source_id not in same] if previous is not None else []
    gaps = previous.gaps + len(gone) if previous is not None else 0
    added: list[EmbeddedArticle | ArticleFiles] = [*fresh]
    whole = previous is None or gaps > MOST_GAPS * max(1, len(previous.chunks))
    if previous is not None and whole:
        added += [previous.articles[identity] for identity in sorted(same)]
    vectors = [article.chunk_vectors for article in added if len(article.chunks)]
    chunks = [chunk for article in added for chunk in article.chunks]
    try:
        if previous is not None and not whole:
            _copy_vectors(previous.folder / "chroma", folder)
        client = _client(folder)
        store = _as_langchain(client, _Precomputed(np.concatenate(vectors) if vectors else np.zeros((0, 0), dtype=np.float32)), create=True)
        if gone and not whole:
            store.delete([chunk.id for chunk in gone])
        for start in range(0, len(chunks), BATCH):
            batch = chunks[start : start + BATCH]
            store.add_texts(
                [chunk.plain for chunk in batch],
                metadatas=[{"source": chunk.source_id, "heading": chunk.heading} for chunk in batch],
                ids=[chunk.id for chunk in batch],
            )
        client.close()
    except Exception as error:  # chromadb raises what its Rust core raises, of any kind
        raise OSError(None, f"Chroma cannot write its vectors: {error}") from error
    return 0 if whole else gaps


def _copy_vectors(old: Path, new: Path) -> None:
    """Copies Chroma's folder; its database as one whole moment, because a server may be asking it."""
    shutil.copytree(old, new, ignore=shutil.ignore_patterns("chroma.sqlite3*"))
    with closing(sqlite3.connect(old / "chroma.sqlite3")) as source, closing(sqlite3.connect(new / "chroma.sqlite3")) as target:
        source.backup(target)


class Generation:
    """An opened generation: its articles in memory, its vectors, and the search in Chroma. Only ever read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = folder.name
        self.manifest, self.gaps, self._digests = read_description(folder)
        try:
            self.articles = {identity: ArticleFiles(folder / "articles", identity) for identity in sorted(self.manifest.documents)}
            self.guard: dict[str, Any] = dict(np.load(folder / "guard.npz")) if (folder / "guard.npz").exists() else {}
        except (OSError, ValueError, EOFError) as error:
            raise _broken(folder, "its files cannot be read") from error
        self.documents: dict[str, Document] = {identity: article.document for identity, article in self.articles.items()}
        self.chunks: tuple[Chunk, ...] = tuple(chunk for article in self.articles.values() for chunk in article.chunks)
        filled = [article for article in self.articles.values() if article.chunks]
        nothing = np.zeros((0, 0), dtype=np.float32)
        self.chunk_vectors: Vectors = np.concatenate([article.chunk_vectors for article in filled]) if filled else nothing
        self.sentence_vectors: Vectors = np.concatenate([article.sentence_vectors for article in filled]) if filled else nothing
        self.first_sentence: list[int] = [0, *np.cumsum([len(chunk.sentences) for chunk in self.chunks]).tolist()]
        self.rows = {chunk.id: row for row, chunk in enumerate(self.chunks)}
        self._share_rows()
        # The cache knows the articles and not this object, so that a generation that nobody uses any more is gone at once.
        articles = self.articles
        self._tokens = lru_cache(TOKENS_AT_HAND)(lambda identity: articles[identity].tokens())

    def _share_rows(self) -> None:
        """Lets the articles look at the rows of the whole library, so that no vector is held twice."""
        chunk = sentence = 0
        for article in self.articles.values():
            chunks, sentences = len(article.chunk_vectors), len(article.sentence_vectors)
            article.chunk_vectors = self.chunk_vectors[chunk : chunk + chunks]
            article.sentence_vectors = self.sentence_vectors[sentence : sentence + sentences]
            chunk, sentence = chunk + chunks, sentence + sentences

    @cached_property
    def _chroma(self) -> Any:
        """Chroma's client over this generation, after a look at the files that it could not survive being wrong."""
        for name, digest in self._digests.items():
            try:
                same = digest_of_file(self.folder / name) == digest
            except OSError:
                same = False
            if not same:
                raise _broken(self.folder, f"{name!r} is not what was written")
        try:
            client = _client(self.folder / "chroma")
        except Exception as error:  # chromadb raises what its Rust core raises, of any kind
            raise _broken(self.folder, f"Chroma cannot open it: {error}") from error
        # Chroma keeps a client for ever that nobody closes; a server that goes over to a new generation must not.
        weakref.finalize(self, client.close).atexit = False
        return client

    @cached_property
    def vector_store(self) -> Any:
        """The chunks as a LangChain ``Chroma`` vector store, without an embedding function."""
        try:
            return _as_langchain(self._chroma, None, create=False)
        except IndexBrokenError:
            raise
        except Exception as error:  # see _chroma
            raise _broken(self.folder, f"Chroma cannot open it: {error}") from error

    @cached_property
    def _collection(self) -> Any:
        """Chroma's collection; None where the disk is full or read-only, where Chroma cannot even read."""
        # LangChain's store asks for one vector at a time and takes half a second to import; a question and a check of hundreds of
        # vectors go past it.
        try:
            return self._chroma.get_collection(COLLECTION, embedding_function=None)
        except Exception as error:  # see _chroma
            if not _can_be_written(self.folder):
                return None
            raise error if isinstance(error, IndexBrokenError) else _broken(self.folder, f"Chroma cannot open it: {error}") from error

    @property
    def in_memory(self) -> bool:
        """Whether every vector is compared, in memory, because Chroma cannot work on this disk."""
        return self._collection is None

    def search(self, vector: Vectors, count: int) -> list[tuple[Chunk, float]]:
        """The ``count`` chunks nearest to a unit vector with their cosine, best first."""
        if not self.chunks:
            return []
        return self._search_all(vector[None], count)[0]

    def _search_all(self, vectors: Vectors, count: int) -> list[list[tuple[Chunk, float]]]:
        """The nearest chunks of each vector, asked for at once."""
        collection = self._collection
        if collection is None:
            cosines = vectors @ self.chunk_vectors.T
            return [[(self.chunks[row], float(one[row])) for row in np.argsort(-one, kind="stable")[:count]] for one in cosines]
        try:
            found = collection.query(query_embeddings=vectors, n_results=min(count, len(self.chunks)), include=["distances"])
            return [
                [(self.chunks[self.rows[identity]], 1.0 - distance) for identity, distance in zip(*hits, strict=True)]
                for hits in zip(found["ids"], found["distances"], strict=True)
            ]
        except Exception as error:  # chromadb raises what its Rust core raises; a chunk that no article holds is a KeyError
            raise _broken(self.folder, f"Chroma cannot search it: {error}") from error

    def vectors_of(self, chunk: Chunk) -> Vectors:
        """The vectors of a chunk's sentences, a row each."""
        row = self.rows[chunk.id]
        return self.sentence_vectors[self.first_sentence[row] : self.first_sentence[row + 1]]

    def tokens_of(self, chunk: Chunk) -> tuple[list[TokenVectors], TokenVectors]:
        """The word pieces of a chunk's sentences, an array each, and of its label."""
        pieces, article = self._tokens(chunk.source_id), self.articles[chunk.source_id]
        row, first_row = self.rows[chunk.id], self.rows[article.chunks[0].id]
        first = self.first_sentence[row] - self.first_sentence[first_row]
        last = self.first_sentence[row + 1] - self.first_sentence[first_row]
        return pieces[first:last], pieces[len(article.sentence_vectors) + row - first_row]

    def verify(self, sample: int = VERIFIED_CHUNKS, *, articles: Iterable[str] = ()) -> None:
        """Asks for chunks by their own vectors; a count would say that all is well where nothing can be found.

        Args:
            sample: how many chunks are asked for, spread evenly over the library.
            articles: ids of articles all of whose chunks are asked for.

        Raises:
            IndexBrokenError: one of them is not found.
        """
        if not self.chunks:
            return
        step = max(1, len(self.chunks) // sample)
        wanted = {self.rows[chunk.id] for identity in articles for chunk in self.articles[identity].chunks}
        rows = sorted({*range(0, len(self.chunks), step), *wanted})
        for row, found in zip(rows, self._search_all(self.chunk_vectors[rows], 3), strict=True):
            # Two chunks may hold the same words, so a hit of the same cosine is as good as the chunk itself.
            if not any(hit.id == self.chunks[row].id or cosine > 0.9999 for hit, cosine in found):
                raise _broken(self.folder, f"{self.chunks[row].id!r} is not found by its own vector")

    def close(self) -> None:
        """Lets go of the files."""
        if "_chroma" in self.__dict__:
            self._chroma.close()


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
            told = [str(problem) for problem in problems]
            if generation.in_memory:
                told.append(f"The disk that holds the index {generation.name!r} is full or read-only; the bot answers, but nothing can be published.")
            return generation, told
    raise problems[0]


def _can_be_written(folder: Path) -> bool:
    probe = folder / f".probe-{uuid.uuid4().hex}"
    try:
        probe.write_bytes(bytes(64 * 1024))
    except OSError:
        return False
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)
    return True
