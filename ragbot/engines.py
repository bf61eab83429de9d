"""What answers from one generation of the index, and how a running bot goes over to the next one without a question failing."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from ragbot import generations
from ragbot.answering.extractive import ExtractiveAnswerer
from ragbot.digests import digest_of
from ragbot.errors import IndexBrokenError, IndexMismatchError, RagbotError
from ragbot.generation import Generation, open_index
from ragbot.guardrails import Guard, Policy
from ragbot.guardrails.model import shipped_model
from ragbot.manifest import read_manifest
from ragbot.models import Embedder
from ragbot.reading import list_source_files, retired_ids
from ragbot.rephrasing import Rephraser
from ragbot.retrieving import Reranker, Retriever
from ragbot.settings import Settings
from ragbot.verifying import Verifier

# A question waits this long for a generation that is just being opened: a small library is gone over to at once, while a large one
# goes on answering from the generation before.
OPENING_SECONDS = 1.0


class Engine:
    """Everything that belongs to one generation of the index, so that an answer is never drawn from two.

    Raises:
        IndexMismatchError: another embedding model made the index.
        ModelError: the guardrails' model is missing or altered; answering without it would be failing open.
    """

    def __init__(self, generation: Generation, embedder: Embedder, policy: Policy, reranker: Reranker | None, before: Engine | None = None) -> None:
        if generation.manifest.embedder != embedder.digest:
            raise IndexMismatchError(
                f"The index {generation.name!r} was built with another embedding model "
                f"(sha256 {generation.manifest.embedder[:12]}… instead of {embedder.digest[:12]}…).",
                "Build it anew with: ragbot index",
            )
        self.generation = generation
        self.retriever = Retriever(generation, embedder, reranker)
        self.extractive = ExtractiveAnswerer(generation, embedder)
        self.verifier = Verifier(generation.documents, embedder)
        self.rephraser = Rephraser(generation.chunks, policy.words, embedder.is_everyday)
        self.guard: Guard = (
            before.guard
            if before is not None and before.generation.manifest.policy == generation.manifest.policy
            else Guard(policy, shipped_model())
        )
        # What an article suggests to ask: a question, or a sentence such as "Ask the clinic who gives the drug."
        self.questions_to_bring = [
            (sentence.text, vector, chunk.source_id)
            for chunk in generation.chunks
            for sentence, vector in zip(chunk.sentences, generation.vectors_of(chunk), strict=True)
            if sentence.text.endswith("?") or sentence.text.startswith("Ask ")
        ]


class Engines:
    """The engine in use. Whoever switches the index, in this process or another, is followed; ``alarms`` tell what went wrong."""

    def __init__(self, settings: Settings, embedder: Embedder, policy: Policy, reranker: Reranker | None) -> None:
        self._settings, self._embedder, self._policy, self._reranker = settings, embedder, policy, reranker
        # Articles that a person has just taken back, and those that the generation to come no longer holds as they are.
        # A server may have been stopped after an article was retired and before the index had followed.
        self._withdrawn: frozenset[str] = retired_ids(settings.sources)
        self._outdated: frozenset[str] = frozenset()
        self._lock, self._replacing = threading.Lock(), threading.Lock()
        self._opening: _Opening | None = None
        self._unnamed = ""
        folders, problem = generations.list_candidates(settings.index)
        self._engine, self.alarms = self._open(folders)
        if problem is not None:
            self._lose_current(problem)
        self._keep_out(folders[0])

    def current(self) -> Engine:
        """The engine of the generation that CURRENT names; the one in use while that is opened, and where it cannot be."""
        try:
            folder = generations.current_generation(self._settings.index)
        except RagbotError as error:
            self._lose_current(str(error))
            return self._engine
        if self._unnamed:
            self._lose_current("")
        if folder.name != self._engine.generation.name:
            self._go_over_to(folder)
        elif self._outdated:
            self._stay()
        return self._engine

    def replace(self, engine: Engine, problem: IndexBrokenError) -> Engine:
        """Another engine, in place of one whose generation was found damaged, or was swept away, while it answered.

        Raises:
            IndexBrokenError: no other generation is sound; ``problem`` itself.
        """
        with self._replacing:
            if self._engine is not engine:
                return self._engine
            folder = engine.generation.folder
            if folder.is_dir():
                self._alarm(str(problem))
            try:
                folders, _ = generations.list_candidates(self._settings.index)
                others = [one for one in folders if one != folder]
                if not others:
                    raise problem
                opened, problems = self._open(others, engine)
            except RagbotError:
                raise problem from None
            with self._lock:
                self._engine = opened
                self.alarms = [*dict.fromkeys([*(self.alarms if folder.is_dir() else ()), *problems])]
            self._keep_out(folders[0])
            return opened

    def withdraw(self, article: str) -> None:
        """Draws no answer from an article any more until the index is brought up to date."""
        with self._lock:
            self._withdrawn |= {article}

    def readmit(self, article: str) -> None:
        """Draws answers again from an article that was withdrawn."""
        with self._lock:
            self._withdrawn -= {article}

    def is_withdrawn(self, article: str) -> bool:
        """Whether no answer may be drawn from an article, although the engine in use may still hold it, or the one before, with which
        a question began."""
        return article in self._withdrawn or article in self._outdated or article not in self._engine.generation.documents

    def _go_over_to(self, folder: Path) -> None:
        """Opens a generation in a thread of its own, once, and waits for it for a moment."""
        with self._lock:
            opening = self._opening
            if opening is None or opening.folder != folder:
                opening = self._opening = _Opening(folder)
                self._outdated = _outdated(self._engine.generation.manifest.documents, folder, self._settings.sources)
                opening.thread = threading.Thread(target=self._work, args=(opening,), name="open-generation", daemon=True)
                opening.thread.start()
        if opening.thread is not None:
            opening.thread.join(max(0.0, opening.started + OPENING_SECONDS - time.monotonic()))

    def _stay(self) -> None:
        """Forgets a generation that was to come, where CURRENT names the one in use again."""
        # CURRENT is read anew: a question that read it before a switch must not undo what one after it has found.
        with self._lock, suppress(RagbotError):
            if generations.current_generation(self._settings.index).name == self._engine.generation.name:
                self._opening, self._outdated = None, frozenset()

    def _work(self, opening: _Opening) -> None:
        try:
            engine, problems = self._open([opening.folder], self._engine)
        except BaseException as error:  # noqa: BLE001 — an edge of its own: nobody else would hear of it, and Chroma's core may panic
            # It is not tried again before the index is switched anew; the engine in use goes on, without what is outdated. One that
            # is gone already was swept away behind two newer ones.
            if opening.folder.is_dir():
                self._alarm(str(error) if isinstance(error, RagbotError) else f"The index {opening.folder.name!r} cannot be opened: {error}")
            return
        with self._lock:
            if self._opening is opening:
                # A build that began before an article was taken back may still hold it.
                self._withdrawn &= engine.generation.documents.keys()
                self._engine = engine
                self._outdated = frozenset()
                # What was wrong before is mended.
                self.alarms = problems

    def _open(self, folders: Sequence[Path], before: Engine | None = None) -> tuple[Engine, list[str]]:
        generation, problems = open_index(folders)
        return Engine(generation, self._embedder, self._policy, self._reranker, before), problems

    def _keep_out(self, named: Path) -> None:
        """Where another generation than the one named is in use, what the named one no longer holds as it is stays out, and it is not
        opened again before the index is switched anew."""
        with self._lock:
            if named == self._engine.generation.folder:
                self._outdated = frozenset()
            else:
                self._opening = _Opening(named)
                self._outdated = _outdated(self._engine.generation.manifest.documents, named, self._settings.sources)

    def _lose_current(self, problem: str) -> None:
        """Tells what is wrong with CURRENT, or, where nothing is, no longer what was."""
        self.alarms = [one for one in self.alarms if one != self._unnamed]
        self._unnamed = problem
        if problem:
            self._alarm(problem)

    def _alarm(self, problem: str) -> None:
        if problem not in self.alarms:
            self.alarms.append(problem)


class _Opening:
    """A generation that is being opened, or could not be."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started = time.monotonic()
        self.thread: threading.Thread | None = None


def _outdated(documents: Mapping[str, str], folder: Path, sources: Path) -> frozenset[str]:
    """The articles that another generation does not hold, or holds in another version; where its manifest cannot be read, those that are
    not as the sources have them; none where that cannot be told either."""
    try:
        coming: Mapping[str, str | None] = read_manifest(folder).documents
    except RagbotError:
        if not sources.is_dir():
            return frozenset()
        coming = {path.stem: _digest(path) for path in list_source_files(sources)}
    return frozenset(identity for identity, digest in documents.items() if coming.get(identity) != digest)


def _digest(path: Path) -> str | None:
    try:
        return digest_of(path.read_bytes())
    except OSError:
        return None
