"""What a foreign file or page holds, before a person has made an article of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date

from ragbot.records import PAGE_MARKER, PAGE_PATTERN

__all__ = ["PAGE_MARKER", "PAGE_PATTERN", "Extract", "hidden_words_warning"]

# Characters that show nothing and can hide or reorder words: zero-width, soft hyphen, bidi controls, tags, fillers.
_INVISIBLE = re.compile(
    "[\u00ad\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
# Halves of surrogate pairs are no characters, and no file takes them.
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_NEWLINE = re.compile("\r\n|[\r\v\x85\u2028\u2029]")
MOST_WARNED_CHARACTERS = 80


@dataclass(frozen=True, slots=True)
class Extract:
    """What was read: the text as Markdown (headings as ``#``, paragraphs apart by an empty line), and what the file says of itself.

    ``pages`` is the number of pages where there are any; the text then holds a line ``<!-- page n -->`` before the first paragraph that
    begins on page n. ``warnings`` are what a curator has to look at, each a sentence.
    """

    text: str
    title: str = ""
    authors: tuple[str, ...] = ()
    published: date | None = None
    publisher: str = ""
    license: str = ""
    url: str = ""
    language: str = ""
    pages: int | None = None
    warnings: tuple[str, ...] = ()

    def tidied(self) -> Extract:
        """With plain newlines, without invisible and control characters (a warning tells how many), at most one empty line in a row.

        What the file says of itself is tidied too.
        """
        text = _NEWLINE.sub("\n", self.text).replace("\f", "\n\n")
        hidden = _INVISIBLE.findall(text)
        warnings = self.warnings
        if hidden:
            place = _INVISIBLE.search(text)
            assert place is not None
            near = " ".join(_INVISIBLE.sub("", text[max(0, place.start() - 40) : place.end() + 40]).split())
            warnings += (f"{len(hidden)} invisible characters were taken out, the first near {near!r}.",)
        text = _CONTROL.sub("", _INVISIBLE.sub("", text))
        text = "\n".join(line.rstrip() for line in text.split("\n"))
        return replace(
            self,
            text=re.sub(r"\n{3,}", "\n\n", text).strip(),
            title=_in_one_line(self.title),
            authors=tuple(author for author in map(_in_one_line, self.authors) if author),
            publisher=_in_one_line(self.publisher),
            license=_in_one_line(self.license),
            url=_in_one_line(self.url),
            language=_in_one_line(self.language),
            warnings=warnings,
        )


def _in_one_line(words: str) -> str:
    """Words of a file's metadata, which may hold what its text may not."""
    return " ".join(_CONTROL.sub("", _INVISIBLE.sub("", _NEWLINE.sub(" ", words))).split())


def hidden_words_warning(words: str, where: str = "") -> str:
    """The sentence that tells a curator of words which no reader of the original saw."""
    shown = " ".join(words.split())[:MOST_WARNED_CHARACTERS]
    return f"Hidden text was left out{' ' + where if where else ''}: {shown!r}."
