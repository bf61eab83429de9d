"""Where the words of an article still stand: pieces of its text that no other article holds, looked for in the bytes of files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

# Long enough to be nobody else's by chance, short enough to stand on one line and one page of a database.
LEAST_CHARACTERS, MOST_CHARACTERS = 20, 40
# Spread evenly over the text; each is looked for in every file.
MOST_PIECES = 400
_PIECE_BYTES = 8 << 20
# What JSON, YAML and Markdown write as it is.
_PLAIN = re.compile(r"\w[\w ,-]*\w")


def telling_pieces(texts: Iterable[str], others: bytes) -> tuple[bytes, ...]:
    """Pieces of texts that stand in them as they are and do not stand in ``others``; shorter ones where there is no long one."""
    runs = list(dict.fromkeys(run for text in texts for run in _PLAIN.findall(text)))
    long = [piece for run in runs for piece in _cut(run) if len(piece) >= LEAST_CHARACTERS]
    pieces = [piece for piece in dict.fromkeys(one.encode() for one in long or [run for run in runs if len(run) > 7]) if piece not in others]
    step = max(1, -(-len(pieces) // MOST_PIECES))
    return tuple(pieces[::step])


def _cut(run: str) -> Iterator[str]:
    while len(run) > MOST_CHARACTERS:
        at = run.rfind(" ", LEAST_CHARACTERS, MOST_CHARACTERS)
        at = at if at > 0 else MOST_CHARACTERS
        yield run[:at].rstrip(" ,-")
        run = run[at:].lstrip(" ,-")
    yield run


class Tracer:
    """Looks for pieces of text in bytes, whatever stands around them."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self.pieces = tuple(pieces)
        self._longest = max(map(len, pieces), default=1)
        shortest = min(map(len, pieces), default=1)
        # Most of an index is numbers, in which there is no need to look for letters.
        self._readable = re.compile(rb"[ -~]{%d,}" % shortest) if all(piece.isascii() for piece in pieces) else None

    def in_file(self, path: Path) -> bool:
        """Whether a file holds one of the pieces.

        Raises:
            OSError: it cannot be read.
        """
        with path.open("rb") as file:
            return self.in_bytes(iter(lambda: file.read(_PIECE_BYTES), b""))

    def in_bytes(self, parts: Iterable[bytes]) -> bool:
        """Whether bytes that come in parts hold one of the pieces. All parts are taken."""
        found, before = False, b""
        for part in parts:
            if found:
                continue
            data = before + part
            before = data[-self._longest :]
            readable = b"\n".join(self._readable.findall(data)) if self._readable is not None else data
            found = any(piece in readable for piece in self.pieces)
        return found
