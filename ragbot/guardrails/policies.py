"""The policy as data: classes, rules, texts, helplines and examples, validated when they are loaded.

The folder ``policy/`` beside this file is the reviewed policy; ``RAGBOT_POLICY`` names another. A clinician can read and change
it without reading code.
"""

from __future__ import annotations

import hashlib
import json
import re
from datetime import date
from functools import cached_property
from pathlib import Path
from string import Formatter
from typing import Annotated, Any, Literal, TypeVar, get_args

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from ragbot.errors import PolicyError, SettingsError
from ragbot.guardrails.normalising import forms, plain
from ragbot.records import Help, Label, Status

REVIEWED_POLICY = Path(__file__).parent / "policy"
LABELS: tuple[Label, ...] = get_args(Label)


class _Strict(BaseModel):
    # Unknown keys are rejected, so that a typo fails at load, not at question time.
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


def _compile(pattern: Any) -> Any:
    if isinstance(pattern, str):
        try:
            return re.compile(pattern)
        except re.error as error:
            raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
    return pattern


Pattern = Annotated[re.Pattern[str], BeforeValidator(_compile)]


class PolicyClass(_Strict):
    """One class of messages: what it is, from which probability the classifier decides, and what happens."""

    label: Label
    status: Status
    about: str
    threshold: float = Field(ge=0, le=1)
    long_threshold: float | None = Field(None, ge=0, le=1)
    line_threshold: float | None = Field(None, ge=0, le=1)
    sentence_line_threshold: float | None = Field(None, ge=0, le=1)
    help_threshold: float | None = Field(None, ge=0, le=1)
    response: str | None = None
    follow_on_turns: int = Field(0, ge=0, le=20)
    answer_question: bool = False
    yields_to_an_answer: bool = False


class Classes(_Strict):
    version: int
    classes: tuple[PolicyClass, ...]

    @model_validator(mode="after")
    def _every_label_once(self) -> Classes:
        labels = [one.label for one in self.classes]
        if sorted(labels) != sorted(LABELS):
            raise ValueError(f"each of {', '.join(LABELS)} has to stand once")
        if labels[0] != "crisis" or labels[-1] != "informational":
            raise ValueError("crisis comes first and informational last")
        return self


class Rule(_Strict):
    name: str
    label: Label
    patterns: tuple[Pattern, ...]
    unless: tuple[Pattern, ...] = ()


class Rules(_Strict):
    version: int
    rules: tuple[Rule, ...]
    # Without one of these, a message of a few words is no alarm by the model's word alone; where there are none, it always may be.
    danger: tuple[Pattern, ...] = ()
    # A question for facts that is asked like this is about one's own case as well.
    own_case: tuple[Pattern, ...] = ()


class OutputRule(_Strict):
    """What a text may not hold; ``mend`` says to a curator what to do about it."""

    name: str
    about: str
    mend: str = ""
    patterns: tuple[Pattern, ...]
    unless: tuple[Pattern, ...] = ()
    statuses: tuple[Status, ...] = Field((), alias="in")


class OutputRules(_Strict):
    """The rules for what is shown, and those that only drafts are looked at with. ``<<name>>`` in a pattern stands for ``words[name]``."""

    version: int
    words: dict[str, str] = {}
    rules: tuple[OutputRule, ...]
    drafts: tuple[OutputRule, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _with_words(cls, values: Any) -> Any:
        words = values.get("words") if isinstance(values, dict) else None
        if not isinstance(words, dict):
            return values
        return {key: _filled_in(value, words) if key in ("rules", "drafts") else value for key, value in values.items()}


_WORDS = re.compile(r"<<(\w+)>>")


def _filled_in(value: Any, words: dict[str, Any]) -> Any:
    """A value of YAML with the words in place of their names, in names within words too."""
    if isinstance(value, str):
        for _ in range(3):
            value = _WORDS.sub(lambda match: str(words.get(match.group(1), match.group())), value)
        return value
    if isinstance(value, list):
        return [_filled_in(one, words) for one in value]
    if isinstance(value, dict):
        return {key: _filled_in(one, words) for key, one in value.items()}
    return value


class Reviewed(_Strict):
    state: Literal["pending", "reviewed"]
    by: str | None = None
    on: date | None = None


class Texts(_Strict):
    version: int
    reviewed: Reviewed
    texts: dict[str, str]

    @model_validator(mode="after")
    def _needed(self) -> Texts:
        missing = sorted(NEEDED_TEXTS - set(self.texts))
        if missing:
            raise ValueError(f"the text {missing[0]!r} is missing")
        for name, text in self.texts.items():
            unknown = sorted({field for _, field, _, _ in Formatter().parse(text) if field is not None} - PLACEHOLDERS)
            if unknown:
                raise ValueError(f"nothing fills {{{unknown[0]}}} in the text {name!r}")
        return self


NEEDED_TEXTS = frozenset(
    "crisis crisis_line medical_emergency personal_decision personal_decision_general personal_decision_questions own_case illicit "
    "sensitive_topic out_of_scope low_mood injection abstained abstained_nearest unavailable too_long empty busy conversation_limit "
    "address_limit not_taken too_large too_slow connection_lost disclaimer".split()
)


PLACEHOLDERS = frozenset("resources resources_short emergency treatment topics articles titles limit questions".split())


class Line(_Strict):
    """A helpline: how it is reached and when."""

    name: str
    call: str | None = None
    text: str | None = None
    keyword: str | None = None
    url: str | None = None
    what: str = ""
    hours: str = ""
    languages: tuple[str, ...] = ()


class Emergency(_Strict):
    name: str
    number: str


class Poison(_Strict):
    name: str
    number: str
    hours: str = ""


class Region(_Strict):
    name: str
    emergency: Emergency
    poison: Poison | None = None
    lines: tuple[Line, ...]
    treatment: Line | None = None


class Resources(_Strict):
    version: int
    checked: date
    elsewhere: Region
    regions: dict[str, Region]


class SocialKind(_Strict):
    """A kind of small talk, or of question about the bot, with its fixed text. See social.yaml."""

    name: str
    label: Literal["small_talk", "about"]
    text: str
    patterns: tuple[Pattern, ...] = ()
    takes_up: bool = False
    ends: bool = False


class Social(_Strict):
    version: int
    kinds: tuple[SocialKind, ...]

    @model_validator(mode="after")
    def _last_one_fits_all(self) -> Social:
        for label in ("small_talk", "about"):
            own = [kind for kind in self.kinds if kind.label == label]
            if not own or own[-1].patterns or not all(kind.patterns for kind in own[:-1]):
                raise ValueError(f"of the kinds of {label!r} the last one, and no other, has no patterns")
        return self


class Topics(_Strict):
    version: int
    topics: str
    suggestions: tuple[str, ...]


class Words(_Strict):
    version: int
    words: dict[str, str]


class Said(_Strict):
    """What the person or the bot said before an example."""

    role: Literal["user", "assistant"]
    content: str


class Example(_Strict):
    """A labelled message with its provenance."""

    text: str = Field(min_length=1)
    label: Label
    help: Help | None = None
    kind: str = ""
    by: str = ""
    history: tuple[Said, ...] = ()


_Model = TypeVar("_Model", bound=BaseModel)


class Policy:
    """Everything in one policy folder; ``digest`` identifies it."""

    def __init__(self, folder: Path = REVIEWED_POLICY) -> None:
        self.folder = folder
        self.classes = _load(folder / "classes.yaml", Classes).classes
        rules = _load(folder / "rules.yaml", Rules)
        self.rules, self._danger, self._own_case = rules.rules, rules.danger, rules.own_case
        output = _load(folder / "output.yaml", OutputRules)
        self.output_rules, self.draft_rules = output.rules, output.drafts
        texts = _load(folder / "responses.yaml", Texts)
        self.texts, self.reviewed = texts.texts, texts.reviewed
        self.resources = _load(folder / "resources.yaml", Resources)
        self.topics = _load(folder / "topics.yaml", Topics)
        self.social = _load(folder / "social.yaml", Social).kinds
        self.words = _load(folder / "words.yaml", Words).words
        for one in self.classes:
            if one.response is not None and one.response not in self.texts:
                raise PolicyError(f"The class {one.label!r} names the text {one.response!r}, which is missing.", path=folder / "classes.yaml")

    def class_of(self, label: Label) -> PolicyClass:
        return next(one for one in self.classes if one.label == label)

    def speaks_of_danger(self, text: str) -> bool:
        """Whether a text holds a word of danger, in any of the languages of the policy."""
        found = forms(text)
        return not self._danger or any(pattern.search(form) for pattern in self._danger for form in found)

    def speaks_of_own_case(self, text: str) -> bool:
        """Whether a question for facts is asked in such words that its answer may be taken for a decision on oneself."""
        clean = plain(text)
        return any(pattern.search(clean) for pattern in self._own_case)

    def region(self, code: str) -> Region:
        """The helplines of a region.

        Raises:
            SettingsError: the region is unknown.
        """
        region = self.resources.regions.get(code.upper())
        if region is None:
            known = ", ".join(sorted(self.resources.regions))
            raise SettingsError(f"The region {code!r} is not in the policy.", f"Known regions: {known}.")
        return region

    @cached_property
    def helplines(self) -> tuple[str, ...]:
        """Every number, short code and address of help that the policy names, of all regions, as it is written there."""
        found: list[str | None] = []
        for region in (*self.resources.regions.values(), self.resources.elsewhere):
            found += [region.emergency.number, region.poison.number if region.poison else None]
            for line in (*region.lines, *([region.treatment] if region.treatment else [])):
                found += [line.call, line.text, line.url]
        return tuple(dict.fromkeys(one for one in found if one))

    @cached_property
    def examples(self) -> tuple[Example, ...]:
        """The labelled messages that the guardrails' model was trained on, in the order of files and lines.

        Raises:
            PolicyError: a malformed line, with file and line.
        """
        examples: list[Example] = []
        for path in sorted((self.folder / "examples").glob("*.jsonl")):
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
                if not line.strip():
                    continue
                try:
                    examples.append(Example.model_validate_json(line))
                except ValidationError as error:
                    raise PolicyError(error.errors(include_url=False)[0]["msg"] + ".", path=path, line=number) from error
        return tuple(examples)

    @cached_property
    def digest(self) -> str:
        """The sha256 of every file of the policy."""
        digest = hashlib.sha256()
        for path in sorted(self.folder.rglob("*")):
            if path.suffix in (".yaml", ".jsonl"):
                digest.update(json.dumps(path.relative_to(self.folder).as_posix()).encode() + path.read_bytes())
        return digest.hexdigest()


def _load(path: Path, model: type[_Model]) -> _Model:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(f"The policy file cannot be read: {error}.", path=path) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise PolicyError("This is not YAML.", path=path, line=mark.line + 1 if mark else None) from error
    try:
        return model.model_validate(values)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in problem["loc"])
        raise PolicyError(f"{place or 'The file'}: {problem['msg']}.", path=path) from error
