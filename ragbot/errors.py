"""What can go wrong, as a tree. Outcomes such as abstaining or referring are no errors: they are ``Answer.status``.

::

    RagbotError(message, hint)
    ├── SettingsError            a setting that cannot be used
    ├── QuestionError            a question that cannot be taken: empty, too long
    ├── SourceError(path, line)  an article that cannot be read
    ├── StoreError               the index
    │   ├── IndexMissingError      there is none yet
    │   ├── IndexMismatchError     it was built with another model or version
    │   ├── IndexBrokenError       it does not find what it should hold
    │   └── IndexBusyError         somebody else is writing it
    ├── ModelError               an embedding or chat model
    │   ├── ModelMissingError      weights or an extra are not there
    │   └── ModelReplyError        a reply that cannot be used
    ├── WorkError                work in a process of its own that cost more than it may
    ├── BackupError              a backup that cannot be written, read or restored
    ├── PolicyError(path, line)  a guardrail policy file that cannot be used
    └── DatasetError(path, line) an evaluation or batch file that cannot be used
"""

from __future__ import annotations

from pathlib import Path


class RagbotError(Exception):
    """A problem that a person can mend: ``message`` says what and where, ``hint`` what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class SettingsError(RagbotError):
    """A setting that is unknown or cannot be used."""


class QuestionError(RagbotError):
    """A question that is empty or longer than the limit."""


class _FileError(RagbotError):
    def __init__(self, message: str, hint: str = "", *, path: Path | str, line: int | None = None) -> None:
        super().__init__(message, hint)
        self.path = Path(path)
        self.line = line

    def __str__(self) -> str:
        where = f"{self.path}:{self.line}" if self.line else str(self.path)
        return f"{where}: {super().__str__()}"


class SourceError(_FileError):
    """An article that cannot be read, with file and line."""


class PolicyError(_FileError):
    """A guardrail policy file that cannot be used, with file and line."""


class DatasetError(_FileError):
    """An evaluation or batch file that cannot be used, with file and line."""


class WorkError(RagbotError):
    """Work in a process of its own that took longer or more memory than it may, or that has to wait for too much other work."""


class BackupError(RagbotError):
    """A backup that cannot be written, read or restored."""


class StoreError(RagbotError):
    """The index cannot be used."""


class IndexMissingError(StoreError):
    """There is no index yet."""


class IndexMismatchError(StoreError):
    """The index was built with another embedding model or format."""


class IndexBrokenError(StoreError):
    """The index does not find what it should hold."""


class IndexBusyError(StoreError):
    """Another process is writing the index."""


class ModelError(RagbotError):
    """A model cannot be used."""


class ModelMissingError(ModelError):
    """A model's weights or an optional package are not installed."""


class ModelReplyError(ModelError):
    """A chat model's reply cannot be used."""
