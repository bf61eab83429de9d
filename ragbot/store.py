"""The chunks' vectors of one generation in Chroma (HNSW, cosine). The only file that knows chromadb."""

from __future__ import annotations

import shutil
import sqlite3
import uuid
import weakref
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragbot.errors import IndexBrokenError
from ragbot.models import Vectors, digest_of_file
from ragbot.records import Chunk

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings

COLLECTION = "chunks"
FOLDER = "chroma"
BATCH = 2000


def _precomputed(vectors: Vectors) -> Embeddings:
    """Hands Chroma the vectors that are there already."""
    # Imported late, because a process that only verifies does without LangChain.
    from langchain_core.embeddings import Embeddings

    class Precomputed(Embeddings):
        def __init__(self) -> None:
            self._rows = iter(vectors)

        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return [next(self._rows).tolist() for _ in texts]

        def embed_query(self, text: str) -> list[float]:
            raise TypeError("questions are embedded by ragbot.models")

    return Precomputed()


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


def write_vectors(folder: Path, chunks: Sequence[Chunk], vectors: Vectors, *, copied_from: Path | None = None, without: Sequence[str] = ()) -> None:
    """Writes chunks with their vectors, a row each, into a generation's folder.

    Args:
        copied_from: another generation's folder, whose vectors are there already then, but for those of the ids ``without``.

    Raises:
        OSError: they cannot be written.
    """
    try:
        if copied_from is not None:
            _copy_vectors(copied_from / FOLDER, folder / FOLDER)
        client = _client(folder / FOLDER)
        store = _as_langchain(client, _precomputed(vectors), create=True)
        if without:
            store.delete(list(without))
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


def digests_of_vectors(folder: Path) -> dict[str, str]:
    """The sha256 of the files of vectors in a generation's folder: Chroma's own library ends the process on vectors that are garbage,
    so they are compared before it sees them.

    Its database is left out, because being asked already touches it, and garbage there is an error like any other; so are vectors
    that it has not put into files yet (below a thousand), where the files hold what the memory happened to hold.
    """
    written = [file.parent for file in (folder / FOLDER).glob("*/index_metadata.pickle")]
    return {path.relative_to(folder).as_posix(): digest_of_file(path) for segment in sorted(written) for path in sorted(segment.iterdir())}


def _copy_vectors(old: Path, new: Path) -> None:
    """Copies Chroma's folder; its database as one whole moment, because a server may be asking it."""
    shutil.copytree(old, new, ignore=shutil.ignore_patterns("chroma.sqlite3*"))
    with closing(sqlite3.connect(old / "chroma.sqlite3")) as source, closing(sqlite3.connect(new / "chroma.sqlite3")) as target:
        source.backup(target)


class VectorStore:
    """The vectors of a generation's folder, opened when they are first asked for.

    Args:
        digests: what ``digests_of_vectors`` gave when they were written.
    """

    def __init__(self, folder: Path, digests: Mapping[str, str]) -> None:
        self._folder = folder
        self._digests = digests

    @cached_property
    def _chroma(self) -> Any:
        for name, digest in self._digests.items():
            try:
                same = digest_of_file(self._folder / name) == digest
            except OSError:
                same = False
            if not same:
                raise broken(self._folder, f"{name!r} is not what was written")
        try:
            client = _client(self._folder / FOLDER)
        except Exception as error:  # chromadb raises what its Rust core raises, of any kind
            raise broken(self._folder, f"Chroma cannot open it: {error}") from error
        # Chroma keeps a client for ever that nobody closes; a server that goes over to a new generation must not.
        weakref.finalize(self, client.close).atexit = False
        return client

    @cached_property
    def langchain(self) -> Any:
        """The chunks as a LangChain ``Chroma`` vector store, without an embedding function.

        Raises:
            IndexBrokenError: Chroma cannot open them.
        """
        try:
            return _as_langchain(self._chroma, None, create=False)
        except IndexBrokenError:
            raise
        except Exception as error:  # see _chroma
            raise broken(self._folder, f"Chroma cannot open it: {error}") from error

    @cached_property
    def _collection(self) -> Any:
        # LangChain's store asks for one vector at a time and takes half a second to import; a question and a check of hundreds of
        # vectors go past it.
        try:
            return self._chroma.get_collection(COLLECTION, embedding_function=None)
        except Exception as error:  # see _chroma
            if not _can_be_written(self._folder):
                return None
            raise error if isinstance(error, IndexBrokenError) else broken(self._folder, f"Chroma cannot open it: {error}") from error

    @property
    def works(self) -> bool:
        """False where the disk is full or read-only, where Chroma cannot even read.

        Raises:
            IndexBrokenError: it cannot for another reason.
        """
        return self._collection is not None

    def query(self, vectors: Vectors, count: int) -> list[list[tuple[str, float]]]:
        """The ids of the chunks nearest to each vector with their cosine, best first. Only where it ``works``.

        Raises:
            IndexBrokenError: Chroma cannot search.
        """
        try:
            found = self._collection.query(query_embeddings=vectors, n_results=count, include=["distances"])
            return [
                [(identity, 1.0 - distance) for identity, distance in zip(*hits, strict=True)] for hits in zip(found["ids"], found["distances"], strict=True)
            ]
        except Exception as error:  # see _chroma
            raise broken(self._folder, f"Chroma cannot search it: {error}") from error

    def close(self) -> None:
        """Lets go of the files."""
        if "_chroma" in self.__dict__:
            self._chroma.close()


def broken(folder: Path, why: str) -> IndexBrokenError:
    """The error that tells of a broken generation."""
    return IndexBrokenError(f"The index {folder.name!r} is broken: {why}.", "Build it anew with: ragbot index --rebuild")


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
