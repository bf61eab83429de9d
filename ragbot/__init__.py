"""ragbot answers questions from curated articles, sentence by sentence with the exact words cited.

The way of the articles and the way of a question, in order::

    sources/*.md → reading → chunking → indexing → index/
    question → guardrails → rephrasing → retrieving → answering → verifying → guardrails → Answer → web, cli

``records``, ``errors``, ``settings``, ``terms``, ``models``, and, for the index on the disk, ``embedded``, ``manifest``, ``store`` and
``generations`` are what the steps stand on; ``library`` composes the first way and ``chatbot`` the second. Before the first way
stands a person: ``curating`` makes drafts of foreign files and pages, and publishes and retires articles.

>>> from ragbot import Ragbot
>>> answer = Ragbot.open().ask("How long does ketamine help?")    # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from ragbot.chatbot import Ragbot
    from ragbot.errors import RagbotError
    from ragbot.library import build_index
    from ragbot.records import Answer, Citation, Statement, Turn
    from ragbot.settings import Settings

__all__ = ["Answer", "Citation", "Ragbot", "RagbotError", "Settings", "Statement", "Turn", "__version__", "build_index"]

# Looked up when first used, so that `ragbot --help` does not load what it does not need.
_HOMES = {
    "Answer": "records",
    "Citation": "records",
    "Ragbot": "chatbot",
    "RagbotError": "errors",
    "Settings": "settings",
    "Statement": "records",
    "Turn": "records",
    "build_index": "library",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"ragbot.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'ragbot' has no attribute {name!r}")
