"""In a git repository, publishing and retiring are commits; outside of one, or where git cannot, nothing of it is felt."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ragbot.curating import Desk
from ragbot.settings import Settings

MakeSettings = Callable[..., Settings]
CARD = "---\ntitle: Slugs\nsummary: On slugs.\npublisher: Example Garden Society\nurl: https://example.org/\nstatus: draft\n---\n"


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", "-C", folder, *arguments], capture_output=True, text=True, check=True).stdout


@pytest.fixture
def repository(copied_library: Path) -> Path:
    git(copied_library.parent, "init", "--quiet")
    git(copied_library.parent, "add", "sources")
    git(copied_library.parent, "-c", "user.name=Ada", "-c", "user.email=ada@example.org", "commit", "--quiet", "--message", "Begin")
    return copied_library


def log(folder: Path) -> list[str]:
    return git(folder, "log", "--reverse", "--format=%s by %an").splitlines()


def test_publishing_retiring_and_undoing_are_commits_of_that_file_alone(settings: MakeSettings, repository: Path) -> None:
    (repository / "coffee-grounds.md").write_text("somebody's work in the middle", encoding="utf-8")
    (repository / "staged.txt").write_text("not to be committed", encoding="utf-8")
    git(repository, "add", "staged.txt")
    desk = Desk(settings(sources=repository))
    desk.add_file((CARD + "Slugs eat lettuce.\n").encode(), "slugs.md", "Ada")
    desk.publish("slugs", "Bo <b@evil.example>\n")
    desk.retire("slugs", "Ada")
    desk.undo("slugs", "Ada")
    assert log(repository) == ["Begin by Ada", "Published: slugs by Bo b@evil.example", "Retired: slugs by Ada", "Undone: slugs by Ada"]
    assert git(repository, "show", "HEAD:sources/slugs.md") == (repository / "slugs.md").read_text(encoding="utf-8")
    changed = git(repository, "log", "-3", "--name-only", "--format=").split()
    assert set(changed) == {"sources/slugs.md"}
    assert "A  staged.txt" in git(repository, "status", "--short", "--", ".").replace("sources/", "")


def test_undoing_the_first_publication_takes_the_file_out(settings: MakeSettings, repository: Path) -> None:
    desk = Desk(settings(sources=repository))
    desk.add_file((CARD + "Slugs eat lettuce.\n").encode(), "slugs.md", "Ada")
    desk.publish("slugs", "Ada")
    desk.undo("slugs", "Ada")
    assert log(repository)[-1] == "Undone: slugs by Ada"
    assert "slugs.md" not in git(repository, "ls-tree", "--name-only", "-r", "HEAD")


@pytest.mark.parametrize("case", ["no repository", "switched off", "no git", "ignored", "a commit that fails"])
def test_where_there_is_no_commit_the_act_stands_all_the_same(settings: MakeSettings, copied_library: Path, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    repository = copied_library if case == "no repository" else None
    if repository is None:
        git(copied_library.parent, "init", "--quiet")
        if case == "ignored":
            (copied_library.parent / ".gitignore").write_text("sources/\n")
        if case == "a commit that fails":
            (copied_library.parent / ".git" / "index.lock").touch()
        if case == "no git":
            monkeypatch.setenv("PATH", "")
    desk = Desk(settings(sources=copied_library, commit_sources=case != "switched off"))
    desk.add_file((CARD + "Slugs eat lettuce.\n").encode(), "slugs.md", "Ada")
    act = desk.publish("slugs", "Ada")
    assert desk.is_published("slugs")
    assert desk.history.acts("slugs")[-1] == act
    if case not in ("no repository", "no git"):
        assert subprocess.run(["git", "-C", copied_library, "log"], capture_output=True, check=False).returncode != 0
