"""Folders for temporary files: in use they stay, and what a killed process left is swept away."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from ragbot import borrowing
from ragbot.borrowing import borrow_folder, sweep_folders

HOLDS = """
import sys, tempfile
tempfile.tempdir = sys.argv[1]
from ragbot.borrowing import borrow_folder
folder, give_back = borrow_folder()
print(folder, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(borrowing, "_YOUNG_SECONDS", -1)
    return tmp_path


def test_what_is_given_back_is_gone(place: Path) -> None:
    folder, give_back = borrow_folder()
    (folder / "words").touch()
    assert sweep_folders() == [folder]
    give_back()
    assert list(place.iterdir()) == []


def test_the_folder_of_a_killed_process_is_swept_away_and_that_of_a_living_one_stays(place: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", HOLDS, str(place)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        folder = Path(process.stdout.readline().strip())
        assert sweep_folders() == [folder]
        os.kill(process.pid, signal.SIGKILL)
    assert folder.is_dir()
    assert sweep_folders() == []
    assert not folder.exists()


def test_one_that_was_just_made_is_left_alone(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(borrowing, "_YOUNG_SECONDS", 60)
    (place / "ragbot-index-new").mkdir()
    assert sweep_folders() == [place / "ragbot-index-new"]


def test_a_link_leads_nowhere(place: Path) -> None:
    (place / "mine").mkdir()
    (place / "ragbot-index-link").symlink_to(place / "mine")
    assert sweep_folders() == []
    assert (place / "mine").is_dir()


def test_where_nothing_can_be_made_it_is_an_error_of_the_disk(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(place / "gone"))
    with pytest.raises(OSError, match="gone"):
        borrow_folder()
