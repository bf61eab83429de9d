"""One generation of the index on the disk, and its opened form.

::

    gen-000007/manifest.json     what it was built from, and the sha256 of every file: see ragbot.manifest
    gen-000007/articles/         the articles as they were then, with their vectors: see ragbot.embedded
    gen-000007/chroma/           the chunks' vectors, to be searched: see ragbot.store
    gen-000007/guard.npz         arrays that a build asked to keep; none by default, since the guardrails' model is shipped
"""

from __future__ import annotations

import gc
import io
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ragbot.digests import Files, broken, digest_of
from ragbot.embedded import FOLDER, ArticleFiles, EmbeddedArticle, names_of, take_over, write_article
from ragbot.errors import IndexBrokenError, IndexMismatchError
from ragbot.manifest import Description, Manifest, read_description, write_manifest
from ragbot.models import TokenVectors, Vectors
from ragbot.records import Chunk, Document
from ragbot.store import VectorStore, as_langchain, can_be_written, write_vectors

GUARD = "guard.npz"
VERIFIED_CHUNKS = 200
# Vectors that were taken out leave gaps in the graph that the search walks; above this share of it, it is built anew.
MOST_GAPS = 0.2
# Articles whose word pieces are kept at hand.
TOKENS_AT_HAND = 32


@dataclass(frozen=True, slots=True)
class Content:
    """What a generation is to hold: articles that are new or changed, the generation that all other articles of the manifest are
    taken over from, the classifier's arrays, and whether the vectors are written whole, whatever changed."""

    fresh: tuple[EmbeddedArticle, ...]
    previous: Generation | None = None
    guard: Mapping[str, Any] = field(default_factory=dict)
    whole: bool = False


def write_generation(folder: Path, manifest: Manifest, content: Content) -> None:
    """Fills an empty folder with a generation. What did not change is taken over from the one before, which is only read."""
    previous = content.previous
    (folder / FOLDER).mkdir()
    digests: dict[str, str] = {}
    for article in content.fresh:
        digests |= write_article(folder, article)
    same = frozenset(manifest.documents.keys() - {article.document.source.id for article in content.fresh})
    if previous is not None:
        digests |= take_over(previous.files, folder, sorted(same))
    if content.guard:
        digests[GUARD] = _write_guard(folder / GUARD, content.guard, previous)
    written, gaps = _write_vectors(folder, content, same)
    write_manifest(folder, Description(manifest, gaps, digests | written))


def _write_guard(path: Path, guard: Mapping[str, Any], previous: Generation | None) -> str:
    if previous is not None and GUARD in previous.files and _same_arrays(guard, previous.guard):
        data = previous.files.read(GUARD).tobytes()
    else:
        np.savez(written := io.BytesIO(), **guard)
        data = written.getvalue()
    path.write_bytes(data)
    return digest_of(data)


def _same_arrays(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return one.keys() == other.keys() and all(one[name] is other[name] for name in one)


def _write_vectors(folder: Path, content: Content, same: frozenset[str]) -> tuple[dict[str, str], int]:
    """Writes the vectors, onto a copy of those of the generation before where that is sound and not too much has changed; the digests of
    their files, and the gaps in their graph."""
    previous = content.previous
    if previous is not None and not previous.damage and not content.whole:
        gone = [chunk.id for chunk in previous.chunks if chunk.source_id not in same]
        gaps = previous.gaps + len(gone)
        if gaps <= MOST_GAPS * len(previous.chunks):
            return write_vectors(folder, *_rows(content.fresh), copied_from=previous.files, without=gone), gaps
    kept = [previous.articles[identity] for identity in sorted(same)] if previous is not None else []
    return write_vectors(folder, *_rows([*content.fresh, *kept])), 0


def _rows(articles: Sequence[EmbeddedArticle | ArticleFiles]) -> tuple[list[str], Vectors]:
    """The ids of the chunks of articles and their vectors, a row each."""
    vectors = [article.chunk_vectors for article in articles if article.chunks]
    return [chunk.id for article in articles for chunk in article.chunks], np.concatenate(vectors) if vectors else np.zeros((0, 0), dtype=np.float32)


class Generation:
    """An opened generation: its articles in memory, its vectors, and the search in Chroma. Only ever read.

    Args:
        salvage: opens what is sound where something is not; ``damage`` names the files that are not, and the articles in them are left
            out, and the classifier where its file is damaged. Of the format before, which knew no digests, only the classifier is read.
        trust_shared: see ``Files.find_damage``.

    Raises:
        IndexBrokenError: a file is missing or not what was written; with ``salvage`` only where that is the manifest.
        IndexMismatchError: another version of ragbot wrote it.
    """

    def __init__(self, folder: Path, *, salvage: bool = False, trust_shared: bool = False) -> None:
        self.folder = folder
        self.name = folder.name
        described = read_description(folder, older=salvage)
        self.manifest, self.gaps, self.files = described.manifest, described.gaps, Files(folder, described.files)
        self._vectors = VectorStore(self.files)
        parsed = {name for identity in self.manifest.documents for name in names_of(identity)[:2]}
        # What is read below is compared then.
        damage = {*self.files.find_damage(self.files.digests.keys() - parsed - {GUARD}, trust_shared=trust_shared)}
        if damage and not salvage:
            raise broken(folder, f"{min(damage)!r} is not what was written")
        self.articles: dict[str, ArticleFiles] = {}
        with _uncollected():
            for identity in sorted(self.manifest.documents):
                try:
                    article = ArticleFiles(self.files, identity)
                except (IndexBrokenError, ValueError) as error:
                    if not salvage:
                        raise error if isinstance(error, IndexBrokenError) else broken(folder, str(error)) from error
                    damage |= {*self.files.find_damage(names_of(identity))}
                else:
                    if names_of(identity)[2] not in damage:
                        self.articles[identity] = article
        try:
            self.guard: dict[str, Any] = self._read_guard()
        except IndexBrokenError:
            if not salvage:
                raise
            self.guard, damage = {}, damage | {GUARD}
        self.damage = tuple(sorted(damage))
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

    def _read_guard(self) -> dict[str, Any]:
        try:
            if GUARD in self.files:
                return dict(np.load(io.BytesIO(self.files.read(GUARD).tobytes())))
            # The format before; a zip archive has checksums of its own.
            return dict(np.load(self.folder / GUARD)) if not self.files.digests and (self.folder / GUARD).exists() else {}
        except (OSError, ValueError, EOFError, KeyError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
            raise broken(self.folder, f"{GUARD!r} cannot be read") from error

    def _share_rows(self) -> None:
        """Lets the articles look at the rows of the whole library, so that no vector is held twice."""
        chunk = sentence = 0
        for article in self.articles.values():
            chunks, sentences = len(article.chunk_vectors), len(article.sentence_vectors)
            article.chunk_vectors = self.chunk_vectors[chunk : chunk + chunks]
            article.sentence_vectors = self.sentence_vectors[sentence : sentence + sentences]
            chunk, sentence = chunk + chunks, sentence + sentences

    @cached_property
    def vector_store(self) -> Any:
        """The chunks as a LangChain ``Chroma`` vector store in memory, filled when it is first asked for, without an embedding function."""
        return as_langchain(self.chunks, self.chunk_vectors)

    @property
    def in_memory(self) -> bool:
        """Whether every vector is compared, in memory, because there is no room for the copy that Chroma works on."""
        return not self._vectors.works

    def search(self, vector: Vectors, count: int) -> list[tuple[Chunk, float]]:
        """The ``count`` chunks nearest to a unit vector with their cosine, best first."""
        if not self.chunks:
            return []
        return self._search_all(vector[None], count)[0]

    def _search_all(self, vectors: Vectors, count: int) -> list[list[tuple[Chunk, float]]]:
        """The nearest chunks of each vector, asked for at once."""
        if self.in_memory:
            cosines = vectors @ self.chunk_vectors.T
            return [[(self.chunks[row], float(one[row])) for row in np.argsort(-one, kind="stable")[:count]] for one in cosines]
        try:
            found = self._vectors.query(vectors, min(count, len(self.chunks)))
            return [[(self.chunks[self.rows[identity]], cosine) for identity, cosine in hits] for hits in found]
        except KeyError as error:
            raise broken(self.folder, f"Chroma finds {error}, which no article holds") from error

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
                raise broken(self.folder, f"{self.chunks[row].id!r} is not found by its own vector")

    def close(self) -> None:
        """Lets go of the files."""
        self._vectors.close()


@contextmanager
def _uncollected() -> Iterator[None]:
    """Holds the garbage collector still while a hundred thousand small objects are made, at which it would look again and again: of
    1,000 articles that is a third of the time."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


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
                told.append("The folder for temporary files is full or read-only; the bot answers, but more slowly.")
            if not can_be_written(folder.parent):
                told.append(f"The disk that holds the index {generation.name!r} is full or read-only; the bot answers, but nothing can be published.")
            return generation, told
    raise problems[0]
