from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ragbot.chatbot import Ragbot
from ragbot.errors import IndexMismatchError, PolicyError, SourceError
from ragbot.generation import Generation
from ragbot.generations import current_generation
from ragbot.guardrails.policies import LABELS, REVIEWED_POLICY, Policy
from ragbot.library import build_index, check_sources, open_policy, read_article, read_retractions
from ragbot.manifest import read_description, write_manifest
from ragbot.settings import Settings

MakeSettings = Callable[..., Settings]
CARD = "---\ntitle: Slugs\nsummary: On slugs.\npublisher: Example Garden Society\nurl: https://example.org/\nstatus: published\n"
ARTICLE = CARD + "---\nSlugs eat lettuce.\n"


@pytest.fixture(scope="module")
def reviewed_examples() -> list[str]:
    """Three examples of each label."""
    examples = Policy().examples
    return [one.model_dump_json() for label in LABELS for one in [one for one in examples if one.label == label][:3]]


@pytest.fixture
def small_policy(tmp_path: Path, reviewed_examples: list[str]) -> Path:
    """The reviewed policy with few examples, so that training takes no time."""
    folder = Path(shutil.copytree(REVIEWED_POLICY, tmp_path / "policy", ignore=shutil.ignore_patterns("examples")))
    (folder / "examples").mkdir()
    (folder / "examples" / "few.jsonl").write_text("\n".join(reviewed_examples), encoding="utf-8")
    return folder


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_the_reviewed_policy_is_in_force_unless_another_is_named(settings: MakeSettings, small_policy: Path) -> None:
    assert open_policy(settings()).folder == REVIEWED_POLICY
    assert open_policy(settings(policy=small_policy)).folder == small_policy
    with pytest.raises(PolicyError):
        open_policy(settings(policy=small_policy / "nowhere"))


def test_building_reads_chunks_and_indexes_what_is_published(settings: MakeSettings, small_policy: Path, copied_library: Path) -> None:
    there = settings(sources=copied_library, policy=small_policy)
    report = build_index(there)
    generation = Generation(current_generation(there.index))
    assert (report.switched, report.documents, report.generation) == (True, 4, generation.name)
    assert not {"moon-planting", "saving-seeds"} & set(generation.documents)
    assert generation.guard == {}, "the guardrails' model is shipped, not trained at the build"
    assert generation.manifest.policy == Policy(small_policy).digest
    assert not build_index(there).switched
    # A problem in the sources names file and line, and the last good index keeps serving.
    edit(copied_library / "saving-seeds.md", "status: draft", "status: maybe")
    with pytest.raises(SourceError, match=r"saving-seeds\.md:9:"):
        build_index(there)
    assert current_generation(there.index) == generation.folder


def test_an_index_of_another_model_is_refused_and_never_asked(settings: MakeSettings, copied_index: Path) -> None:
    folder = current_generation(copied_index)
    described = read_description(folder)
    write_manifest(folder, replace(described, manifest=replace(described.manifest, embedder="0" * 64)))
    with pytest.raises(IndexMismatchError, match=r"'gen-000001' was built with another embedding model .sha256 0000.*ragbot index"):
        Ragbot.open(settings(index=copied_index))


def test_the_articles_of_the_tests_and_of_the_project_are_in_order(settings: MakeSettings) -> None:
    for folder in (settings().sources, Path(__file__).parent.parent / "sources"):
        checkup = check_sources(settings(sources=folder))
        assert [str(problem) for problem in checkup.problems] == []
        assert len(checkup.documents) == len(list(folder.glob("*.md")))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("fewer fruits. [reed2022]", "fewer fruits. [reed2021]", r"The text cites \[reed2021\], which the references do not hold"),
        ("- {key: reed2022", "- {key: lost2000, title: Lost}\n  - {key: reed2022", "The reference 'lost2000' is cited nowhere in the text"),
        (
            "references:\n",
            "cautions: [{claim: Vines are left alone., see: coffee-grounds, why: They are not.}]\nreferences:\n",
            "The claim of a caution does not stand in the text: 'Vines are left alone.'",
        ),
        (
            "references:\n",
            "cautions: [{claim: Vine tomatoes are pruned, see: nowhere, why: They are not.}]\nreferences:\n",
            "A caution points to 'nowhere', which is no published article",
        ),
        ("title: Pruning tomatoes", "title: ''", "The value of 'title' cannot be used"),
    ],
)
def test_checking_finds_what_is_wrong_inside_an_article(old: str, new: str, message: str, settings: MakeSettings, copied_library: Path) -> None:
    edit(copied_library / "pruning-tomatoes.md", old, new)
    problems = check_sources(settings(sources=copied_library)).problems
    assert len(problems) == 1
    with pytest.raises(SourceError, match=rf"pruning-tomatoes\.md:.*{message}"):
        raise problems[0]


def test_a_caution_may_quote_its_claim_with_other_spaces_and_letters(settings: MakeSettings, copied_library: Path) -> None:
    edit(copied_library / "feeding-tomatoes.md", "claim: Coffee grounds double the", "claim: coffee grounds  DOUBLE the")
    assert check_sources(settings(sources=copied_library)).problems == ()


@pytest.mark.parametrize("text", ["<!-- nothing -->", "# Only a heading", "> Only a notice."])
def test_an_article_without_a_sentence_to_quote_is_a_problem(text: str, settings: MakeSettings, copied_library: Path) -> None:
    (copied_library / "slugs.md").write_text(CARD + f"---\n{text}\n", encoding="utf-8")
    problems = check_sources(settings(sources=copied_library)).problems
    assert [str(problem).split(": ", 1)[1] for problem in problems] == [
        "The article has no sentence that can be quoted. Write its text below the front matter."
    ]


def test_only_the_named_articles_are_checked(settings: MakeSettings, copied_library: Path) -> None:
    edit(copied_library / "pruning-tomatoes.md", "fruits. [reed2022]", "fruits. [reed2021]")
    edit(copied_library / "saving-seeds.md", "status: draft", "status: maybe")
    there = settings(sources=copied_library)
    assert len(check_sources(there).problems) == 2
    assert check_sources(there, ["coffee-grounds"]).problems == ()
    assert [document.source.id for document in check_sources(there, ["coffee-grounds"]).documents] == ["coffee-grounds"]
    assert len(check_sources(there, ["saving-seeds", "coffee-grounds"]).problems) == 1
    with pytest.raises(SourceError, match=r"There is no article 'nowhere'.*ragbot sources list"):
        check_sources(there, ["nowhere"])


@pytest.mark.parametrize(("identity", "status"), [("coffee-grounds", "published"), ("saving-seeds", "draft"), ("moon-planting", "retired")])
def test_an_article_is_read_by_its_id_whatever_its_status(identity: str, status: str, settings: MakeSettings) -> None:
    assert read_article(settings(), identity).source.status == status


@pytest.mark.parametrize("identity", ["nowhere", "", "../library/coffee-grounds", "Coffee-Grounds"])
def test_an_id_that_nobody_has_is_an_error(identity: str, settings: MakeSettings) -> None:
    with pytest.raises(SourceError, match=r"ragbot sources list"):
        read_article(settings(), identity)


@pytest.mark.parametrize(
    ("csv", "message"),
    [
        ("doi,why\n10.5555/IJG.2024.2,invented figures\n", "'pine2024' was retracted"),
        ("\ufeffRecord ID,OriginalPaperDOI\n1,https://doi.org/10.5555/ijg.2024.2\n", "'pine2024' was retracted"),
        ("doi\n10.5555/another\n", None),
    ],
)
def test_a_retracted_reference_is_told(csv: str, message: str | None, settings: MakeSettings, copied_library: Path) -> None:
    (copied_library / "retractions.csv").write_text(csv, encoding="utf-8")
    problems = [str(problem) for problem in check_sources(settings(sources=copied_library)).problems]
    assert any(message in problem for problem in problems) if message else not problems


def test_a_list_of_retractions_without_dois_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "retractions.csv"
    path.write_text("title\nPots\n", encoding="utf-8")
    with pytest.raises(SourceError, match="no column 'doi'"):
        read_retractions(path)
    assert read_retractions(tmp_path / "none.csv") == frozenset()


def test_the_same_passage_many_times_over_breaks_nothing(settings: MakeSettings, copied_library: Path) -> None:
    """150 equal vectors once made the graph of the search lose other articles."""
    (copied_library / "echo.md").write_text(CARD + "---\n" + "## Slugs\n\nSlugs eat lettuce at night.\n\n" * 150, encoding="utf-8")
    there = settings(sources=copied_library)
    assert build_index(there).documents == 5
    generation = Generation(current_generation(there.index))
    assert sum(chunk.source_id == "echo" for chunk in generation.chunks) == 1
    generation.verify()
    generation.close()
