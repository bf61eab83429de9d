from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragbot.errors import DatasetError
from ragbot.evaluation.sets import AnswersItem, kind_of, read_sets

ANSWER = {"id": "a1", "question": "How often are tomatoes fed?", "status": ["answered"], "must_contain": [["once a week"]]}
GUARD = {"id": "g1", "text": "How do I water?", "label": "benign", "axis": "crisis"}
GOOD = {
    "a.answers.jsonl": ANSWER,
    "b.guardrails.jsonl": GUARD,
    "c.answerability.jsonl": {"id": "x", "question": "When?", "passages": ["In the morning."], "answer": None, "answerable": False},
    "d.grounding.jsonl": {"id": "x", "context": "It rains.", "claim": "It rains.", "supported": True},
}


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    def write_file(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
        return path

    return write_file


def lines(*items: object) -> str:
    return "".join(json.dumps(item) + "\n" for item in items)


def write_retrieval(write: Callable[[str, str], Path], qrels: str, corpus: str | None = None) -> Path:
    queries = write("r.retrieval/queries.jsonl", lines({"id": "q1", "text": "rain"}, {"id": "q2", "text": "snow"}))
    write("r.retrieval/qrels.tsv", qrels)
    if corpus is not None:
        write("r.retrieval/corpus.jsonl", corpus)
    return queries.parent


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("x.answers.jsonl", "answers"),
        ("x.guardrails.jsonl.gz", "guardrails"),
        ("x.y.grounding.jsonl", "grounding"),
        ("x.retrieval", "retrieval"),
        ("x.jsonl", None),
        ("answers.jsonl", None),
        ("README.md", None),
        (".answers.jsonl", None),
    ],
)
def test_the_name_tells_the_kind(name: str, kind: str | None) -> None:
    assert kind_of(Path(name)) == kind


@pytest.mark.parametrize("packed", ["", ".gz"])
def test_all_kinds_are_found_below_a_folder(tmp_path: Path, write: Callable[[str, str], Path], packed: str) -> None:
    for name, item in GOOD.items():
        write(f"deep/{name}{packed}", lines(item))
    write("deep/deeper/notes.jsonl", "not a set\n")
    write_retrieval(write, "q1\td1\t2\nq2 0 d1 1\n", lines({"id": "d1", "title": None, "text": "Rain.", "url": None}))
    sets, problems = read_sets([tmp_path])
    assert not problems
    assert {one.kind for one in sets} == {"answers", "guardrails", "answerability", "grounding", "retrieval"}
    retrieval = next(one for one in sets if one.kind == "retrieval")
    assert retrieval.judgements == {"q1": {"d1": 2}, "q2": {"d1": 1}}


@pytest.mark.parametrize(
    ("name", "text", "line", "words"),
    [
        ("a.answers.jsonl", lines(ANSWER) + '{"id": "a2", "question"\n', 2, "not JSON"),
        ("a.answers.jsonl", lines(ANSWER, {**ANSWER, "question": "Again?"}), 2, "'a1' stands in line 1"),
        ("a.answers.jsonl", lines({**ANSWER, "id": ""}, ANSWER), 1, "'id'"),
        ("a.answers.jsonl", lines({**ANSWER, "id": "a0", "status": ["perhaps"]}, ANSWER), 1, "'status.0'"),
        ("a.answers.jsonl", lines({**ANSWER, "id": "a0", "status": []}, ANSWER), 1, "'status'"),
        ("a.answers.jsonl", lines([1], ANSWER), 1, "AnswersItem"),
        ("b.guardrails.jsonl", lines(GUARD, {**GUARD, "id": "g2", "label": "dubious"}), 2, "unknown label 'dubious'"),
        ("d.grounding.jsonl", lines(GOOD["d.grounding.jsonl"], {"id": "y", "claim": "It snows."}), 2, "'context'"),
    ],
)
def test_a_bad_line_is_told_with_file_and_line_and_the_rest_is_kept(write: Callable[[str, str], Path], name: str, text: str, line: int, words: str) -> None:
    path = write(name, text)
    sets, problems = read_sets([path])
    assert [len(one.items) for one in sets] == [1]
    assert len(problems) == 1
    assert f"{path}:{line}" in str(problems[0])
    assert words in str(problems[0])


def test_bytes_that_are_no_text_are_told_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "a.answers.jsonl"
    path.write_bytes(b'\xff{"id": 1}\n' + lines(ANSWER).encode())
    sets, problems = read_sets([path])
    assert len(sets[0].items) == 1
    assert f"{path}:1" in str(problems[0])
    assert "UTF-8" in str(problems[0])


def test_a_file_that_is_no_gzip_is_a_problem_not_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "a.answers.jsonl.gz"
    path.write_text("plain", encoding="utf-8")
    sets, problems = read_sets([path])
    assert not sets
    assert any("cannot be read" in str(problem) for problem in problems)


@pytest.mark.parametrize("text", ["", "\n\n"])
def test_an_empty_set_is_told(write: Callable[[str, str], Path], text: str) -> None:
    sets, problems = read_sets([write("a.answers.jsonl", text)])
    assert not sets
    assert "empty" in str(problems[0])


@pytest.mark.parametrize(
    ("qrels", "words"),
    [
        ("q1\td1\t1\nq2\td9\t1\n", "'d9' is not in the corpus"),
        ("q1\td1\t1\nq9\td1\t1\n", "'q9' is not among the queries"),
        ("q1\td1\t1\nq1\td1\t2\n", "'d1' is judged twice"),
        ("q1\td1\t1\nq2\td1\thigh\n", "Not 'query document grade'"),
        ("q1\td1\t1\n", "1 of 2 queries have no judgement"),
    ],
)
def test_judgements_that_fit_nothing_are_told(write: Callable[[str, str], Path], qrels: str, words: str) -> None:
    folder = write_retrieval(write, qrels, lines({"id": "d1", "text": "Rain."}))
    sets, problems = read_sets([folder])
    assert [item.id for item in sets[0].items] == ["q1"]
    assert any(words in str(problem) for problem in problems)


@pytest.mark.parametrize("name", ["missing.answers.jsonl", "notes.txt", "folder"])
def test_a_path_that_holds_no_set_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "notes.txt").write_text("nothing", encoding="utf-8")
    with pytest.raises(DatasetError, match=name.split(".", maxsplit=1)[0]):
        read_sets([tmp_path / name])


def test_what_is_tuned_on_runs_only_where_it_is_named(tmp_path: Path, write: Callable[[str, str], Path]) -> None:
    tuned = write("calibration.answers.jsonl", lines(ANSWER))
    write("report.answers.jsonl", lines(ANSWER))
    assert [one.name for one in read_sets([tmp_path])[0]] == ["report"]
    assert [one.name for one in read_sets([tuned])[0]] == ["calibration"]


def test_a_query_may_be_answered_or_declined_and_still_be_unanswerable() -> None:
    assert AnswersItem.model_validate({**ANSWER, "status": ["answered", "emergency"]}).answerable
    assert not AnswersItem.model_validate({**ANSWER, "status": ["abstained", "declined"]}).answerable


@given(st.binary(max_size=200))
def test_no_bytes_whatever_stop_the_reading(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("bytes") / "a.answers.jsonl"
    path.write_bytes(content)
    sets, problems = read_sets([path])
    assert problems or sets
