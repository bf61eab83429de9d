"""The card of an article: YAML front matter → Source, with the line of whatever is wrong."""

from __future__ import annotations

import re
from collections.abc import Hashable
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, HttpUrl, StringConstraints, ValidationError, field_validator

from ragbot.errors import SourceError
from ragbot.records import Caution, Reference, Review, Source

Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class _Loader(yaml.SafeLoader):
    """YAML as people mean it: "on" is a key and not true, a key stands once, an impossible date is told with its line."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key.value!r} stands twice", key.start_mark)
            if isinstance(key.value, str):
                seen.add(key.value)
        return super().construct_mapping(node, deep)

    def construct_timestamp(self, node: yaml.ScalarNode) -> Any:
        try:
            return self.construct_yaml_timestamp(node)
        except ValueError as error:
            raise yaml.constructor.ConstructorError(None, None, f"it holds an impossible value, {error}", node.start_mark) from error


# YAML 1.1 reads on, off, yes and no as booleans; only true and false are.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool" or first in "tTfF"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_constructor("tag:yaml.org,2002:timestamp", _Loader.construct_timestamp)


class _Strict(BaseModel):
    # Unknown keys are rejected, so that a typo fails at load, not at question time.
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Reference(_Strict):
    key: Words
    title: Words
    authors: str = ""
    container: str = ""
    year: int | None = None
    doi: str | None = None
    url: HttpUrl | None = None
    type: str = ""


class _Caution(_Strict):
    claim: Words
    see: Words
    why: Words


class _Review(_Strict):
    state: Literal["pending", "reviewed"] = "pending"
    by: str | None = None
    on: date | None = None
    due: date | None = None


class FrontMatter(_Strict):
    """What the front matter of an article may hold; the fields are explained in docs/sources.md."""

    title: Words
    summary: Words
    publisher: Words
    url: HttpUrl
    authors: list[Words] = []
    published: date | None = None
    retrieved: date | None = None
    license: str = ""
    status: Literal["draft", "published", "retired"] = "draft"
    review: _Review = Field(default_factory=_Review)
    topics: list[Words] = []
    references: list[_Reference] = []
    cautions: list[_Caution] = []

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
        )


def read_front_matter(text: str, path: Path, first_line: int) -> Source:
    """The card in the YAML ``text``, which begins in line ``first_line`` (counted from 1) of the file.

    Raises:
        SourceError: broken YAML, an unknown key, a missing or malformed value; with file and line.
    """
    try:
        node = yaml.compose(text, Loader=_Loader)
        values = yaml.load(text, Loader=_Loader)  # noqa: S506 — a safe loader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "it is not YAML"
        raise SourceError(
            f"The front matter cannot be read: {problem}.",
            "Quote values that hold a colon or a number sign.",
            path=path,
            line=first_line + mark.line if mark else first_line,
        ) from error
    except RecursionError as error:
        raise SourceError("The front matter is nested too deeply.", "Write plain 'key: value' lines.", path=path, line=first_line) from error
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
            message, hint = f"The value of {name!r} cannot be used: {problem['msg']}.", ""
        raise SourceError(message, hint, path=path, line=first_line + _line_of(node, location)) from error


# A line that opens or closes the front matter.
_RULE = re.compile(r"^-{3,}[ \t]*(?:\r\n|\r|\n|$)", re.MULTILINE)


def split_file(text: str) -> tuple[str, str]:
    """The YAML and the text of an article's file, neither of them checked; the YAML is empty where there is no front matter."""
    rules = list(_RULE.finditer(text))[:2]
    if len(rules) < 2 or rules[0].start() != 0:
        return "", text
    return text[rules[0].end() : rules[1].start()], text[rules[1].end() :]


def read_values(text: str) -> dict[str, Any]:
    """The keys and values in the YAML of a card, whatever they are; empty where it cannot be read. For drafts, which may be unfinished."""
    try:
        values = yaml.load(text, Loader=_Loader)  # noqa: S506 — a safe loader
    except (yaml.YAMLError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def set_status(text: str, status: str) -> str:
    """An article's file with another status in its front matter, everything else as it is."""
    yaml_text, _ = split_file(text)
    opening = next(_RULE.finditer(text)).end()
    return text[:opening] + replace_status(yaml_text, status) + text[opening + len(yaml_text) :]


def replace_status(text: str, status: str) -> str:
    """The front matter with another status, however it was spelt, and every other character as it stands."""
    node = yaml.compose(text, Loader=_Loader)
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    found = next((pair for pair in pairs if pair[0].value == "status"), None)
    if found is None:
        ending = "\r\n" if "\r\n" in text else "\n"
        return f"status: {status}{ending}{text}"
    key, value = found
    return f"{text[: key.start_mark.index]}status: {status}{text[value.end_mark.index :]}"


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
