"""Pieces of an article's words, and the bytes they are found in."""

from __future__ import annotations

import json
import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ragbot import tracing
from ragbot.tracing import LEAST_CHARACTERS, MOST_CHARACTERS, Tracer, telling_pieces

TEXT = """---
title: Slugs of the Larkfield garden
---
Slugs eat the lettuce of the Larkfield garden at night, and nobody has ever seen them do it while the moon was up and the dog was out.

They are **fond of beer**; "a saucer of stale ale draws nine of them in an hour", said the gardener. Water the plants in the morning.
"""
PIECES = telling_pieces([TEXT], b"... Water the plants in the morning ...")


def test_pieces_stand_in_the_text_and_in_no_other() -> None:
    assert len(PIECES) >= 4
    assert all(LEAST_CHARACTERS <= len(piece) <= MOST_CHARACTERS and piece.decode() in TEXT for piece in PIECES)
    assert not any(b"Water the plants" in piece for piece in PIECES)


def test_of_many_pieces_some_are_taken_from_all_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "MOST_PIECES", 10)
    lines = [f"This is the sentence with the number {number}." for number in range(500)]
    pieces = telling_pieces(["\n".join(lines)], b"")
    assert 5 <= len(pieces) <= 10
    assert pieces[0].endswith(b" 0") and b"450" <= pieces[-1][-3:]


def test_an_article_of_short_words_has_short_pieces() -> None:
    assert telling_pieces(["Slugs bite. Dogs."], b"") == (b"Slugs bite",)


@pytest.mark.parametrize("text", [TEXT, "Die Schnecken fraßen über Nacht den größten Salat im Garten"], ids=["ASCII", "umlauts"])
@pytest.mark.parametrize("way", ["as it is", "as JSON", "in a database", "among numbers", "over the edge of a part"])
def test_what_is_there_is_found_whatever_stands_around_it(way: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tracer = Tracer(telling_pieces([text], b""))
    path = tmp_path / "file"
    noise = random.Random(1).randbytes(100_000)
    if way == "in a database":
        with closing(sqlite3.connect(path)) as database:
            database.execute("CREATE TABLE words (word TEXT)")
            database.execute("INSERT INTO words VALUES (?)", (text,))
            database.commit()
    elif way == "as JSON":
        path.write_text(json.dumps({"text": text}, ensure_ascii=False), encoding="utf-8")
    else:
        path.write_bytes(text.encode() if way == "as it is" else noise + tracer.pieces[-1] + noise)
    if way == "over the edge of a part":
        monkeypatch.setattr(tracing, "_PIECE_BYTES", 100_010)
    assert tracer.in_file(path)
    path.write_bytes(noise * 2)
    assert not tracer.in_file(path)
