"""The form by which a draft's card is filled in: what it shows, and what comes back of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from html import escape
from typing import Any

import yaml

from ragbot.curating.drafting import article_text
from ragbot.reading.front_matter import read_values, split_file

# What the form shows as single fields; the rest of the card is YAML of its own.
FIELDS = (
    ("title", "Title", ""), ("summary", "Summary, one sentence", ""), ("publisher", "Publisher", ""),
    ("url", "Address of the source, or a page of yours where it stands", "https://…"), ("authors", "Authors, separated by ;", ""), ("published", "Date of the source", ""),
    ("license", "Licence", "CC-BY-4.0"), ("topics", "Topics, separated by ;", ""),
    ("contacts", "Numbers and addresses that its text may name, separated by ;", "1-800-555-0100"),
)  # fmt: skip
DAYS = ("published", "review_on", "review_due")
REVIEW_FIELDS = (("by", "Reviewed by"), ("on", "Reviewed on"), ("due", "To be reviewed again by"))
MORE_EXAMPLE = "references:&#10;- {key: smith2024, title: &quot;A title&quot;, authors: &quot;Smith A&quot;, year: 2024, doi: 10.1000/xyz}"


def card_fields(values: Mapping[str, Any], typed_more: str | None = None) -> str:
    """The fields of a card that holds these values.

    Args:
        typed_more: references and cautions as somebody typed them, in place of those of the card.
    """
    review = values.get("review") if isinstance(values.get("review"), dict) else {}
    assert isinstance(review, dict)
    fields = [_field(key, label, values.get(key), hint) for key, label, hint in FIELDS]
    fields += [_field(f"review_{key}", label, review.get(key)) for key, label in REVIEW_FIELDS]
    options = "".join(f"<option{' selected' if review.get('state', 'pending') == state else ''}>{state}</option>" for state in ("pending", "reviewed"))
    checked = " checked" if values.get("in_crisis") is True else ""
    fields.append(
        f'<label><input type="checkbox" name="in_crisis" value="yes"{checked}> May be quoted beside help for someone in a crisis</label>'
        '<input type="hidden" name="in_crisis_asked" value="yes">'
    )
    fields.append(f'<label>Clinical review <select name="review_state">{options}</select></label>')
    more = (
        f'<label class="st-all">References and cautions, as YAML <textarea name="more" rows="5" spellcheck="false" placeholder="{MORE_EXAMPLE}">{escape(_more(values) if typed_more is None else typed_more)}</textarea></label>'
    )
    return "".join(fields) + more


def _field(name: str, label: str, value: Any, hint: str = "") -> str:
    """A field of the card; a day has a calendar, unless something else stands there, which a calendar would not show."""
    words = _shown(value)
    kind = "date" if name in DAYS and (not words or isinstance(_as_date(words), date)) else "text"
    return f'<label>{label} <input name="{name}" type="{kind}" value="{escape(words, quote=True)}" placeholder="{hint}"></label>'


def edited_text(text: str, form: Mapping[str, Any]) -> tuple[str, str]:
    """A draft's file with what a form says in place of what it said, and what of it cannot be read, if anything; then that stays as it
    was. Keys of the card that the form does not know stay."""
    yaml_text, body = split_file(text)
    before = read_values(yaml_text)
    card = dict(before)
    for key, _, _ in FIELDS:
        said = _said(form, key)
        if said is not None and said != _shown(before.get(key)):
            card[key] = (
                [one.strip() for one in said.split(";") if one.strip()] if key in ("authors", "topics", "contacts") else _as_date(said) if key == "published" else said
            )
    review = dict(before["review"]) if isinstance(before.get("review"), dict) else {}
    for key, _ in REVIEW_FIELDS:
        said = _said(form, f"review_{key}")
        if said is not None and said != _shown(review.get(key)):
            review[key] = said if key == "by" else _as_date(said)
    review = {key: value for key, value in review.items() if value not in ("", None)}
    if "review_state" in form:
        review["state"] = "reviewed" if _said(form, "review_state") == "reviewed" else "pending"
    card["review"] = review
    if "in_crisis_asked" in form and ("in_crisis" in form) != (before.get("in_crisis") is True):
        card["in_crisis"] = "in_crisis" in form
    rest = _said(form, "more")
    slip = ""
    if rest is not None and rest != _more(before).strip():
        read = read_values(rest)
        if (rest and not read) or read.keys() - {"references", "cautions"} or not all(isinstance(one, list) for one in read.values()):
            slip = "References and cautions cannot be read. Begin with a line 'references:'; put values that hold a colon in quotes."
        else:
            card |= {key: read.get(key, []) for key in ("references", "cautions")}
    words = _said(form, "body")
    words = body.strip() if words is None else words
    return text if card == before and words == body.strip() else article_text(card, words), slip


def _said(form: Mapping[str, Any], key: str) -> str | None:
    value = form.get(key)
    return value.replace("\r\n", "\n").strip() if isinstance(value, str) else None


def _shown(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return "; ".join(str(one) for one in value)
    return "" if value is None else str(value).strip()


def _as_date(words: str) -> Any:
    """The date that was written, or the words themselves, which the reader will then refuse with their line."""
    try:
        return date.fromisoformat(words) if words else None
    except ValueError:
        return words


def _more(values: Mapping[str, Any]) -> str:
    """The parts of a card that no field shows, as YAML."""
    rest = {key: values[key] for key in ("references", "cautions") if values.get(key)}
    return str(yaml.safe_dump(rest, sort_keys=False, allow_unicode=True, width=120)) if rest else ""
