from __future__ import annotations

from pathlib import Path

import pytest

from ragbot.errors import SourceError
from ragbot.reading import READERS, list_source_files, read_source, read_sources
from ragbot.records import Document

ARTICLES = ["coffee-grounds", "feeding-tomatoes", "moon-planting", "pruning-tomatoes", "saving-seeds", "watering-tomatoes"]


def test_every_article_is_read_whatever_its_status(library: Path) -> None:
    documents, problems = read_sources(library)
    assert problems == []
    assert [document.source.id for document in documents] == ARTICLES
    statuses = {document.source.id: document.source.status for document in documents}
    assert (statuses["moon-planting"], statuses["saving-seeds"], statuses["watering-tomatoes"]) == ("retired", "draft", "published")


def test_notes_hidden_files_and_folders_are_no_articles(copied_library: Path) -> None:
    for name in ("README.md", ".draft.md", "notes.txt", "picture.png"):
        (copied_library / name).write_text("no article", encoding="utf-8")
    (copied_library / "folder.md").mkdir()
    assert [path.stem for path in list_source_files(copied_library)] == ARTICLES


def test_a_capital_suffix_is_a_suffix(copied_library: Path) -> None:
    (copied_library / "saving-seeds.md").rename(copied_library / "saving-seeds.MD")
    assert [document.source.id for document in read_sources(copied_library)[0]] == ARTICLES


def test_a_missing_folder_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"nowhere: There is no such folder.*--sources"):
        list_source_files(tmp_path / "nowhere")


def test_an_empty_folder_holds_no_articles_and_no_problems(tmp_path: Path) -> None:
    assert read_sources(tmp_path) == ([], [])


def test_a_format_without_a_reader_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "article.docx"
    path.write_bytes(b"PK")
    with pytest.raises(SourceError, match=r"No reader for '\.docx' files\. Known: \.md"):
        read_source(path)


def test_every_reader_is_for_a_lower_case_suffix() -> None:
    assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in READERS)


def test_a_broken_article_hides_no_other(copied_library: Path, broken: Path) -> None:
    for name in ("bad-status.md", "nul.md"):
        (copied_library / name).write_bytes((broken / name).read_bytes())
    documents, problems = read_sources(copied_library)
    assert [document.source.id for document in documents] == ARTICLES
    assert [(Path(getattr(problem, "path", "")).name, getattr(problem, "line", None)) for problem in problems] == [
        ("bad-status.md", 6),
        ("nul.md", 8),
    ]


def test_two_articles_with_one_id_are_a_problem(copied_library: Path) -> None:
    twin = copied_library / "Watering-Tomatoes.md"
    twin.write_bytes((copied_library / "watering-tomatoes.md").read_bytes())
    documents, problems = read_sources(copied_library)
    assert len(documents) == len(ARTICLES)
    assert len(problems) == 1
    assert "The id 'watering-tomatoes' is taken by 'Watering-Tomatoes.md'" in str(problems[0])


def caution_to(target: str, folder: Path) -> list[str]:
    path = folder / "feeding-tomatoes.md"
    path.write_text(path.read_text(encoding="utf-8").replace("see: coffee-grounds", f"see: {target}"), encoding="utf-8")
    return [str(problem) for problem in read_sources(folder)[1]]


@pytest.mark.parametrize("target", ["nowhere", "moon-planting", "saving-seeds"])
def test_a_caution_has_to_point_to_a_published_article(target: str, copied_library: Path) -> None:
    problems = caution_to(target, copied_library)
    assert len(problems) == 1
    assert "feeding-tomatoes.md:" in problems[0]
    assert f"A caution points to {target!r}, which is no published article." in problems[0]


def test_a_caution_to_a_published_article_is_no_problem(copied_library: Path) -> None:
    assert caution_to("watering-tomatoes", copied_library) == []


def test_what_is_read_does_not_depend_on_the_order_of_the_folder(copied_library: Path) -> None:
    def read() -> list[Document]:
        return read_sources(copied_library)[0]

    before = read()
    for name in reversed(ARTICLES):
        path = copied_library / f"{name}.md"
        data = path.read_bytes()
        path.unlink()
        path.write_bytes(data)
    assert read() == before
