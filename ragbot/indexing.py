"""What changed, by digest; build beside, then switch.

Idempotent: the same articles, model and policy give no new generation. Incremental: a chunk or sentence whose words did not
change keeps its vector. Atomic: see ragbot.generations.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ragbot import generations
from ragbot.errors import IndexBrokenError, IndexMismatchError, IndexMissingError, StoreError
from ragbot.models import Embedder, TokenVectors, Vectors
from ragbot.records import Chunk, Document
from ragbot.store import Content, Generation, Manifest, write_generation

Progress = Callable[[str, int, int], Any]
GuardTrainer = Callable[[Mapping[str, Any]], Mapping[str, Any]]
VERIFY_TIMEOUT_SECONDS = 300


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What a run of indexing did: the generation in force and how much of it is new."""

    generation: str
    switched: bool
    documents: int
    chunks: int
    embedded: int
    reused: int


def update_index(
    index: Path,
    documents: Sequence[Document],
    chunks: Sequence[Chunk],
    manifest: Manifest,
    embedder: Embedder,
    *,
    train_guard: GuardTrainer,
    rebuild: bool = False,
    progress: Progress = lambda step, done, total: None,
) -> IndexReport:
    """Brings the index up to date and switches to it, if anything changed.

    Args:
        train_guard: gives the arrays of the guardrail classifier; it is handed those that the same embedding model made before.
        rebuild: embed everything anew, whatever is there.
        progress: called with the step's name, how much is done, and how much there is to do.

    Raises:
        IndexBusyError: another process is writing.
        StoreError: the folder cannot be written.
        IndexBrokenError: what was built does not find what it holds; the old index keeps serving.
    """
    with generations.writing(index):
        previous = None if rebuild else _previous(index)
        if previous is not None and previous.manifest == manifest:
            return IndexReport(previous.name, False, len(documents), len(chunks), 0, len(chunks))
        folder = generations.begin_generation(index)
        known, known_tokens = _known_vectors(previous, manifest)
        texts = [chunk.embedded for chunk in chunks]
        sentences = [sentence.text for chunk in chunks for sentence in chunk.sentences]
        labels = [chunk.label for chunk in chunks]
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
        progress("training the guardrails", 0, 1)
        guard = train_guard(previous.guard if previous is not None and previous.manifest.embedder == manifest.embedder else {})
        progress("training the guardrails", 1, 1)
        progress("writing", 0, 2)
        pieces = [known_tokens[text] for text in (*sentences, *labels)]
        content = Content(tuple(documents), tuple(chunks), _stack(known, texts), _stack(known, sentences), pieces, guard)
        try:
            write_generation(folder, manifest, content)
            progress("writing", 1, 2)
            _verify_elsewhere(folder)
            built = generations.switch_to(index, folder)
        except OSError as error:
            raise StoreError(
                f"The index in {str(index)!r} cannot be written: {error.strerror or error}.",
                "The old index keeps serving. Make room on the disk and try again.",
            ) from error
        progress("writing", 2, 2)
        new = set(fresh)
        embedded = sum(text in new for text in texts)
        return IndexReport(built.name, True, len(documents), len(chunks), embedded, len(chunks) - embedded)


def _previous(index: Path) -> Generation | None:
    try:
        generation = Generation(generations.current_generation(index))
        generation.verify()
    except (IndexMissingError, IndexMismatchError, IndexBrokenError):
        return None
    return generation


def _known_vectors(previous: Generation | None, manifest: Manifest) -> tuple[dict[str, Vectors], dict[str, TokenVectors]]:
    """The vectors of the previous generation, and those of its word pieces, by the words they stand for.

    None where another model made them.
    """
    if previous is None or previous.manifest.embedder != manifest.embedder:
        return {}, {}
    known: dict[str, Vectors] = {}
    tokens: dict[str, TokenVectors] = {}
    for row, chunk in enumerate(previous.chunks):
        known[chunk.embedded] = previous.chunk_vectors[row]
        pieces, label = previous.tokens_of(chunk)
        # A label is looked up by its pieces alone, so a sentence of the same words still has its own vector.
        tokens.setdefault(chunk.label, label)
        for sentence, vector, one in zip(chunk.sentences, previous.vectors_of(chunk), pieces, strict=True):
            known[sentence.text], tokens[sentence.text] = vector, one
    return known, tokens


def _stack(known: Mapping[str, Vectors], texts: Sequence[str]) -> Vectors:
    if not texts:
        return np.zeros((0, 0), dtype=np.float32)
    return np.stack([known[text] for text in texts])


def _verify_elsewhere(folder: Path) -> None:
    """Verifies a written generation by query in a process that did not write it: what only sits in this memory does not count."""
    command = [sys.executable, "-c", f"from pathlib import Path; from ragbot.store import Generation; Generation(Path({str(folder)!r})).verify()"]
    outcome = subprocess.run(command, capture_output=True, text=True, timeout=VERIFY_TIMEOUT_SECONDS, check=False)
    if outcome.returncode:
        lines = outcome.stderr.strip().splitlines()
        raise IndexBrokenError(
            f"What was just built does not find what it holds: {lines[-1] if lines else 'no reason given'}.",
            "The old index keeps serving. Try again; if it stays so, check the disk.",
        )
