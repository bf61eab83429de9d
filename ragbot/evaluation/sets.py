"""Evaluation sets: files and folders, told apart by name, → items. What cannot be used is told with file and line.

::

    NAME.answers.jsonl          questions to the whole bot
    NAME.guardrails.jsonl       messages and the label that the guardrails owe them
    NAME.answerability.jsonl    a question and passages: do they answer it?
    NAME.grounding.jsonl        a context and a claim: does it carry the claim?
    NAME.retrieval/             corpus.jsonl, queries.jsonl, qrels.tsv; without a corpus the library itself is searched

Each file may be compressed (``.gz``).
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from ragbot.errors import DatasetError
from ragbot.guardrails import LABELS
from ragbot.records import Status

Kind = Literal["answers", "guardrails", "answerability", "grounding", "retrieval"]
KINDS: tuple[Kind, ...] = ("answers", "retrieval", "answerability", "grounding", "guardrails")
# What is tuned on is not reported: in a folder these are passed over, and run only where they are named themselves.
TUNED_ON = ("calibration.", "training.")
# Public sets say only that a message is harmful, or that it is harmless on the axis looked at.
SET_LABELS = frozenset(LABELS) | {"harmful", "benign"}


class Item(BaseModel):
    """A line of a set. Keys that are not known are the set's own notes; ``borderline`` items stay out of the headline."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str = Field(min_length=1)
    borderline: bool = False

    @property
    def shown(self) -> str:
        """The words that the item is shown by in a report."""
        return str(next((value for name in ("question", "text", "claim") if (value := getattr(self, name, None))), self.id))


class AnswersItem(Item):
    """A question, the statuses that are right, and what a right answer cites and holds (one alternative of each group)."""

    question: str = Field(min_length=1)
    status: tuple[Status, ...] = Field(min_length=1)
    must_cite: tuple[str, ...] = ()
    must_contain: tuple[tuple[str, ...], ...] = ()
    must_not_contain: tuple[str, ...] = ()
    history: tuple[dict[str, Any] | str, ...] = ()
    kind: str = ""

    @property
    def answerable(self) -> bool:
        """Whether the library holds the answer."""
        return not {"abstained", "declined"} & set(self.status)


class GuardrailsItem(Item):
    """A message and its label; ``axis`` is the decision that the label is valid for."""

    text: str = Field(min_length=1)
    label: str
    axis: str | None = None
    history: tuple[dict[str, Any] | str, ...] = ()

    @field_validator("label")
    @classmethod
    def known(cls, label: str) -> str:
        if label not in SET_LABELS:
            raise ValueError(f"unknown label {label!r}; known: {', '.join(sorted(SET_LABELS))}")
        return label


class AnswerabilityItem(Item):
    """A question, the only passages that may answer it, and whether they do."""

    question: str = Field(min_length=1)
    passages: tuple[str, ...]
    answerable: bool
    answer: Any = None


class GroundingItem(Item):
    """A claim and the words that do or do not carry it."""

    context: str
    claim: str = Field(min_length=1)
    supported: bool


class Query(Item):
    """A retrieval query."""

    text: str = Field(min_length=1)


class CorpusDocument(Item):
    """A document of a retrieval set's own corpus."""

    title: str | None = None
    text: str | None = None
    url: str | None = None


ITEMS: dict[str, type[Item]] = {
    "answers": AnswersItem,
    "guardrails": GuardrailsItem,
    "answerability": AnswerabilityItem,
    "grounding": GroundingItem,
}


@dataclass(frozen=True, slots=True)
class EvaluationSet:
    """A set that can be run: its items, and for retrieval its judgements (query → document → grade) and its corpus, if any."""

    name: str
    kind: Kind
    path: Path
    items: tuple[Item, ...]
    judgements: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    corpus: tuple[CorpusDocument, ...] | None = None


def kind_of(path: Path) -> Kind | None:
    """The kind that a path's name tells, or None."""
    name = path.name.removesuffix(".gz")
    for kind in KINDS:
        if name.endswith(f".{kind}" if kind == "retrieval" else f".{kind}.jsonl") and not name.startswith("."):
            return kind
    return None


def find_sets(paths: Sequence[Path]) -> list[Path]:
    """The sets among paths; folders are looked through to the bottom, files in them that are no sets are passed over.

    Raises:
        DatasetError: a named path does not exist, is no set, or holds none.
    """
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise DatasetError("There is no such file or folder.", path=path)
        if kind_of(path) is not None:
            found.append(path)
            continue
        inside = list(_sets_below(path)) if path.is_dir() else []
        if not inside:
            hint = "Name it NAME.answers.jsonl, .guardrails.jsonl, .answerability.jsonl, .grounding.jsonl, or a folder NAME.retrieval."
            raise DatasetError("No evaluation set here.", hint, path=path)
        found += inside
    return list(dict.fromkeys(found))


def _sets_below(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith((*TUNED_ON, ".")):
            continue
        if path.is_dir() == (kind_of(path) == "retrieval") and kind_of(path) is not None:
            yield path
        elif path.is_dir():
            yield from _sets_below(path)


def read_sets(paths: Sequence[Path]) -> tuple[list[EvaluationSet], list[DatasetError]]:
    """The sets that can be used, and everything in them that cannot.

    Raises:
        DatasetError: see ``find_sets``.
    """
    sets: list[EvaluationSet] = []
    problems: list[DatasetError] = []
    for path in find_sets(paths):
        problems_before = len(problems)
        read = _read_retrieval(path, problems) if kind_of(path) == "retrieval" else _read_file(path, problems)
        if read.items:
            sets.append(read)
        elif len(problems) == problems_before:
            problems.append(DatasetError("The set is empty.", path=path))
        else:
            problems.append(DatasetError("No line of the set can be used.", path=path))
    return sets, problems


def _read_file(path: Path, problems: list[DatasetError]) -> EvaluationSet:
    kind = kind_of(path)
    assert kind is not None
    name = path.name.removesuffix(".gz").removesuffix(".jsonl").removesuffix(f".{kind}")
    return EvaluationSet(name, kind, path, tuple(_read_items(path, ITEMS[kind], problems)))


def _read_retrieval(folder: Path, problems: list[DatasetError]) -> EvaluationSet:
    queries = tuple(_read_items(_with_gz(folder / "queries.jsonl"), Query, problems))
    corpus_path = _with_gz(folder / "corpus.jsonl")
    corpus = tuple(_read_items(corpus_path, CorpusDocument, problems)) if corpus_path.exists() else None
    known = {document.id for document in corpus} if corpus is not None else None
    judgements = _read_judgements(_with_gz(folder / "qrels.tsv"), {query.id for query in queries}, known, problems)
    judged = tuple(query for query in queries if query.id in judgements)
    if queries and len(judged) < len(queries):
        message = f"{len(queries) - len(judged)} of {len(queries)} queries have no judgement."
        problems.append(DatasetError(message, "They are left out.", path=folder / "queries.jsonl"))
    return EvaluationSet(folder.name.removesuffix(".retrieval"), "retrieval", folder, judged, judgements, corpus)


def _with_gz(path: Path) -> Path:
    packed = path.with_name(path.name + ".gz")
    return packed if packed.exists() and not path.exists() else path


def read_lines(path: Path, problems: list[DatasetError]) -> Iterator[tuple[int, str]]:
    """The lines of a file with their numbers, blank ones left out; what cannot be read is added to the problems."""
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            for number, raw in enumerate(file, start=1):
                try:
                    line = raw.decode("utf-8-sig" if number == 1 else "utf-8").strip()
                except UnicodeDecodeError as error:
                    problems.append(DatasetError(f"The line is not UTF-8: {error.reason}.", path=path, line=number))
                    continue
                if line:
                    yield number, line
    except (OSError, EOFError) as error:
        reason = getattr(error, "strerror", None) or error
        problems.append(DatasetError(f"The file cannot be read: {reason}.", path=path))


def _read_items(path: Path, item: type[Item], problems: list[DatasetError]) -> Iterable[Any]:
    seen: dict[str, int] = {}
    for number, line in read_lines(path, problems):
        try:
            read = item.model_validate(json.loads(line))
        except json.JSONDecodeError as error:
            problems.append(DatasetError(f"The line is not JSON: {error.msg} at column {error.colno}.", path=path, line=number))
            continue
        except (ValidationError, RecursionError) as error:
            problems.append(DatasetError(_validation_message(error), path=path, line=number))
            continue
        if read.id in seen:
            problems.append(DatasetError(f"The id {read.id!r} stands in line {seen[read.id]} already.", "Give it another.", path=path, line=number))
            continue
        seen[read.id] = number
        yield read


def _validation_message(error: ValidationError | RecursionError) -> str:
    if isinstance(error, RecursionError):
        return "The line is nested too deeply."
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place!r}: {first['msg']}." if place else f"{first['msg']}."


def _read_judgements(path: Path, queries: set[str], known: set[str] | None, problems: list[DatasetError]) -> dict[str, dict[str, int]]:
    judgements: dict[str, dict[str, int]] = {}
    for number, line in read_lines(path, problems):
        parts = line.split("\t") if "\t" in line else line.split()
        if number == 1 and parts[-1] in ("rel", "score", "relevance"):
            continue
        # TREC's own form has an iteration between query and document.
        query, document, grade = (parts[0], parts[-2], parts[-1]) if len(parts) in (3, 4) else ("", "", "")
        if not grade.lstrip("-").isdigit():
            problems.append(DatasetError(f"Not 'query document grade': {line!r}.", path=path, line=number))
        elif query not in queries:
            problems.append(DatasetError(f"The query {query!r} is not among the queries.", path=path, line=number))
        elif known is not None and document not in known:
            problems.append(DatasetError(f"The document {document!r} is not in the corpus.", path=path, line=number))
        elif document in judgements.get(query, {}):
            problems.append(DatasetError(f"{document!r} is judged twice for {query!r}.", path=path, line=number))
        else:
            judgements.setdefault(query, {})[document] = int(grade)
    return judgements
