"""What a foreign file or page holds, before a person has made an article of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date

from ragbot.records import PAGE_MARKER, PAGE_PATTERN

__all__ = [
    "PAGE_MARKER",
    "PAGE_PATTERN",
    "Extract",
    "break_comment_marks",
    "hidden_words_warning",
    "leave_out_comments",
    "leave_out_invisible",
    "tidy_line",
]

# Characters that show nothing and can hide or reorder words: zero-width, soft hyphen, bidi controls, tags, fillers, and the two private
# ones by which the chat page marks citations.
_INVISIBLE = re.compile(
    "[\u00ad\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\u3164\ue000\ue001\ufeff\uffa0\ufff9-\ufffb"
    "\U000e0000-\U000e0fff]"
)
# Halves of surrogate pairs are no characters, and no file takes them.
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_NEWLINE = re.compile("\r\n|[\r\v\x85\u2028\u2029]")
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_MARKER_LINE = re.compile(r"^(<!-- page [0-9]+ -->)$", re.MULTILINE)
MOST_WARNED_CHARACTERS = 80


@dataclass(frozen=True, slots=True)
class Extract:
    """What was read: the text as Markdown (headings as ``#``, paragraphs apart by an empty line), and what the file says of itself.

    ``pages`` is the number of pages where there are any; the text then holds a line ``<!-- page n -->`` before the first paragraph that
    begins on page n, and no such line that the file itself holds. ``warnings`` are what a curator has to look at, each a sentence.
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

        Marks of comments are broken, so that nothing of a file hides in the Markdown or passes for the marker of a page; only where there
        are pages do their markers stay. What the file says of itself is tidied too.
        """
        text = _NEWLINE.sub("\n", self.text).replace("\f", "\n\n")
        hidden = _INVISIBLE.findall(text)
        warnings = self.warnings
        if hidden:
            place = _INVISIBLE.search(text)
            assert place is not None
            near = " ".join(_INVISIBLE.sub("", text[max(0, place.start() - 40) : place.end() + 40]).split())
            warnings += (f"{len(hidden)} invisible characters were taken out, the first near {near!r}.",)
        # Taking characters out can join what they parted, so marks are broken afterwards; the markers were whole before.
        parts = _MARKER_LINE.split(text) if self.pages else [text]
        text = "".join(part if place % 2 else break_comment_marks(leave_out_invisible(part)) for place, part in enumerate(parts))
        text = "\n".join(line.rstrip() for line in text.split("\n"))
        return replace(
            self,
            text=re.sub(r"\n{3,}", "\n\n", text).strip(),
            title=tidy_line(self.title),
            authors=tuple(author for author in map(tidy_line, self.authors) if author),
            publisher=tidy_line(self.publisher),
            license=tidy_line(self.license),
            url=tidy_line(self.url),
            language=tidy_line(self.language),
            warnings=warnings,
        )


def tidy_line(words: str) -> str:
    """Words of a file's metadata or name, which may hold what its text may not, in one line without invisible characters."""
    return " ".join(leave_out_invisible(_NEWLINE.sub(" ", words)).split())


def leave_out_invisible(words: str) -> str:
    """Words without the characters that show nothing: invisible ones and control characters."""
    return _CONTROL.sub("", _INVISIBLE.sub("", words))


def leave_out_comments(text: str) -> tuple[str, tuple[str, ...]]:
    """A text without HTML comments, which no reader of its Markdown sees, and a warning that names their words, if there were any."""
    hidden = " ".join(match.group()[4:].removesuffix("-->") for match in _COMMENT.finditer(text)).strip()
    return _COMMENT.sub("", text), (hidden_words_warning(hidden),) if hidden else ()


def break_comment_marks(text: str) -> str:
    """A text whose visible ``<!--`` and ``-->`` begin and end no comment in Markdown: a space stands in them."""
    return text.replace("<!--", "< !--").replace("-->", "-- >")


def hidden_words_warning(words: str, where: str = "") -> str:
    """The sentence that tells a curator of words which no reader of the original saw."""
    shown = " ".join(words.split())[:MOST_WARNED_CHARACTERS]
    return f"Hidden text was left out{' ' + where if where else ''}: {shown!r}."
