"""No secret is shown, whatever it stands in; what is no secret is."""

from __future__ import annotations

import pytest

from ragbot.secrecy import HIDDEN, is_secret_name, settings_shown, without_secrets

ARGON = "$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHQ$aGFzaGhhc2hoYXNo"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"anna = '{ARGON}'", "anna = '[hidden]'"), ("$2b$12$abcdefghijklmnopqrstuv", "[hidden]"), ("key sk-proj-abcdEFGH1234 is wrong", "key [hidden] is wrong"),
        ("hf_abcdefghijklmnop", "[hidden]"), ("Authorization: Bearer abc.def-ghi_jkl", "Authorization: [hidden]"), ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIx.c2lnbg", "[hidden]"),
        ("AIzaSyA1234567890abcdefghijklmnop", "[hidden]"), ("AKIAIOSFODNN7EXAMPLE", "[hidden]"),
        ("https://user:pass@host:8080/v1", "https://[hidden]@host:8080/v1"), ("http://host/v1?api_key=abc&x=1", "http://host/v1?[hidden]"), ("wss://host/a#token=b", "wss://host/a?[hidden]"),
        ("postgres://me:p%40ss@db/x failed", "postgres://[hidden]@db/x failed"),
    ],
)  # fmt: skip
def test_what_looks_like_a_secret_is_hidden(text: str, shown: str) -> None:
    assert without_secrets(text) == shown


@pytest.mark.parametrize(
    "text", ["", "sha256 53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db", "https://example.org/a/b", "0.5 mg/kg costs $5", "risk-benefit", "skill-set-of-words", "Is it? Yes."]
)
def test_what_is_none_stays(text: str) -> None:
    assert without_secrets(text) == text


def test_what_the_environment_holds_as_a_secret_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "plain words here")
    assert without_secrets("it said 'plain words here' to me") == "it said '[hidden]' to me"


@pytest.mark.parametrize(("name", "secret"), [("model_api_key", True), ("API_TOKEN", True), ("password", True), ("keep_questions", False), ("monkey", False), ("tokens_of", True), ("staff", False)])
def test_names_of_secrets(name: str, secret: bool) -> None:
    assert is_secret_name(name) == secret


def test_of_settings_that_map_names_to_secrets_the_names_are_shown() -> None:
    assert settings_shown({"staff": {"bo": ARGON, "anna": "x"}, "empty": {}, "model_key": "abc", "host": "127.0.0.1"}) == {
        "staff": "anna, bo", "empty": "nobody", "model_key": "[hidden]", "host": "127.0.0.1",
    }  # fmt: skip


@pytest.mark.parametrize(
    "address",
    ["https://u:p@CANARY@h.example/v1", "https://u:CANARY/x@h.example", "https://u:CANARY%20 x@h.example", "//u:CANARY@h.example", "u:CANARY@h.example", "https://h.example;apikey=CANARY", "https://h.example/key/CANARY"],
)
def test_of_a_models_address_the_host_alone_is_shown(address: str) -> None:
    shown = settings_shown({"model_base_url": address})["model_base_url"]
    assert "CANARY" not in shown
    assert shown in (HIDDEN, "https://h.example", "http://h.example")


@pytest.mark.parametrize(("model", "shown"), [("extractive", "extractive"), ("openai:gpt-4o", "openai:gpt-4o"), ("openai:gpt?key=CANARY", HIDDEN), ("CANARYCANARY", HIDDEN)])
def test_a_key_in_place_of_a_model_is_not_shown(model: str, shown: str) -> None:
    assert settings_shown({"model": model})["model"] == shown
