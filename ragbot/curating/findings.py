"""One thing for a curator to look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ragbot.records import Span

Kind = Literal["incomplete", "hidden", "instruction", "danger", "contact", "link", "suspect", "duplicate", "contradiction", "card", "reference", "reading"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to look at: its kind, a sentence on it, and the words of the draft that it is about, with their place in the draft's text."""

    kind: Kind
    message: str
    words: str = ""
    span: Span | None = None
