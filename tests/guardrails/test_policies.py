"""The policy: what is in it is whole, and a slip in one of its files is told with the file's name when it is loaded."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from ragbot.errors import PolicyError, SettingsError
from ragbot.guardrails import LABELS, Policy
from ragbot.guardrails.policies import NEEDED_TEXTS, REVIEWED_POLICY

FILES = sorted(path.name for path in REVIEWED_POLICY.glob("*.yaml"))
Change = Callable[[str], str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(REVIEWED_POLICY, tmp_path / "policy"))


def change(path: Path, how: Change) -> None:
    before = path.read_text(encoding="utf-8")
    after = how(before)
    assert after != before, "the change changes nothing"
    path.write_text(after, encoding="utf-8")


def without_text(name: str) -> Change:
    def take_out(text: str) -> str:
        values = yaml.safe_load(text)
        del values["texts"][name]
        return yaml.safe_dump(values, allow_unicode=True)

    return take_out


def test_the_reviewed_policy_is_whole() -> None:
    policy = Policy()
    assert {one.label for one in policy.classes} == set(LABELS)
    assert set(policy.texts) >= NEEDED_TEXTS
    assert {rule.label for rule in policy.rules} >= {"crisis", "medical_emergency", "injection", "illicit", "personal_decision"}
    assert policy.topics.suggestions
    assert {example.label for example in policy.examples} == set(LABELS)
    assert policy.region("us").emergency.number == "911"


def test_every_class_has_the_status_of_the_contract() -> None:
    policy = Policy()
    assert {label: policy.class_of(label).status for label in LABELS} == {
        "crisis": "emergency",
        "medical_emergency": "emergency",
        "personal_decision": "referred",
        "illicit": "declined",
        "out_of_scope": "declined",
        "small_talk": "social",
        "about": "social",
        "injection": "declined",
        "informational": "answered",
        "sensitive_topic": "answered",
    }
    assert policy.class_of("crisis").follow_on_turns == 5


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    "how",
    [
        pytest.param(lambda text: text + "\ncolour: red\n", id="unknown key"),
        pytest.param(lambda text: text + "\n  - [not: {closed\n", id="no YAML"),
        pytest.param(lambda text: "", id="empty"),
        pytest.param(lambda text: "- a list\n", id="a list"),
    ],
)
def test_a_slip_in_any_file_names_the_file(folder: Path, name: str, how: Change) -> None:
    change(folder / name, how)
    with pytest.raises(PolicyError) as caught:
        Policy(folder)
    assert caught.value.path == folder / name
    assert name in str(caught.value)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_or_unreadable_file_names_the_file(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"version: 1\nx: \xff\xfe\n")
    with pytest.raises(PolicyError, match=name):
        Policy(folder)
    (folder / name).unlink()
    with pytest.raises(PolicyError, match=name):
        Policy(folder)


@pytest.mark.parametrize(
    ("name", "how", "words"),
    [
        pytest.param("rules.yaml", lambda text: text.replace("'\\b(kms|", "'\\b((kms|", 1), "no regular expression", id="rule"),
        pytest.param("output.yaml", lambda text: text.replace("'\\b(https?", "'\\b((https?", 1), "no regular expression", id="output rule"),
        pytest.param("rules.yaml", lambda text: text.replace("label: crisis", "label: crises", 1), "label", id="unknown label"),
        pytest.param("rules.yaml", lambda text: text.replace("unless:", "unles:", 1), "unles", id="misspelt key inside"),
        pytest.param("classes.yaml", lambda text: text.replace("threshold: 0.30", "threshold: 3.5", 1), "threshold", id="threshold"),
        pytest.param("classes.yaml", lambda text: text.replace("label: illicit", "label: injection", 1), "has to stand once", id="label twice"),
        pytest.param("classes.yaml", lambda text: text.replace("response: crisis", "response: crysis", 1), "crysis", id="response without a text"),
        pytest.param("resources.yaml", lambda text: text.replace("checked: 2026-11-23", "checked: soon", 1), "checked", id="date"),
        pytest.param("resources.yaml", lambda text: text.replace('number: "911"', "nummer: 911", 1), "regions.US.emergency", id="no number"),
        *(pytest.param("responses.yaml", without_text(name), f"'{name}' is missing", id=f"without {name}") for name in sorted(NEEDED_TEXTS)),
    ],
)
def test_what_is_wrong_inside_is_told(folder: Path, name: str, how: Change, words: str) -> None:
    change(folder / name, how)
    with pytest.raises(PolicyError) as caught:
        Policy(folder)
    assert caught.value.path == folder / name
    assert words in str(caught.value)


def test_a_placeholder_that_nothing_fills_is_told_at_load(folder: Path) -> None:
    change(folder / "responses.yaml", lambda text: text.replace("{resources_short}", "{resources_shrt}", 1))
    with pytest.raises(PolicyError, match=r"responses\.yaml"):
        Policy(folder)


def test_crisis_stands_first(folder: Path) -> None:
    def turn_round(text: str) -> str:
        values = yaml.safe_load(text)
        values["classes"].insert(1, values["classes"].pop(0))
        return yaml.safe_dump(values)

    change(folder / "classes.yaml", turn_round)
    with pytest.raises(PolicyError, match="crisis comes first"):
        Policy(folder)


@pytest.mark.parametrize("line", ["not json", '{"text": ""}', '{"text": "x", "label": "weather"}', "[]"])
def test_a_bad_example_is_told_with_file_and_line(folder: Path, line: str) -> None:
    path = folder / "examples" / "crisis.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([*lines[:3], line, *lines[3:]]), encoding="utf-8")
    with pytest.raises(PolicyError) as caught:
        _ = Policy(folder).examples
    assert (caught.value.path, caught.value.line) == (path, 4)


def test_an_unknown_region_names_those_that_are_known() -> None:
    with pytest.raises(SettingsError, match="GB.*US"):
        Policy().region("XX")


@pytest.mark.parametrize("name", ["rules.yaml", "responses.yaml", "examples/crisis.jsonl"])
def test_the_digest_changes_with_every_file(folder: Path, name: str) -> None:
    before = Policy(folder).digest
    assert before == Policy().digest
    change(folder / name, lambda text: text + "\n")
    assert Policy(folder).digest != before
