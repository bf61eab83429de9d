"""What a careful owner is told, what counts as wrong, and that no secret is told."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from ragbot import diagnosis
from ragbot.cli import run
from ragbot.curating import Desk
from ragbot.curating.missing import Feedback
from ragbot.diagnosis import Diagnosis, diagnose
from ragbot.records import Answer
from ragbot.settings import Settings

MakeSettings = Callable[..., Settings]
HASH = "$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHQ$CANARYhhc2hoYXNo"


@pytest.fixture
def make(settings: MakeSettings, index: Path, copied_library: Path, tmp_path: Path) -> MakeSettings:
    """Settings over a copy of the small library and its index."""
    built = Path(shutil.copytree(index, tmp_path / "built"))
    return lambda **more: settings(**({"sources": copied_library, "index": built} | more))


def told(pieces: tuple[str, ...], *words: str) -> list[str]:
    return [piece for piece in pieces if all(word in piece for word in words)]


def test_a_library_that_nobody_has_reviewed_works_and_is_no_library_without_problems(make: MakeSettings) -> None:
    found = diagnose(make())
    assert found.problems == ()
    assert told(found.advice, "of 4 published articles have no clinical review")
    assert told(found.advice, "No backup is on record")
    assert "no problems" not in found.verdict
    assert found.verdict == f"Everything that was checked works; {len(found.advice)} things to see to."
    assert found.sections["Sources"]["drafts waiting"] == 1
    assert (found.sections["Serving"]["staff"], found.sections["Kept"]["questions"]) == ("nobody: the staff page is off", "no, only counts by day")


@pytest.mark.parametrize(("problems", "advice", "verdict"), [((), (), "Everything that was checked works; nothing to see to."), (("a",), ("b",), "1 problem, 1 thing to see to."), (("a", "b"), (), "2 problems, nothing to see to.")])
def test_the_last_line_says_what_was_found(problems: tuple[str, ...], advice: tuple[str, ...], verdict: str) -> None:
    assert Diagnosis({}, problems, advice).verdict == verdict


def test_an_article_changed_since_the_index_was_built_is_a_problem(make: MakeSettings, copied_library: Path) -> None:
    path = copied_library / "coffee-grounds.md"
    path.write_text(path.read_text(encoding="utf-8") + "\nSlugs eat lettuce.\n", encoding="utf-8")
    assert told(diagnose(make()).problems, "changed since the index was built: coffee-grounds", "ragbot index")


def test_a_retired_article_is_told_of_wherever_it_still_is(make: MakeSettings, copied_library: Path) -> None:
    there = make()
    Desk(there).retire("coffee-grounds", "Ada")
    found = diagnose(there)
    assert told(found.problems, "still holds what is not published any more: coffee-grounds")
    current = (there.index / "CURRENT").read_text(encoding="ascii").split()[0]
    older = Path(shutil.copytree(there.index / current, there.index / "gen-000900"))
    assert told(diagnose(there).advice, f"{older.name!r} still holds", "coffee-grounds")


def test_reviews_that_are_due_are_problems(make: MakeSettings, copied_library: Path) -> None:
    path = copied_library / "coffee-grounds.md"
    yesterday = date.today() - timedelta(days=1)
    text = path.read_text(encoding="utf-8")
    head, rest = text.split("---\n", 2)[1:]
    kept = "\n".join(line for line in head.splitlines() if not line.startswith("review"))
    path.write_text(f"---\n{kept}\nreview: {{state: pending, due: {yesterday}}}\n---\n{rest}", encoding="utf-8")
    found = diagnose(make())
    assert told(found.problems, f"'coffee-grounds' was due on {yesterday}")
    assert found.sections["Sources"]["review overdue"] == 1


@pytest.mark.parametrize(
    ("host", "staff", "proxies", "kind"),
    [
        ("127.0.0.1", True, "", ""), ("localhost", True, "", ""), ("::1", True, "", ""), ("0.0.0.0", True, "", "problems"), ("::", True, "10.0.0.1", "problems"), ("192.168.1.5", False, "", "advice"),
    ],
)  # fmt: skip
def test_listening_beyond_this_machine_without_https_is_told(host: str, staff: bool, proxies: str, kind: str, make: MakeSettings) -> None:
    found = diagnose(make(host=host, staff={"anna": HASH} if staff else {}, trusted_proxies=proxies))
    assert [name for name in ("problems", "advice") if told(getattr(found, name), "without HTTPS")] == ([kind] if kind else [])


def test_damaged_counts_are_a_problem_and_are_left_where_they_are(make: MakeSettings, answer_to: Callable[..., Answer]) -> None:
    there = make()
    feedback = Feedback(there)
    feedback.count(answer_to("A question?"))
    path = feedback.folder / "feedback.sqlite"
    path.write_bytes(b"garbage" * 1000)
    assert told(diagnose(there).problems, "feedback.sqlite", "damaged")
    assert path.read_bytes() == b"garbage" * 1000
    feedback.count(answer_to("A question?"))
    assert told(diagnose(there).problems, "set aside")


@pytest.mark.parametrize(("days", "advice"), [(3, None), (45, "45 days old")])
def test_the_last_backup_on_record(days: int, advice: str | None, make: MakeSettings) -> None:
    there = make()
    history = there.sources / "history"
    history.mkdir(exist_ok=True)
    made = [datetime.now(UTC) - timedelta(days=days + more) for more in (100, 0)]
    lines = [json.dumps({"path": "/backups/a.tar.gz", "made": one.isoformat(timespec="seconds")}) for one in made]
    (history / "backups.jsonl").write_text("\n".join([*lines, "broken", "{}", '{"made": 7}']) + "\n", encoding="utf-8")
    found = diagnose(there)
    assert found.sections["Kept"]["last backup"] == made[1].date().isoformat()
    assert bool(told(found.advice, "last backup on record")) == (advice is not None)
    assert advice is None or told(found.advice, advice)


@pytest.mark.parametrize(("free", "kind"), [(50_000_000, "problems"), (1_000_000_000, "advice"), (50_000_000_000, "")])
def test_little_room_on_the_disk(free: int, kind: str, make: MakeSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis.shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
    found = diagnose(make())
    assert [name for name in ("problems", "advice") if told(getattr(found, name), "The disk that holds the sources")] == ([kind] if kind else [])


def test_what_staff_holds_that_is_no_hash_is_named_and_not_shown(make: MakeSettings) -> None:
    found = diagnose(make(staff={"anna": "CANARY plain password"}))
    assert told(found.problems, "'anna'", "no hash")
    assert "CANARY" not in str(found.to_dict())


SECRETS = {
    "RAGBOT_STAFF": json.dumps({"anna": HASH}), "RAGBOT_MODEL_BASE_URL": "https://me:CANARY-pass@host.example/v1?key=CANARY-key", "OPENAI_API_KEY": "sk-CANARY-1234567890",
    "ANTHROPIC_API_KEY": "CANARY plain words",
}  # fmt: skip


@pytest.mark.parametrize("as_json", [False, True])
def test_the_command_tells_no_secret(as_json: bool, make: MakeSettings, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    there = make()
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    assert run(["doctor", "--sources", str(there.sources), "--index", str(there.index), *(["--json"] if as_json else [])]) == 0
    out, err = capfd.readouterr()
    assert "CANARY" not in out + err
    assert "argon2" not in out + err
    assert "anna" in out
    if as_json:
        assert json.loads(out)["verdict"].startswith("Everything that was checked works")


@pytest.mark.parametrize(
    "config",
    [
        f'[ragbot.staff]\n"{HASH}" = 5\n', f"[ragbot]\nstaff = '{HASH}'\n", f"[ragbot]\nport = '{HASH}'\n", "[ragbot]\nmodel_api_key = 'sk-CANARY-12345678'\n",
        "[ragbot]\ntrusted_proxies = 'sk-CANARY-12345678'\n", f"[ragbot\nstaff = '{HASH}'\n", "[ragbot]\n'sk-CANARY-12345678' = 1\n",
    ],
)  # fmt: skip
def test_settings_that_cannot_be_used_tell_no_secret(config: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "ragbot.toml"
    path.write_text(config, encoding="utf-8")
    assert run(["doctor", "--config", str(path)]) == 2
    out, err = capfd.readouterr()
    assert err.strip()
    assert "CANARY" not in out + err


def test_an_environment_that_cannot_be_read_tells_no_secret(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("RAGBOT_STAFF", f'{{"anna": "{HASH}"')
    assert run(["doctor"]) == 2
    out, err = capfd.readouterr()
    assert "RAGBOT_STAFF" in err
    assert "CANARY" not in out + err
