"""What every kind of set is run with: the settings, the bot, its embedding model, and the cache of vectors."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

from ragbot.chatbot import Ragbot
from ragbot.errors import RagbotError
from ragbot.evaluation.adhoc import DEFAULT_CACHE, VectorCache
from ragbot.generation import Generation
from ragbot.library import open_policy
from ragbot.models import Embedder
from ragbot.rephrasing import Rephraser
from ragbot.retrieving import Reranker, Retriever
from ragbot.settings import Settings

Progress = Callable[[str, int, int], Any]
# One bad item must not stop a run of an hour; what went wrong stands in the report beside the item.
FAILURES = (RagbotError, ArithmeticError, AssertionError, AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError)


class Bench:
    """The system under evaluation. The bot, with its index, is opened only where a set needs it.

    Args:
        cache: folder of the vectors of ad-hoc libraries; the system's folder for temporary files where None.
    """

    def __init__(self, settings: Settings, cache: Path | None = None, bot: Ragbot | None = None) -> None:
        self.settings = settings
        self._cache_folder = cache or DEFAULT_CACHE
        self._bot = bot
        self._rephraser_words = open_policy(settings).words

    @cached_property
    def bot(self) -> Ragbot:
        """The bot over the library that the settings name."""
        return self._bot or Ragbot.open(self.settings)

    @cached_property
    def embedder(self) -> Embedder:
        """The bot's embedding model; loaded without a bot where the sets need none."""
        opened = self._bot or self.__dict__.get("bot")
        return opened.embedder if opened is not None else Embedder(self.settings.embedding_model)

    @cached_property
    def reranker(self) -> Reranker | None:
        return Reranker(self.settings.reranker_model) if self.settings.reranker_model else None

    @cached_property
    def cache(self) -> VectorCache:
        return VectorCache(self._cache_folder, self.embedder)

    def retriever(self, generation: Generation) -> Retriever:
        """The bot's own search over a library."""
        return Retriever(generation, self.embedder, self.reranker)

    def rephraser(self, generation: Generation) -> Rephraser:
        """What puts questions into the words of a library, as the bot does before it searches."""
        return Rephraser(generation.chunks, self._rephraser_words, self.embedder.is_everyday)

    def close(self) -> None:
        """Lets go of the cache."""
        if "cache" in self.__dict__:
            self.cache.close()


def explain_failure(error: BaseException) -> str:
    """One line on what went wrong with an item."""
    return str(error) if isinstance(error, RagbotError) else f"{type(error).__name__}: {error}"
