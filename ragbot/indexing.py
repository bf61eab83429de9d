"""What changed, by digest; build beside, then switch.

Idempotent: the same articles, model and policy give no new generation. Incremental: an article that did not change is taken over
as it is, and in one that did, a chunk or sentence of the same words keeps its vector. Atomic: see ragbot.generations.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from ragbot import generations
from ragbot.embedded import EmbeddedArticle
from ragbot.errors import IndexBrokenError, IndexMismatchError, IndexMissingError, StoreError
from ragbot.generation import Content, Generation, write_generation
from ragbot.manifest import FORMAT, Manifest
from ragbot.models import Embedder, TokenVectors, Vectors
from ragbot.records import Chunk, Document

Progress = Callable[[str, int, int], Any]
GuardTrainer = Callable[[Mapping[str, Any]], Mapping[str, Any]]
Splitter = Callable[[Document], tuple[Chunk, ...]]
VERIFY_TIMEOUT_SECONDS = 300


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What a run of indexing did: the generation in force, how much of it is new, and which damaged files it mended."""

    generation: str
    switched: bool
    documents: int
    chunks: int
    embedded: int
    reused: int
    mended: tuple[str, ...] = ()


def readable_generation(index: Path) -> Generation | None:
    """What a build may take over from: the current generation, or the newest whose manifest is sound; what is damaged in it is left out.
    It is not asked for what it holds yet."""
    try:
        folders, _ = generations.list_candidates(index)
    except IndexMissingError:
        return None
    for folder in folders:
        try:
            return Generation(folder, salvage=True)
        except (IndexMismatchError, IndexBrokenError):
            continue
    return None


def update_index(
    index: Path,
    previous: Generation | None,
    documents: Sequence[Document],
    split: Splitter,
    manifest: Manifest,
    embedder: Embedder,
    verifier: Verifier,
    *,
    train_guard: GuardTrainer = lambda known: {},
    progress: Progress = lambda step, done, total: None,
    whole: bool = False,
) -> IndexReport:
    """Brings the index up to date and switches to it, if anything changed. Only while ``generations.writing`` holds the index.

    Args:
        previous: what may be taken over, see ``readable_generation``; None embeds everything anew.
        split: a document's chunks; asked for documents that are new or changed.
        verifier: asks the finished generation for what it should hold; started beforehand, because that takes a second.
        train_guard: gives arrays to keep with the index; it is handed those that the same embedding model made before. Nothing is
            kept by default: the guardrails' model is shipped, not trained here.
        progress: called with the step's name, how much is done, and how much there is to do.
        whole: writes the vectors anew where something was taken out of them, because a graph that it is taken out of keeps its place.

    Raises:
        StoreError: the folder cannot be written.
        IndexBrokenError: what was built does not find what it holds; the old index keeps serving.
    """
    unchanged = previous is not None and previous.manifest == manifest and not previous.damage
    gaps = whole and previous is not None and previous.gaps > 0
    if previous is not None and unchanged and not gaps and _is_sound(previous):
        named = _is_current(index, previous)
        if not named:
            generations.name_current(index, previous.folder)
        return IndexReport(previous.name, not named, len(documents), len(previous.chunks), 0, len(previous.chunks), () if named else ("CURRENT",))
    build = _Build(index, documents, split, manifest, embedder, train_guard, progress, whole)
    # What is taken over from a broken generation is found out when it is verified with the rest; asking it beforehand would take longer.
    if previous is None or (unchanged and not gaps):
        return build.run(None, verifier)
    try:
        return build.run(previous, verifier)
    except StoreError:
        if _is_sound(previous):
            raise
    with Verifier() as another:
        return build.run(None, another)


def _is_current(index: Path, generation: Generation) -> bool:
    try:
        return generations.current_generation(index) == generation.folder
    except IndexMissingError:
        return False


def _is_sound(generation: Generation) -> bool:
    try:
        generation.verify()
    except IndexBrokenError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class _Build:
    """What goes into a generation, whatever is taken over from the one before."""

    index: Path
    documents: Sequence[Document]
    split: Splitter
    manifest: Manifest
    embedder: Embedder
    train_guard: GuardTrainer
    progress: Progress
    whole: bool

    def run(self, previous: Generation | None, verifier: Verifier) -> IndexReport:
        """Builds beside, verifies, and switches. Errors as for ``update_index``."""
        index, manifest, progress = self.index, self.manifest, self.progress
        try:
            folder = generations.begin_generation(index)
            same = _unchanged(previous, manifest)
            changed = [(document, self.split(document)) for document in self.documents if document.source.id not in same]
            fresh, embedded = _embed(changed, previous if _same_model(previous, manifest) else None, self.embedder, progress)
            guard = _guard(previous, manifest, self.train_guard)
            progress("writing", 0, 2)
            # Where nothing can be taken over, the vectors are written whole as well.
            write_generation(folder, manifest, Content(fresh, previous if same else None, guard, self.whole))
            progress("writing", 1, 2)
            verifier.verify(folder, [article.document.source.id for article in fresh])
            # Those before it in the row were passed over because they cannot be read.
            broken = [one for one in generations.list_generations(index) if _is_broken(one, previous)]
            built = generations.switch_to(index, folder, broken=broken)
        except OSError as error:
            raise StoreError(
                f"The index in {str(index)!r} cannot be written: {error.strerror or error}.",
                "The old index keeps serving. Make room on the disk and try again.",
            ) from error
        progress("writing", 2, 2)
        taken_over = sum(len(previous.articles[identity].chunks) for identity in same) if previous is not None else 0
        chunks = taken_over + sum(len(article.chunks) for article in fresh)
        return IndexReport(built.name, True, len(self.documents), chunks, embedded, chunks - embedded, _damage(previous))


def _is_broken(folder: Path, previous: Generation | None) -> bool:
    """Whether what was taken over from had to be looked for behind a generation, or is damaged itself."""
    return previous is not None and (folder.name > previous.name or (folder == previous.folder and bool(_damage(previous))))


def _damage(previous: Generation | None) -> tuple[str, ...]:
    # Of the format before nothing is known to be damaged; it is only not known to be sound.
    return previous.damage if previous is not None and previous.manifest.format == FORMAT else ()


def _same_model(previous: Generation | None, manifest: Manifest) -> bool:
    return previous is not None and previous.manifest.embedder == manifest.embedder


def _guard(previous: Generation | None, manifest: Manifest, train_guard: GuardTrainer) -> Mapping[str, Any]:
    """The classifier's arrays: those of the generation before where the same model and policy made them."""
    if previous is None or not _same_model(previous, manifest):
        return train_guard({})
    return previous.guard if previous.guard and previous.manifest.policy == manifest.policy else train_guard(previous.guard)


def _unchanged(previous: Generation | None, manifest: Manifest) -> frozenset[str]:
    """The ids of the articles that the generation before holds just as they are now."""
    if previous is None or not _same_model(previous, manifest) or previous.manifest.chunker != manifest.chunker:
        return frozenset()
    held = previous.manifest.documents
    return frozenset(identity for identity, digest in manifest.documents.items() if identity in previous.articles and held.get(identity) == digest)


def _embed(
    changed: Sequence[tuple[Document, tuple[Chunk, ...]]], previous: Generation | None, embedder: Embedder, progress: Progress
) -> tuple[tuple[EmbeddedArticle, ...], int]:
    """The changed articles with their vectors, and how many of their chunks were embedded anew: only words that the generation
    before does not hold are."""
    chunks = [chunk for _, own in changed for chunk in own]
    texts = [chunk.embedded for chunk in chunks]
    sentences = [sentence.text for chunk in chunks for sentence in chunk.sentences]
    labels = [chunk.label for chunk in chunks]
    known, known_tokens = _known_vectors(previous, {*texts, *sentences, *labels})
    fresh = [text for text in dict.fromkeys(texts) if text not in known]
    needed = [*(text for text in sentences if text not in known), *(text for text in labels if text not in known_tokens)]
    fresh_pieces = list(dict.fromkeys(needed))
    total, done = len(fresh) + len(fresh_pieces), 0

    def report(count: int) -> None:
        nonlocal done
        done += count
        progress("embedding", done, total)

    progress("embedding", 0, total)
    known |= dict(zip(fresh, embedder.encode(fresh, progress=report), strict=True))
    vectors, tokens = embedder.encode_with_tokens(fresh_pieces, progress=report)
    known |= dict(zip(fresh_pieces, vectors, strict=True))
    known_tokens |= {text: made.vectors for text, made in zip(fresh_pieces, tokens, strict=True)}
    new = set(fresh)
    articles = []
    for document, own in changed:
        words = [sentence.text for chunk in own for sentence in chunk.sentences]
        pieces = [known_tokens[text] for text in (*words, *(chunk.label for chunk in own))]
        articles.append(EmbeddedArticle(document, own, _stack(known, [chunk.embedded for chunk in own]), _stack(known, words), pieces))
    return tuple(articles), sum(text in new for text in texts)


def _known_vectors(previous: Generation | None, wanted: set[str]) -> tuple[dict[str, Vectors], dict[str, TokenVectors]]:
    """The vectors of those words that the generation before holds, and of their word pieces."""
    if previous is None:
        return {}, {}
    known: dict[str, Vectors] = {}
    tokens: dict[str, TokenVectors] = {}
    for row, chunk in enumerate(previous.chunks):
        if chunk.embedded in wanted:
            known[chunk.embedded] = previous.chunk_vectors[row]
        held = [place for place, sentence in enumerate(chunk.sentences) if sentence.text in wanted]
        if not held and chunk.label not in wanted:
            continue
        pieces, label = previous.tokens_of(chunk)
        # A label is looked up by its pieces alone, so a sentence of the same words still has its own vector.
        tokens.setdefault(chunk.label, label)
        vectors = previous.vectors_of(chunk)
        for place in held:
            known[chunk.sentences[place].text], tokens[chunk.sentences[place].text] = vectors[place], pieces[place]
    return known, tokens


def _stack(known: Mapping[str, Vectors], texts: Sequence[str]) -> Vectors:
    if not texts:
        return np.zeros((0, 0), dtype=np.float32)
    return np.stack([known[text] for text in texts])


_VERIFYING = """
import json, sys
from pathlib import Path
from ragbot.generation import Generation
from ragbot.store import load_chroma
load_chroma()
order = json.loads(sys.stdin.readline() or "null")
if order is not None:
    Generation(Path(order["folder"]), trust_shared=True).verify(articles=order["articles"])
"""


class Verifier:
    """Verifies a written generation by query in a process that did not write it: what only sits in this memory does not count.

    The process starts at once, because its imports take a second, which is the time of reading what there is.
    """

    def __enter__(self) -> Self:
        self._process = subprocess.Popen([sys.executable, "-c", _VERIFYING], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def verify(self, folder: Path, articles: Sequence[str]) -> None:
        """Asks for a sample of all chunks and for all of some articles.

        Raises:
            IndexBrokenError: one of them is not found.
        """
        try:
            _, said = self._process.communicate(json.dumps({"folder": str(folder), "articles": list(articles)}), timeout=VERIFY_TIMEOUT_SECONDS)
        except (subprocess.TimeoutExpired, BrokenPipeError):
            said = "it could not be asked"
        if self._process.returncode != 0:
            lines = said.strip().splitlines()
            raise IndexBrokenError(
                f"What was just built does not find what it holds: {lines[-1] if lines else 'no reason given'}.",
                "The old index keeps serving. Try again; if it stays so, check the disk.",
            )
