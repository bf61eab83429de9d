"""Passages → passages in a better order, where a cross-encoder is configured."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ragbot.errors import ModelError, ModelMissingError
from ragbot.records import Passage

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder


class Reranker:
    """A sentence-transformers cross-encoder in a folder; loaded at the first question.

    Raises:
        ModelMissingError: the folder holds no model.
    """

    def __init__(self, folder: Path) -> None:
        if not (folder / "config.json").is_file():
            raise ModelMissingError(f"No cross-encoder in {str(folder)!r}: config.json is missing.", "Mend RAGBOT_RERANKER_MODEL or leave it out.")
        self.folder = folder
        self._model: CrossEncoder | None = None
        self._lock = threading.Lock()

    def rerank(self, question: str, passages: Sequence[Passage]) -> list[Passage]:
        """The passages by the cross-encoder's score, best first; each says that it was looked at again."""
        if not passages:
            return []
        with self._lock:
            if self._model is None:
                os.environ.setdefault("HF_HUB_OFFLINE", "1")
                from sentence_transformers import CrossEncoder

                try:
                    self._model = CrossEncoder(str(self.folder), device="cpu", local_files_only=True)
                except (OSError, ValueError, RuntimeError) as error:
                    raise ModelError(f"The cross-encoder in {str(self.folder)!r} cannot be loaded: {error}.") from error
        pairs = [(question, passage.chunk.embedded) for passage in passages]
        scores = [float(score) for score in self._model.predict(pairs, show_progress_bar=False)]
        order = sorted(range(len(passages)), key=lambda row: -scores[row])
        return [replace(passages[row], score=scores[row], found_by=(*passages[row].found_by, "reranked")) for row in order]
