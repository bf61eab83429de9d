"""Extract → draft: a Markdown file whose card says what is known and leaves open what a person has to say."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import date
from pathlib import PurePath
from typing import Any

import yaml

from ragbot.chunking import split_sentences
from ragbot.reading.extracts import Extract, tidy_line
from ragbot.reading.front_matter import FrontMatter
from ragbot.records import PAGE_PATTERN

MOST_SUMMARY_CHARACTERS = 240
MOST_ID_CHARACTERS = 60
_HEADING_OR_LIST = re.compile(r"^(?:[#>|*+-]|\d+[.)])")


def draft_text(extract: Extract, name: str, today: date) -> str:
    """The file of a draft made from what was read; a title that nobody gave is made of the file's name.

    The summary is the first full sentence of the text, to be replaced by a person. What is unknown stays empty: it cannot be
    published so.
    """
    title = tidy_line(extract.title) or tidy_line(PurePath(name).stem.replace("_", " ").replace("-", " "))
    card = {
        "title": title,
        "summary": _first_sentence(extract.text),
        "publisher": extract.publisher,
        "url": extract.url,
        "authors": list(extract.authors),
        "published": extract.published,
        "retrieved": today,
        "license": extract.license,
        "status": "draft",
        "review": {"state": "pending"},
        "topics": [],
    }
    return article_text(card, extract.text)


def article_text(card: Mapping[str, Any], body: str) -> str:
    """The file of an article: its card as YAML in the order of docs/sources.md, then its text."""
    order = {key: place for place, key in enumerate(FrontMatter.model_fields)}
    required = ("title", "summary", "publisher", "url", "status")
    kept = {key: card[key] for key in sorted(card, key=lambda key: order.get(key, len(order))) if key in required or card[key] not in (None, "", [], {})}
    written = yaml.safe_dump(kept, sort_keys=False, allow_unicode=True, width=120)
    return f"---\n{written}---\n\n{body.strip()}\n"


def article_id(title: str, taken: set[str]) -> str:
    """An id made of a title: lower-case letters, digits and hyphens; numbered where it is taken (``taken`` in lower case)."""
    base = plain_id(title) or "article"
    candidate, number = base, 2
    while candidate in taken or candidate == "readme":
        candidate, number = f"{base}-{number}", number + 1
    return candidate


def plain_id(words: str) -> str:
    """Words as an id: lower-case letters, digits and hyphens; empty where nothing is left of them, or only ``readme``, which is no article."""
    plain = unicodedata.normalize("NFKD", words).encode("ascii", "ignore").decode().lower()
    hyphened = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    base = hyphened[:MOST_ID_CHARACTERS].rsplit("-", 1)[0] if len(hyphened) > MOST_ID_CHARACTERS else hyphened
    return "" if base == "readme" else base


def _first_sentence(text: str) -> str:
    """The first sentence of running text, cut at a word where it is very long; empty where there is none."""
    for paragraph in PAGE_PATTERN.sub("", text).split("\n\n"):
        words = " ".join(paragraph.split())
        if not words or _HEADING_OR_LIST.match(words):
            continue
        sentence = next((one for one in split_sentences(words) if one.endswith((".", "!", "?"))), "")
        if len(sentence) > MOST_SUMMARY_CHARACTERS:
            sentence = sentence[:MOST_SUMMARY_CHARACTERS].rsplit(" ", 1)[0] + " …"
        if sentence:
            return sentence
    return ""
