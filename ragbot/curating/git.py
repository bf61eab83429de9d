"""Where the articles lie in a git repository, what is published or retired becomes a commit there: the team's history tells it too."""

from __future__ import annotations

import logging
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

_log = logging.getLogger("ragbot")
SECONDS = 20
# Commits are made in the name of whoever acted; only the address is not known.
NOBODY = "nobody@localhost"


def commit_article(path: Path, message: str, by: str) -> bool:
    """Commits one file, as it lies or as it is gone, and nothing else that may be changed or staged; whether there is a commit.

    Whatever keeps git from it (no repository, no git, an ignored file, a merge under way) is logged and changes nothing: the act itself
    is recorded in the sources' own history.
    """
    if _git(path.parent, "rev-parse", "--is-inside-work-tree") is not None or _git(path.parent, "check-ignore", "--quiet", "--", path.name) is None:
        return False
    name = " ".join("".join(letter for letter in by if letter.isprintable() and letter not in "<>").split()) or "unknown"
    _git(path.parent, "add", "--all", "--", path.name)
    # Hooks are for people's commits: one that formats or asks would change or hold up what was just published.
    commit = ("commit", "--quiet", "--no-verify", "--no-gpg-sign", "--message", message, "--author", f"{name} <{NOBODY}>", "--only", "--", path.name)
    problem = _git(path.parent, "-c", f"user.name={name}", "-c", f"user.email={NOBODY}", *commit)
    if problem is not None:
        # What git says may name people and hold words of theirs; whoever looks after the repository sees it there.
        _log.warning("git did not commit %s: %s; see git status there", path.name, problem)
    return problem is None


def commits_of(folder: Path, paths: Sequence[Path]) -> tuple[int, list[str]] | None:
    """How many commits of any branch touched one of the paths, and those paths as the repository knows them; None where none did, or
    the folder lies in no repository.

    Args:
        folder: holds the paths, which need not be there any more.
    """
    # Where a path leads by links is not asked: git knows it by the name under which it stands.
    inside = (Path(os.path.relpath(path.absolute(), folder.absolute())).as_posix() for path in paths)
    relative = [path for path in inside if not path.startswith("..")]
    prefix = _ask_git(folder, "rev-parse", "--show-prefix")
    commits = _ask_git(folder, "log", "--all", "--format=%H", "--", *relative)
    if prefix is None or not commits:
        return None
    known = [path for path in relative if _ask_git(folder, "log", "--all", "--max-count=1", "--format=%H", "--", path)]
    # A file that was renamed has commits under its names before as well.
    before = [_ask_git(folder, "log", "--follow", "--name-only", "--format=", "--", path) or "" for path in known]
    names = [prefix.strip() + path for path in known] + [name for names in before for name in names.splitlines() if name.strip()]
    return len(commits.split()), list(dict.fromkeys(names))


def _ask_git(folder: Path, *arguments: str) -> str | None:
    try:
        outcome = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=SECONDS, check=False)  # noqa: S607 — see _git
    except (OSError, subprocess.TimeoutExpired):
        return None
    return outcome.stdout if outcome.returncode == 0 else None


def _git(folder: Path, *arguments: str) -> str | None:
    """What kind of thing went wrong, or None."""
    try:
        outcome = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, timeout=SECONDS, check=False)  # noqa: S607 — the git of the search path is meant
    except (OSError, subprocess.TimeoutExpired) as error:
        return type(error).__name__
    return None if outcome.returncode == 0 else f"exit code {outcome.returncode}"
