"""The bot, loading in the background while the page is already served."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from ragbot.chatbot import Ragbot
from ragbot.errors import RagbotError
from ragbot.settings import Settings

_log = logging.getLogger("ragbot")


class BotInTheBackground:
    """The bot, loading while the page is already served. ``get`` waits for it; ``loaded`` is called once it is there, or cannot be."""

    def __init__(self, settings: Settings, loaded: Callable[[], object] = lambda: None) -> None:
        self._settings = settings
        self._when_loaded = loaded
        self._ready = threading.Event()
        self._bot: Ragbot | None = None
        self._error: RagbotError | None = None

    def start(self) -> None:
        """Begins to load."""
        threading.Thread(target=self._load, name="load-bot", daemon=True).start()

    def _load(self) -> None:
        try:
            bot = Ragbot.open(self._settings)
            bot.warm_up()
            self._bot = bot
        except RagbotError as error:
            _log.error("the bot cannot be opened: %s", error)
            self._error = error
        finally:
            self._ready.set()
        self._when_loaded()

    @property
    def state(self) -> str:
        """``loading``, ``ready`` or ``broken``."""
        if not self._ready.is_set():
            return "loading"
        return "broken" if self._bot is None else "ready"

    @property
    def loaded(self) -> Ragbot | None:
        """The bot, or None while it is loading or where it could not be opened."""
        return self._bot

    def get(self, timeout_seconds: float = 120) -> Ragbot:
        """The loaded bot.

        Raises:
            RagbotError: it could not be opened, or not in time.
        """
        if not self._ready.wait(timeout_seconds):
            raise RagbotError("The bot is still loading.", "Try again in a moment.")
        if self._bot is None:
            raise self._error or RagbotError("The bot could not be opened.", "See the log.")
        return self._bot
