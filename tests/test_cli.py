"""The command line: JSON that parses and stands alone, exit codes, one clear line where something is wrong."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import socket
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ragbot import cli
from ragbot.chatbot import Ragbot
from ragbot.cli import hoist_global_options, run
from ragbot.curating.missing import Feedback
from ragbot.records import Answer
from ragbot.settings import Settings
from ragbot.web.signing_in import SignIn

Told = Callable[..., Any]
CARD = "title: Slugs\nsummary: On slugs.\npublisher: Example Garden Society\nurl: https://example.org/\nstatus: draft\n"
SLUGS = f"---\n{CARD}---\nSlugs eat lettuce.\n\n## What does the Larkfield slug eat?\n\nThe Larkfield slug eats blue lettuce only, and nothing else.\n"


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


@pytest.fixture
def desk(index: Path, copied_library: Path, tmp_path: Path) -> list[str]:
    """A library and an index that a command may change; the classifier is trained already."""
    return ["--sources", str(copied_library), "--index", str(shutil.copytree(index, tmp_path / "index"))]


@pytest.fixture
def told(desk: list[str], capsys: pytest.CaptureFixture[str]) -> Told:
    """Runs a command that has to succeed; the one JSON document that it printed."""

    def run_it(*arguments: str) -> Any:
        assert run([*desk, *arguments, "--json"]) == 0, capsys.readouterr().err
        return json.loads(capsys.readouterr().out)

    return run_it


@pytest.mark.parametrize(
    ("name", "data", "identity"),
    [
        ("a page.html", "<html><title>Slugs at night</title><body><p>Slugs eat lettuce at night, and nobody sees them.</p></body></html>", "slugs-at-night"),
        ("night notes.md", "# Slugs at night\n\nSlugs eat lettuce at night, and nobody sees them.\n", None),
        ("night.txt", "Slugs at night\n\nSlugs eat lettuce at night, and nobody sees them.\n", None),
    ],
)
def test_a_file_becomes_a_draft_that_says_what_is_to_do(
    name: str, data: str, identity: str | None, desk: list[str], told: Told, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_text(data, encoding="utf-8")
    added = told("sources", "add", str(tmp_path / name), "--by", "Ada")
    assert identity is None or added["id"] == identity
    draft = Path(added["added"])
    assert draft.parent == tmp_path / "sources" / "drafts" and "Slugs eat lettuce" in draft.read_text(encoding="utf-8")
    assert re.search("publisher|url|summary", added["to_do"])
    # Publishing it as it is: exit code 2, one line, the key that is missing; nothing is changed.
    assert run([*desk, "sources", "publish", added["id"]]) == 2
    printed = capsys.readouterr()
    assert re.search("'(publisher|url|summary)'", printed.err) and len(printed.err.splitlines()) == 1 and not printed.out
    assert draft.exists() and not (tmp_path / "sources" / draft.name).exists()


def test_what_is_added_without_json_is_told_in_words(desk: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "night.txt").write_text("Slugs at night\n\nSlugs eat lettuce at night.\n", encoding="utf-8")
    assert run([*desk, "sources", "add", str(tmp_path / "night.txt")]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "To do before publishing:" in printed and "ragbot sources publish" in printed


def test_publish_retire_and_restore_are_followed_by_the_index_and_the_record(desk: list[str], told: Told, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def status() -> str | None:
        return next((card["status"] for card in told("sources", "list") if card["id"] == "slugs"), None)

    def cited() -> set[str]:
        return {citation["article"] for citation in told("ask", "What does the Larkfield slug eat?")["citations"]}

    (tmp_path / "slugs.md").write_text(SLUGS, encoding="utf-8")
    assert told("sources", "add", str(tmp_path / "slugs.md"), "--by", "Ada")["to_do"] is None
    assert status() is None
    assert told("sources", "publish", "slugs", "--by", "Bo")["published"] == str(tmp_path / "sources" / "slugs.md")
    published = hashlib.sha256((tmp_path / "sources" / "slugs.md").read_bytes()).hexdigest()
    assert (status(), cited()) == ("published", {"slugs"})
    assert told("sources", "retire", "slugs", "--by", "Cy")["generation"]
    assert status() == "retired" and "slugs" not in cited()
    assert told("sources", "restore", "slugs", "--by", "Di")["restored"]
    assert (status(), cited()) == ("published", {"slugs"})
    assert told("sources", "restore", "slugs", "--version", published, "--by", "Ed")["version"] == published
    assert (tmp_path / "sources" / "drafts" / "slugs.md").read_bytes() == (tmp_path / "sources" / "slugs.md").read_bytes()
    acts = told("sources", "history", "slugs")
    assert [(act["action"], act["by"]) for act in acts] == [("imported", "Ada"), ("published", "Bo"), ("retired", "Cy"), ("restored", "Di"), ("restored", "Ed")]
    assert acts[1]["after"]["article"] == published
    assert run([*desk, "sources", "history", "slugs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert re.match(rf"\d{{4}}-\d\d-\d\dT\S+  published  slugs  by Bo  {published[:12]}", lines[1])
    assert told("sources", "history", "nobody") == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["sources", "publish", "nothing"], "no draft 'nothing'"),
        (["sources", "publish", "../evil"], "no id of an article"),
        (["sources", "retire", "nothing"], "no article 'nothing'"),
        (["sources", "restore", "coffee-grounds", "--version", "0" * 64], "never had the version"),
        (["sources", "add", "nowhere.html"], "No such file"),
        (["restore", "nowhere.tar.gz"], "is not empty"),
        (["backup", "nowhere/backup.tar.gz"], "cannot be written"),
        (["backup"], "Missing argument"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_the_desk_cannot_do_exits_2(desk: list[str], arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*desk, *arguments]) == 2
    printed = capsys.readouterr()
    assert words in printed.err and not printed.out
    assert len(printed.err.splitlines()) == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "0.0.0.0", "2130706433"])
def test_an_address_on_this_machine_is_refused_without_a_connection(host: str, desk: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.settimeout(0.3)
        assert run([*desk, "sources", "add", f"http://{host}:{listening.getsockname()[1]}/page.html"]) == 2
        with pytest.raises(TimeoutError):
            listening.accept()
    assert capsys.readouterr().err.strip()


def test_a_backup_and_its_restoration_tell_the_same_digest(
    told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    written = told("backup", "saved.tar.gz", "--with-index")
    new = ["--sources", "new", "--index", "new-index", "--config", "new.toml"]
    (tmp_path / "new.toml").touch()
    assert run(["restore", "saved.tar.gz", *new, "--json"]) == 0
    restored = json.loads(capsys.readouterr().out)
    assert {"written": restored.pop("restored"), **restored} == written and written["with_index"]
    assert run(["ask", "Do coffee grounds raise the harvest of tomato plants?", *new, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["citations"]
    assert run(["restore", "saved.tar.gz", *new]) == 2


def test_a_password_gives_the_line_that_lets_somebody_sign_in(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(cli.typer, "prompt", lambda *_, **__: "four unrelated words")
    assert run(["staff", "password", 'Ada "A." Müller']) == 0
    first = capsys.readouterr()
    assert "[ragbot.staff]" in first.err
    assert run(["staff", "password", "bo"]) == 0
    # Two people's lines, as printed, are one table.
    staff = Settings(**tomllib.loads(f"[ragbot.staff]\n{first.out}{capsys.readouterr().out}")["ragbot"]).staff
    assert list(staff) == ['Ada "A." Müller', "bo"]
    assert SignIn(staff).sign_in('Ada "A." Müller', "four unrelated words", "here")
    assert SignIn(staff).sign_in('Ada "A." Müller', "another password", "here") is None
    monkeypatch.setattr(cli.typer, "prompt", lambda *_, **__: "short")
    assert run(["staff", "password", "Ada"]) == 2
    assert "12 characters" in capsys.readouterr().err


def test_kept_questions_are_forgotten_and_counts_stay(desk: list[str], told: Told, copied_library: Path, answer_to: Callable[..., Answer]) -> None:
    feedback = Feedback(Settings(sources=copied_library, keep_questions=True))
    for number in range(3):
        feedback.mark(answer_to(f"Why do slugs come {number} nights?", "coffee-grounds"), helpful=False)
    assert told("staff", "forget") == {"deleted": 3}
    assert b"slugs come" not in (copied_library / "feedback" / "feedback.sqlite").read_bytes()
    assert feedback.questions() == [] and feedback.usage()["coffee-grounds"].unhelpful == 3
