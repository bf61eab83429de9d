"""The card of an article: YAML front matter → Source, with the line of whatever is wrong."""

from __future__ import annotations

import re
from collections.abc import Hashable
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, HttpUrl, StrictBool, StringConstraints, ValidationError, field_validator, model_validator

from ragbot.errors import SourceError
from ragbot.records import Caution, Reference, Review, Source

MOST_CARD_CHARACTERS = 100_000
# Beyond it a number is no year, and Python refuses to write very long ones down.
_MOST_NUMBER = 2**63


def _in_one_line(words: str) -> str:
    # An empty line within a title would end the HTML around it, and Markdown would begin behind it.
    return " ".join(words.split())


def _not_empty(words: str) -> str:
    if not words:
        raise ValueError("there are no words in it")
    return words


def _a_contact(words: str) -> str:
    if sum(letter.isdigit() for letter in words) < 3 and not re.search(r"\w[.@]\w", words):
        raise ValueError("it is neither a number to call or text nor an e-mail or web address; write only the number or the address, in quotes")
    return words


Line = Annotated[str, AfterValidator(_in_one_line)]
Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1), AfterValidator(_in_one_line), AfterValidator(_not_empty)]
Contact = Annotated[Words, AfterValidator(_a_contact)]
# Words of an article's text, which are looked for there as they stand.
Quoted = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
# What building values raises for what looks like a number, a day or a key and is none, beside YAML's own errors.
_IMPOSSIBLE = (ValueError, TypeError, AttributeError, ArithmeticError, LookupError)


class _Loader(yaml.SafeLoader):
    """YAML as people mean it: "on" is a key and not true, a key is a word and stands once, an impossible value is told with its line.

    There are no aliases: a card needs none, and a few lines of them grow to gigabytes when they are written out.
    """

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if getattr(event, "anchor", None) is not None:
            raise yaml.composer.ComposerError(None, None, "it holds an anchor (&) or an alias (*), which a card may not", event.start_mark)
        return super().compose_node(parent, index)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            value = super().construct_object(node, deep)
        except _IMPOSSIBLE as error:
            reason = f", {error}" if node.tag.endswith(":timestamp") and isinstance(error, ValueError) else ""
            raise yaml.constructor.ConstructorError(None, None, f"it holds an impossible value{reason}", node.start_mark) from error
        if isinstance(value, int) and abs(value) > _MOST_NUMBER:
            raise yaml.constructor.ConstructorError(None, None, "it holds an impossible value, a number that is too large", node.start_mark)
        return value

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        # A sequence that is tagged as a mapping is refused below.
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key is no word", key.start_mark)
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key.value!r} stands twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


# YAML 1.1 reads on, off, yes and no as booleans; only true and false are.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool" or first in "tTfF"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _parse(text: str) -> tuple[yaml.Node | None, Any]:
    """The nodes of a card's YAML, for their places, and its values.

    Raises:
        yaml.YAMLError: it is too long, or cannot be read; where the place is known, with ``problem_mark``.
        RecursionError: it is nested too deeply.
    """
    if len(text) > MOST_CARD_CHARACTERS:
        raise yaml.MarkedYAMLError(problem=f"it has more than {MOST_CARD_CHARACTERS:,} characters")
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        return node, None if node is None else loader.construct_document(node)
    except _IMPOSSIBLE as error:
        raise yaml.MarkedYAMLError(problem="it holds an impossible value") from error


class _Strict(BaseModel):
    # Unknown keys are rejected, so that a typo fails at load, not at question time.
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Reference(_Strict):
    key: Words
    title: Words
    authors: Line = ""
    container: Line = ""
    year: int | None = None
    doi: Line | None = None
    url: HttpUrl | None = None
    type: Line = ""


class _Caution(_Strict):
    claim: Quoted
    see: Words
    why: Words


class _Review(_Strict):
    state: Literal["pending", "reviewed"] = "pending"
    by: Line | None = None
    on: date | None = None
    due: date | None = None

    @model_validator(mode="after")
    def _says_who_and_when(self) -> Self:
        if self.state == "reviewed" and not (self.by and self.on):
            raise ValueError("A review that has taken place needs 'by' and 'on'")
        return self


class FrontMatter(_Strict):
    """What the front matter of an article may hold; the fields are explained in docs/sources.md."""

    title: Words
    summary: Words
    publisher: Words
    url: HttpUrl
    authors: list[Words] = []
    published: date | None = None
    retrieved: date | None = None
    license: Line = ""
    status: Literal["draft", "published", "retired"] = "draft"
    review: _Review = Field(default_factory=_Review)
    topics: list[Words] = []
    references: list[_Reference] = []
    cautions: list[_Caution] = []
    in_crisis: StrictBool = False
    contacts: list[Contact] = []

    @field_validator("references")
    @classmethod
    def _keys_are_unique(cls, references: list[_Reference]) -> list[_Reference]:
        keys = [reference.key for reference in references]
        for key in keys:
            if keys.count(key) > 1:
                raise ValueError(f"the reference key {key!r} stands twice")
        return references

    def to_source(self, source_id: str) -> Source:
        """The card as the other steps know it."""
        return Source(
            id=source_id,
            title=self.title,
            summary=self.summary,
            publisher=self.publisher,
            url=str(self.url),
            authors=tuple(self.authors),
            published=self.published,
            retrieved=self.retrieved,
            license=self.license,
            status=self.status,
            review=Review(**self.review.model_dump()),
            topics=tuple(self.topics),
            references=tuple(Reference(**reference.model_dump(mode="json")) for reference in self.references),
            cautions=tuple(Caution(**caution.model_dump()) for caution in self.cautions),
            in_crisis=self.in_crisis,
            contacts=tuple(self.contacts),
        )


def read_front_matter(text: str, path: Path, first_line: int) -> Source:
    """The card in the YAML ``text``, which begins in line ``first_line`` (counted from 1) of the file.

    Raises:
        SourceError: broken YAML, an unknown key, a missing or malformed value; with file and line.
    """
    node, values = _parse_or_tell(text, path, first_line)
    if not isinstance(values, dict):
        raise SourceError("The front matter is not a list of 'key: value' lines.", path=path, line=first_line)
    try:
        return FrontMatter.model_validate(values).to_source(path.stem)
    except ValidationError as error:
        # A misspelt key is told before the key that it leaves missing.
        problem = min(error.errors(include_url=False), key=lambda one: one["type"] != "extra_forbidden")
        location = problem["loc"]
        name = ".".join(str(part) for part in location) or "front matter"
        if problem["type"] == "extra_forbidden":
            message, hint = f"The key {name!r} is unknown.", f"Known keys: {', '.join(FrontMatter.model_fields)}."
        elif problem["type"] == "missing":
            message, hint = f"The key {name!r} is missing.", f"Add a line '{location[-1]}: …' to the front matter."
        else:
            reason = problem["msg"].removeprefix("Value error, ")
            message, hint = f"The value of {name!r} cannot be used: {reason}.", ""
        raise SourceError(message, hint, path=path, line=first_line + _line_of(node, location)) from error


# A line that opens or closes the front matter.
_RULE = re.compile(r"^-{3,}[ \t]*(?:\r\n|\r|\n|$)", re.MULTILINE)


def split_file(text: str) -> tuple[str, str]:
    """The YAML and the text of an article's file, neither of them checked; the YAML is empty where there is no front matter."""
    place = _front_matter(text)
    return ("", text) if place is None else (text[place[0] : place[1]], text[place[2] :])


def _front_matter(text: str) -> tuple[int, int, int] | None:
    """Where the YAML begins and ends, and where the text begins; None where there is no front matter."""
    rules = list(islice(_RULE.finditer(text), 2))
    return (rules[0].end(), rules[1].start(), rules[1].end()) if len(rules) == 2 and rules[0].start() == 0 else None


def _parse_or_tell(text: str, path: Path | str, first_line: int | None = None) -> tuple[yaml.Node | None, Any]:
    """As ``_parse``.

    Args:
        first_line: the line of the file that the YAML begins in, where it is known.

    Raises:
        SourceError: it cannot be read; with its line.
    """
    try:
        return _parse(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "it is not YAML"
        raise SourceError(
            f"The front matter cannot be read: {problem}.",
            "Quote values that hold a colon or a number sign, or begin with another sign.",
            path=path,
            line=first_line + mark.line if mark and first_line else first_line,
        ) from error
    except RecursionError as error:
        raise SourceError("The front matter is nested too deeply.", "Write plain 'key: value' lines.", path=path, line=first_line) from error


def read_values(text: str) -> dict[str, Any]:
    """The keys and values in the YAML of a card, whatever they are; empty where it cannot be read. For drafts, which may be unfinished."""
    try:
        _, values = _parse(text)
    except (yaml.YAMLError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def set_status(text: str, status: str, path: Path | str = "article") -> str:
    """An article's file with another status in its front matter, everything else as it is.

    Raises:
        SourceError: there is no front matter, or one that no status can be set in.
    """
    place = _front_matter(text)
    if place is None:
        raise SourceError("There is no front matter.", "Begin the file with a line '---', the card in YAML, and another line '---'.", path=path, line=1)
    return text[: place[0]] + replace_status(text[place[0] : place[1]], status, path) + text[place[1] :]


def replace_status(text: str, status: str, path: Path | str = "article") -> str:
    """The front matter with another status, however it was spelt, and every other character as it stands.

    Raises:
        SourceError: it cannot be read, or is so written that no status can be set in it.
    """
    node, values = _parse_or_tell(text, path, first_line=2)
    ending = "\r\n" if "\r\n" in text else "\n"
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    found = next((pair for pair in pairs if pair[0].value == "status"), None)
    if found is not None:
        first, last = found[0].start_mark.index, found[1].end_mark.index
        # A value in lines of its own ends where the next key begins.
        broken = ending if text[first:last].endswith(("\n", "\r")) else ""
        replaced = f"{text[:first]}status: {status}{broken}{text[last:]}"
    elif isinstance(node, yaml.MappingNode) and node.flow_style:
        first = node.start_mark.index + 1
        replaced = f"{text[:first]}status: {status}, {text[first:]}"
    else:
        replaced = f"status: {status}{ending}{text}"
    # YAML can be written in more ways than are foreseen here; what comes out has to say the same but for the status.
    if not isinstance(values or {}, dict) or read_values(replaced) != (values or {}) | {"status": status}:
        raise SourceError("The status cannot be set in this front matter.", "Write plain 'key: value' lines.", path=path, line=2)
    return replaced


def _line_of(node: yaml.Node | None, location: tuple[int | str, ...]) -> int:
    """The line, counted from 0, where the value at a location begins; that of the nearest parent where it is missing."""
    line = 0
    for part in location:
        if isinstance(node, yaml.MappingNode):
            found = next((pair for pair in node.value if pair[0].value == str(part)), None)
            if found is None:
                return line
            line, node = found[0].start_mark.line, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line
    return line
