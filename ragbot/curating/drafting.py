"""Extract, or a Markdown file of strangers → draft: a Markdown file whose card says what is known and leaves open what a person has to say."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import date
from pathlib import PurePath
from typing import Any

import yaml

from ragbot.chunking import split_sentences
from ragbot.errors import SourceError
from ragbot.reading.extracts import Extract, leave_out_invisible, tidy_line
from ragbot.reading.front_matter import FrontMatter, read_values, set_status, split_file
from ragbot.reading.isolating import read_foreign
from ragbot.records import PAGE_PATTERN, Document, Source

MOST_SUMMARY_CHARACTERS = 240
MOST_ID_CHARACTERS = 60
# A first sentence that ends later than here is none that anybody would read.
MOST_LOOKED_AT = 2_000
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
        words = " ".join(paragraph[:MOST_LOOKED_AT].split())
        if not words or _HEADING_OR_LIST.match(words):
            continue
        sentence = next((one for one in split_sentences(words) if one.endswith((".", "!", "?"))), "")
        if len(sentence) > MOST_SUMMARY_CHARACTERS:
            sentence = sentence[:MOST_SUMMARY_CHARACTERS].rsplit(" ", 1)[0] + " …"
        if sentence:
            return sentence
    return ""


def unfinished_document(identity: str, text: str) -> Document:
    """The document in a draft's file, its card as far as it is filled in."""
    yaml_text, body = split_file(text)
    values = read_values(yaml_text)
    title, summary, publisher, url, license_words = (
        " ".join(str(values.get(key) or "").split()) for key in ("title", "summary", "publisher", "url", "license")
    )
    # A moment is a day for Python, and no day can be compared with it.
    published = values["published"] if type(values.get("published")) is date else None
    contacts = values.get("contacts")
    named = tuple(str(one) for one in contacts) if isinstance(contacts, list) else ()
    return Document(Source(identity, title, summary, publisher, url, published=published, license=license_words, contacts=named), body.strip("\n"), "")


def with_card(data: bytes, name: str) -> tuple[str, tuple[str, ...]] | None:
    """A Markdown file that has a card already, as the text of a draft, and what to look at in it; None where it has no card.

    Its text goes through the same reading as that of any foreign file. Where nothing had to be taken out, it stays as it is.

    Raises:
        SourceError: its text cannot be read.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    yaml_text, body = split_file(text)
    values = read_values(yaml_text)
    if not values:
        return None
    try:
        # The ending keeps the reader from looking for another card at the top of the text.
        extract = read_foreign(body.encode(), f"{PurePath(name).stem}.txt")
    except SourceError as error:
        raise SourceError(error.message, error.hint, path=name) from error
    read = f"# {extract.title}\n\n{extract.text}" if extract.title else extract.text
    card: dict[str, Any] = _visible(values)
    warnings = extract.warnings
    if card != values:
        warnings += ("Invisible characters were taken out of the card.",)
    card, claims = _without_claims(card)
    if card == values and "title" in card and not warnings and read.split() == body.split():
        try:
            return set_status(text, "draft", name), claims
        except SourceError:
            # Its card is so written that no status can be put into it; then it is written anew.
            read = body
    return article_text(card | {"status": "draft"}, read), warnings + claims


def _without_claims(card: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What a foreign file's card may say here, and what it claimed beyond that: a review, that it is published, that it is safe in a crisis
    are a person's word on this library, and no file's."""
    kept, claims = dict(card), []
    if "review" in kept:
        review, by = _without_review(kept["review"])
        if by:
            kept["review"] = review
            claims.append(f"The file claims a review by {by[:80]}; it was not taken over.")
    status = tidy_line(str(kept.get("status") or "")).casefold()
    if status not in ("", "draft"):
        claims.append(f"The file claims the status {status[:80]!r}; it is a draft until somebody publishes it.")
    kept, marked = _without_mark(kept)
    if marked:
        claims.append("The file claims that its words may be shown to somebody in a crisis (in_crisis); that was not taken over.")
    if kept.pop("contacts", None):
        claims.append("The file names contacts of its own that may be shown; that was not taken over. Set them yourself if they hold.")
    return kept, tuple(claims)


def _without_mark(value: Any) -> tuple[Any, bool]:
    """A value of a card without the mark ``in_crisis``, wherever in it and however it is spelt, and whether it was set."""
    if isinstance(value, list):
        parts = [_without_mark(one) for one in value]
        return [part for part, _ in parts], any(marked for _, marked in parts)
    if not isinstance(value, dict):
        return value, False
    own = {key: one for key, one in value.items() if _plain_key(key) == "incrisis"}
    rest = {key: _without_mark(one) for key, one in value.items() if key not in own}
    said = any(one not in (None, False) for one in own.values())
    return {key: part for key, (part, _) in rest.items()}, said or any(marked for _, marked in rest.values())


def _plain_key(key: object) -> str:
    return re.sub(r"[\s_-]", "", unicodedata.normalize("NFKC", str(key))).casefold()


def _without_review(review: Any) -> tuple[dict[str, Any], str]:
    """What a foreign file's ``review`` may say here, and by whom it claims a review; empty where it claims none."""
    if not isinstance(review, dict):
        return {"state": "pending"}, tidy_line(str(review or ""))
    claims = review.get("state", "pending") != "pending" or any(review.get(key) not in (None, "") for key in ("by", "on"))
    kept = {"state": "pending"} | ({"due": review["due"]} if review.get("due") is not None else {})
    return kept, (tidy_line(str(review.get("by") or "")) or "somebody") if claims else ""


def _visible(value: Any) -> Any:
    """A value of a card without characters that show nothing."""
    if isinstance(value, str):
        return leave_out_invisible(value)
    if isinstance(value, list):
        return [_visible(one) for one in value]
    if isinstance(value, dict):
        return {_visible(key): _visible(one) for key, one in value.items()}
    return value
