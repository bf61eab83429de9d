from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from ragbot.errors import SettingsError
from ragbot.settings import Settings


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, so that no ragbot.toml of the project is read."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_config(folder: Path, text: str, name: str = "ragbot.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_without_any_word_the_defaults_hold() -> None:
    settings = Settings.load()
    assert (settings.sources, settings.index) == (Path("sources"), Path("index"))
    assert (settings.host, settings.port) == ("127.0.0.1", 7860)
    assert settings.model == "extractive"
    assert settings.question_limit == 2000
    assert (settings.questions_per_minute, settings.questions_per_day) == (10, 100)


PLACES = {"argument": 8003, "environment": 8002, "file": 8001}


@pytest.mark.parametrize(
    ("said", "winner"),
    [
        (("file",), "file"),
        (("file", "environment"), "environment"),
        (("file", "argument"), "argument"),
        (("environment", "argument"), "argument"),
        (("file", "environment", "argument"), "argument"),
    ],
)
def test_argument_goes_before_environment_goes_before_file(
    said: tuple[str, ...], winner: str, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "file" in said:
        write_config(elsewhere, f"[ragbot]\nport = {PLACES['file']}\nregion = 'UK'\n")
    if "environment" in said:
        monkeypatch.setenv("RAGBOT_PORT", str(PLACES["environment"]))
    settings = Settings.load(port=PLACES["argument"] if "argument" in said else None)
    assert settings.port == PLACES[winner]
    # What only the file says is kept, whoever else speaks.
    assert settings.region == ("UK" if "file" in said else "US")


def test_a_path_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGBOT_INDEX", "/srv/index")
    assert Settings.load().index == Path("/srv/index")


def test_the_file_is_found_by_argument_by_environment_and_by_name(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_config(elsewhere, "[ragbot]\nport = 8001\n")
    by_environment = write_config(elsewhere, "[ragbot]\nport = 8002\n", "second.toml")
    by_argument = write_config(elsewhere, "[ragbot]\nport = 8003\n", "third.toml")
    assert Settings.load().port == 8001
    monkeypatch.setenv("RAGBOT_CONFIG", str(by_environment))
    assert Settings.load().port == 8002
    assert Settings.load(by_argument).port == 8003


def test_other_tables_of_the_file_are_left_alone(elsewhere: Path) -> None:
    write_config(elsewhere, "[bars]\nport = 'not ours'\n[ragbot]\nport = 8001\n")
    assert Settings.load().port == 8001


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[ragbot]\nprot = 8001\n", r"'prot' cannot be used.*Known settings: .*\bport\b"),
        ("[ragbot]\nport = 'many'\n", "'port' cannot be used: Input should be a valid integer"),
        ("[ragbot]\nport = 0\n", "'port' cannot be used: Input should be greater than or equal to 1"),
        ("[ragbot]\npassages = 51\n", "'passages' cannot be used"),
        ("[ragbot]\nmodel_timeout_seconds = 0\n", "'model_timeout_seconds' cannot be used"),
        ("[ragbot]\nquestion_limit = 99\n", "'question_limit' cannot be used"),
        ("ragbot = 3\n", r"not a table.*\[ragbot\]"),
        ("[ragbot\n", "ragbot.toml' cannot be read"),
    ],
)
def test_a_wrong_file_is_refused_with_the_reason(text: str, message: str, elsewhere: Path) -> None:
    write_config(elsewhere, text)
    with pytest.raises(SettingsError, match=message):
        Settings.load()


def test_a_file_that_is_not_utf8_is_refused(elsewhere: Path) -> None:
    (elsewhere / "ragbot.toml").write_bytes(b"[ragbot]\nregion = '\xff'\n")
    with pytest.raises(SettingsError, match=r"ragbot.toml' cannot be read"):
        Settings.load()


@pytest.mark.parametrize("place", ["argument", "environment"])
def test_a_named_file_that_is_missing_is_an_error(place: str, elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = elsewhere / "missing.toml"
    if place == "environment":
        monkeypatch.setenv("RAGBOT_CONFIG", str(missing))
    with pytest.raises(SettingsError, match=r"missing\.toml.*No such file"):
        Settings.load(missing if place == "argument" else None)


def test_a_typo_in_the_environment_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGBOT_PROT", "8001")
    with pytest.raises(SettingsError, match=r"'RAGBOT_PROT' in the environment is no setting.*RAGBOT_PORT"):
        Settings.load()


def test_a_wrong_value_in_the_environment_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGBOT_PORT", "99999")
    with pytest.raises(SettingsError, match="'port' cannot be used"):
        Settings.load()


def test_a_typo_in_an_argument_is_an_error() -> None:
    with pytest.raises(SettingsError, match="'prot' cannot be used"):
        Settings.load(prot=8001)


def test_settings_do_not_change_once_loaded() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings.load().port = 8001  # type: ignore[misc]


def test_every_setting_says_what_it_is_for() -> None:
    unsaid = {name for name, field in Settings.model_fields.items() if not field.description} - {"port", "model_timeout_seconds"}
    assert not unsaid
