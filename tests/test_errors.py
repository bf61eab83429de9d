from __future__ import annotations

import re
from pathlib import Path

import pytest

from ragbot import errors
from ragbot.errors import (
    BackupError,
    DatasetError,
    IndexBrokenError,
    IndexBusyError,
    IndexMismatchError,
    IndexMissingError,
    ModelError,
    ModelMissingError,
    ModelReplyError,
    PolicyError,
    QuestionError,
    RagbotError,
    SettingsError,
    SourceError,
    StoreError,
    WorkError,
)

TREE = {
    SettingsError: RagbotError,
    QuestionError: RagbotError,
    SourceError: RagbotError,
    BackupError: RagbotError,
    PolicyError: RagbotError,
    DatasetError: RagbotError,
    StoreError: RagbotError,
    IndexMissingError: StoreError,
    IndexMismatchError: StoreError,
    IndexBrokenError: StoreError,
    IndexBusyError: StoreError,
    ModelError: RagbotError,
    ModelMissingError: ModelError,
    ModelReplyError: ModelError,
    WorkError: RagbotError,
}
PLAIN = [error for error in TREE if error not in (SourceError, PolicyError, DatasetError)]


@pytest.mark.parametrize(("error", "parent"), TREE.items())
def test_the_tree_is_as_drawn(error: type[RagbotError], parent: type[RagbotError]) -> None:
    assert issubclass(error, parent)


def test_every_error_is_drawn_in_the_docstring_and_in_the_tree() -> None:
    public = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, RagbotError) and name[0] != "_"}
    assert public == {error.__name__ for error in TREE} | {"RagbotError"}
    assert errors.__doc__ is not None
    assert set(re.findall(r"\w+Error", errors.__doc__)) == public


@pytest.mark.parametrize("error", PLAIN)
def test_an_error_says_what_is_wrong_and_what_to_do(error: type[RagbotError]) -> None:
    problem = error("The port is taken.", "Name another.")
    assert str(problem) == "The port is taken. Name another."
    assert (problem.message, problem.hint) == ("The port is taken.", "Name another.")


def test_an_error_without_a_hint_has_no_loose_space() -> None:
    assert str(RagbotError("The port is taken.")) == "The port is taken."


@pytest.mark.parametrize("error", [SourceError, PolicyError, DatasetError])
@pytest.mark.parametrize(
    ("path", "line", "text"),
    [
        ("sources/a.md", 7, "sources/a.md:7: It is empty. Write it."),
        (Path("sources/a.md"), None, "sources/a.md: It is empty. Write it."),
    ],
)
def test_an_error_in_a_file_names_file_and_line(
    error: type[SourceError | PolicyError | DatasetError], path: Path | str, line: int | None, text: str
) -> None:
    problem = error("It is empty.", "Write it.", path=path, line=line)
    assert str(problem) == text
    assert (problem.path, problem.line) == (Path(path), line)
