"""The command line: JSON that parses and stands alone, exit codes, one clear line where something is wrong."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from ragbot.chatbot import Ragbot
from ragbot.cli import hoist_global_options, run


@pytest.fixture
def where(starter: Ragbot) -> list[str]:
    return ["--sources", str(starter.settings.sources), "--index", str(starter.settings.index)]


def test_ask_prints_one_json_document(where: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["ask", "What side effects are common?", "--json", *where]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["status"] == "answered"
    assert printed["citations"][0]["quote"]


def test_a_batch_keeps_order_and_ids_and_survives_bad_lines(where: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = ['{"id": "b", "question": "What is TMS?"}', "not json", '{"id": 7, "question": ""}', '{"id": "a", "question": "and ECT?", "history": ["What is TMS?"]}']
    (tmp_path / "in.jsonl").write_text("\n".join(lines), encoding="utf-8")
    assert run(["ask", "--batch", str(tmp_path / "in.jsonl"), "--out", str(tmp_path / "out.jsonl"), *where]) == 0
    answers = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [answer["id"] for answer in answers] == ["b", "line 2", 7, "a"]
    assert ["error" in answer for answer in answers] == [False, True, True, False]


@pytest.mark.parametrize(
    "arguments", [["search", "bladder", "--json"], ["sources", "list", "--json"], ["sources", "show", "key-trials", "--json"], ["sources", "check", "--json"]], ids=str
)
def test_other_commands_print_json(where: list[str], arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*where, *arguments]) == 0
    assert json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["ask"], "What is the question?"),
        (["sarch", "x"], "No such command"),
        (["ask", "hi", "--index", "/nowhere/at/all"], "no index"),
        (["sources", "show", "nothing"], "no article 'nothing'"),
        (["sources", "list", "--sources", "/nowhere/at/all"], "no such folder"),
        (["ask", "x" * 2001], "longer than I can take"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_errors_are_one_line_and_exit_2(where: list[str], arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*where, *arguments]) == 2
    printed = capsys.readouterr()
    assert words in printed.err.replace("\n", " ")
    assert "Traceback" not in printed.err
    assert not printed.out


def test_help_is_shown_whatever_is_broken(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--index", "/nowhere/at/all", "ask", "i want to kill myself", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["status"] == "emergency"


def test_a_port_in_use_is_told_at_once(where: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert run([*where, "serve", "--port", str(taken.getsockname()[1])]) == 2
    assert "cannot be used" in capsys.readouterr().err


def test_a_broken_article_exits_1_in_check_and_2_in_index(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "bad.md").write_text("---\ntitle: x\ncolour: red\n---\nText.\n", encoding="utf-8")
    where = ["--sources", str(tmp_path / "sources"), "--index", str(tmp_path / "index")]
    assert run([*where, "sources", "check"]) == 1
    assert run([*where, "index"]) == 2
    printed = capsys.readouterr()
    assert "bad.md:3" in (printed.out + printed.err).replace("\n", "")


def test_global_options_hold_wherever_they_stand() -> None:
    assert hoist_global_options(["ask", "q", "--index", "i", "--sources=s"]) == ["--index", "i", "--sources=s", "ask", "q"]
    assert hoist_global_options(["ask", "--", "--index"]) == ["ask", "--", "--index"]
