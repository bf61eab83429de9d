"""The chunks' vectors of one generation in Chroma (HNSW, cosine). The only file that knows chromadb.

Chroma holds ids and vectors and no words: what an article says stands in its own files alone, and is gone with them. It writes into its
database whenever it is opened, so that a generation's own is never opened: each process asks a copy of its own, in the folder for
temporary files.
"""

from __future__ import annotations

import sqlite3
import uuid
import weakref
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from ragbot.borrowing import borrow_folder
from ragbot.digests import Files, broken
from ragbot.errors import IndexBrokenError
from ragbot.models import Vectors, digest_of_file
from ragbot.records import Chunk

COLLECTION = "chunks"
FOLDER = "chroma"
BATCH = 2000
# Chroma puts vectors into files when that many have changed, and keeps what has not been put there in its queue.
LEAST_SYNCED = 2


def load_chroma() -> None:
    """Imports Chroma, which takes most of a second, before it is needed."""
    import chromadb  # noqa: F401


def _client(folder: Path) -> Any:
    import chromadb
    from chromadb.config import Settings

    return chromadb.PersistentClient(str(folder), settings=Settings(anonymized_telemetry=False))


def write_vectors(folder: Path, ids: Sequence[str], vectors: Vectors, *, copied_from: Files | None = None, without: Sequence[str] = ()) -> dict[str, str]:
    """Writes the vectors of chunks, a row each, into a generation's folder; the sha256 of each file by its path there.

    Args:
        copied_from: another generation's files, whose vectors are there already then, but for those of the ids ``without``.

    Raises:
        OSError: they cannot be written.
        IndexBrokenError: what is copied is not what was written.
    """
    place = folder / FOLDER
    changes = len(ids) if copied_from is None else len(without) + max(1, len(ids))
    if copied_from is not None:
        copied_from.copy(_names(copied_from), folder)
    try:
        with closing(_client(place)) as client:
            synced = max(LEAST_SYNCED, changes)
            if copied_from is None:
                client.create_collection(COLLECTION, configuration={"hnsw": {"space": "cosine", "sync_threshold": synced}}, embedding_function=None)
            else:
                client.get_collection(COLLECTION, embedding_function=None).modify(configuration={"hnsw": {"sync_threshold": synced}})
        # What was just set holds from the next opening on.
        with closing(_client(place)) as client:
            _change(client.get_collection(COLLECTION, embedding_function=None), ids, vectors, without)
        with closing(sqlite3.connect(place / "chroma.sqlite3")) as database:
            # Pages that nothing stands in any more still hold what stood there.
            database.execute("VACUUM")
    except Exception as error:  # chromadb raises what its Rust core raises, of any kind
        raise OSError(None, f"Chroma cannot write its vectors: {error}") from error
    return {path.relative_to(folder).as_posix(): digest_of_file(path) for path in sorted(place.rglob("*")) if path.is_file()}


def _change(collection: Any, ids: Sequence[str], vectors: Vectors, without: Sequence[str]) -> None:
    for start in range(0, len(without), BATCH):
        collection.delete(ids=list(without[start : start + BATCH]))
    for start in range(0, len(ids), BATCH):
        collection.add(ids=list(ids[start : start + BATCH]), embeddings=vectors[start : start + BATCH])
    if without and not ids:
        # The last change stays in Chroma's queue, and must not be one that names what was taken out.
        kept = collection.get(limit=1, include=["embeddings"])
        collection.update(ids=kept["ids"], embeddings=kept["embeddings"])


def _names(files: Files) -> list[str]:
    return [name for name in files.digests if name.startswith(f"{FOLDER}/")]


class VectorStore:
    """The vectors of a generation's folder; Chroma opens them when they are first asked for."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._letting_go: list[Callable[[], object]] = []

    @cached_property
    def _chroma(self) -> Any:
        """Chroma over a copy; None where there is no room for one.

        Chroma's own library ends the process on vectors that are garbage, so they are compared before it sees them.
        """
        if not _names(self._files):
            raise broken(self._files.folder, "it holds no vectors")
        try:
            folder, give_back = borrow_folder()
        except OSError:
            return None
        # The last resort is the end of the process, when Chroma is gone already.
        self._letting_go.append(weakref.finalize(self, give_back))
        try:
            self._files.copy(_names(self._files), folder)
        except OSError:
            return None
        try:
            client = _client(folder / FOLDER)
        except Exception as error:  # chromadb raises what its Rust core raises, of any kind
            raise broken(self._files.folder, f"Chroma cannot open it: {error}") from error
        # Chroma keeps a client for ever that nobody closes; a server that goes over to a new generation must not.
        closing_client = weakref.finalize(self, client.close)
        closing_client.atexit = False
        self._letting_go.append(closing_client)
        return client

    @cached_property
    def _collection(self) -> Any:
        try:
            return self._chroma.get_collection(COLLECTION, embedding_function=None) if self._chroma is not None else None
        except Exception as error:  # see _chroma
            raise error if isinstance(error, IndexBrokenError) else broken(self._files.folder, f"Chroma cannot open it: {error}") from error

    @property
    def works(self) -> bool:
        """False where the folder for temporary files is full or read-only, so that Chroma cannot even read.

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
            raise broken(self._files.folder, f"Chroma cannot search it: {error}") from error

    def close(self) -> None:
        """Lets go of the files."""
        for let_go in reversed(self._letting_go):
            let_go()


def as_langchain(chunks: Sequence[Chunk], vectors: Vectors) -> Any:
    """Chunks with their words as a LangChain ``Chroma`` vector store in memory, without an embedding function."""
    import chromadb
    from langchain_chroma import Chroma

    client = chromadb.EphemeralClient()
    # All stores in the memory of a process share their collections.
    name = f"{COLLECTION}-{uuid.uuid4().hex}"
    collection = client.create_collection(name, configuration={"hnsw": {"space": "cosine"}}, embedding_function=None)
    for start in range(0, len(chunks), BATCH):
        batch = chunks[start : start + BATCH]
        collection.add(
            ids=[chunk.id for chunk in batch],
            embeddings=vectors[start : start + BATCH],
            documents=[chunk.plain for chunk in batch],
            metadatas=[{"source": chunk.source_id, "heading": chunk.heading} for chunk in batch],
        )
    store = Chroma(collection_name=name, client=client, embedding_function=None, create_collection_if_not_exists=False)
    weakref.finalize(store, _forget_collection, client, name).atexit = False
    return store


def _forget_collection(client: Any, name: str) -> None:
    with suppress(Exception):
        client.delete_collection(name)


def can_be_written(folder: Path) -> bool:
    """Whether a folder takes files."""
    probe = folder / f".probe-{uuid.uuid4().hex}"
    try:
        probe.write_bytes(bytes(64 * 1024))
    except OSError:
        return False
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)
    return True
