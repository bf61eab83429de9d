"""Draft → published → retired: each act recorded, reversible, and harmless to everything else."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ragbot.curating import Desk
from ragbot.curating.desk import HISTORY
from ragbot.errors import SourceError
from ragbot.library import read_article
from ragbot.settings import Settings

MakeSettings = Callable[..., Settings]
CARD = "---\ntitle: Slugs\nsummary: On slugs.\npublisher: Example Garden Society\nurl: https://example.org/\nstatus: published\n"
ARTICLE = CARD + "---\nSlugs eat lettuce.\n"


@pytest.fixture
def desk(settings: MakeSettings, copied_library: Path) -> Desk:
    return Desk(settings(sources=copied_library))


def test_a_file_with_a_card_becomes_a_draft_and_nothing_else_changes(desk: Desk) -> None:
    before = {path.name: path.read_bytes() for path in desk.folder.glob("*.md")}
    assert desk.add_file(ARTICLE.encode(), "slugs.md", "Ada") == "slugs"
    draft = desk.draft("slugs")
    assert draft.problem is None
    assert draft.document.source.status == "draft"
    assert draft.text == ARTICLE.replace("published", "draft")
    assert {path.name: path.read_bytes() for path in desk.folder.glob("*.md")} == before


def test_a_foreign_file_becomes_a_draft_whose_card_is_not_complete(desk: Desk, make_pdf: Callable[..., bytes]) -> None:
    data = make_pdf([[("A leaflet on slugs and lettuce.", 72, 700, 11)]], info="/Title (Slugs at night)")
    identity = desk.add_file(data, "../../leaflet final.pdf", "Ada")
    assert identity == "slugs-at-night"
    draft, origin = desk.draft(identity), desk.origin(identity)
    assert draft.problem is not None
    assert draft.document.source.title == "Slugs at night"
    assert "A leaflet on slugs" in draft.document.text
    assert origin is not None
    assert (origin.name, origin.suffix, origin.sha256) == ("leaflet final.pdf", ".pdf", hashlib.sha256(data).hexdigest())
    assert desk.history.original(origin) == data
    with pytest.raises(SourceError):
        desk.publish(identity, "Ada")
    assert not (desk.folder / f"{identity}.md").exists()


@pytest.mark.parametrize("name", ["coffee-grounds.md", "Coffee-Grounds.md", "coffee-grounds.MD"])
def test_nothing_is_overwritten(desk: Desk, name: str) -> None:
    before = {path.name: path.read_bytes() for path in desk.folder.glob("*.md")}
    with pytest.raises(SourceError, match=r"The id '.*' is taken"):
        desk.add_file(ARTICLE.encode(), name, "Ada")
    assert {path.name: path.read_bytes() for path in desk.folder.glob("*.md")} == before


def test_what_cannot_be_read_leaves_nothing_behind(desk: Desk) -> None:
    with pytest.raises(SourceError):
        desk.add_file(b"no PDF", "slugs.pdf", "Ada")
    assert not desk.drafts_folder.exists()
    assert not list((desk.folder / HISTORY).glob("originals/*"))


def test_the_whole_way_of_an_article_is_recorded(desk: Desk) -> None:
    identity = desk.add_file(ARTICLE.encode(), "slugs.md", "Ada")
    first = desk.publish(identity, "Bo")
    assert desk.draft_ids() == ["watering-tomatoes"] or identity not in desk.draft_ids()
    assert desk.is_published(identity)
    assert first.after.article == hashlib.sha256((desk.folder / "slugs.md").read_bytes()).hexdigest()

    desk.begin_edit(identity, "Ada")
    desk.save(identity, ARTICLE.replace("eat lettuce", "eat young lettuce"), "Ada")
    assert "young" not in (desk.folder / "slugs.md").read_text(encoding="utf-8")
    second = desk.publish(identity, "Bo")
    assert "young" in (desk.folder / "slugs.md").read_text(encoding="utf-8")
    assert second.before.article == first.after.article

    desk.retire(identity, "Cy")
    assert not desk.is_published(identity)
    desk.restore(identity, "Cy")
    assert desk.is_published(identity)
    assert first.after.article is not None
    desk.restore(identity, "Ada", first.after.article)
    assert "young" not in desk.draft(identity).text
    assert [(act.action, act.by) for act in desk.history.acts(identity)] == [
        ("imported", "Ada"), ("published", "Bo"), ("edited", "Ada"), ("edited", "Ada"), ("published", "Bo"), ("retired", "Cy"), ("restored", "Cy"),
        ("restored", "Ada"),
    ]  # fmt: skip
    assert all(act.at.endswith("+00:00") for act in desk.history.acts())


def test_each_act_can_be_taken_back(desk: Desk) -> None:
    def lies() -> dict[str, bytes]:
        return {str(path.relative_to(desk.folder)): path.read_bytes() for folder in (desk.folder, desk.drafts_folder) for path in folder.glob("*.md")}

    identity = "slugs"
    acts: list[Callable[[], object]] = [
        lambda: desk.add_file(ARTICLE.encode(), "slugs.md", "Ada"),
        lambda: desk.save(identity, ARTICLE.replace("lettuce", "hostas"), "Ada"),
        lambda: desk.publish(identity, "Ada"),
        lambda: desk.begin_edit(identity, "Ada"),
        lambda: desk.discard(identity, "Ada"),
        lambda: desk.retire(identity, "Ada"),
        lambda: desk.restore(identity, "Ada"),
    ]
    for act in acts:
        before = lies()
        act()
        after = lies()
        assert after != before
        desk.undo(identity, "Bo")
        assert lies() == before
        with pytest.raises(SourceError, match="nothing to undo"):
            desk.undo(identity, "Bo")
        act()
        assert lies() == after


def test_what_was_changed_by_hand_since_is_not_undone(desk: Desk) -> None:
    desk.add_file(ARTICLE.encode(), "slugs.md", "Ada")
    desk.publish("slugs", "Ada")
    path = desk.folder / "slugs.md"
    path.write_text(path.read_text(encoding="utf-8") + "\nBy hand.\n", encoding="utf-8")
    with pytest.raises(SourceError, match="nothing to undo"):
        desk.undo("slugs", "Ada")
    assert "By hand." in path.read_text(encoding="utf-8")


def test_two_people_do_not_overwrite_each_other(desk: Desk) -> None:
    desk.add_file(ARTICLE.encode(), "slugs.md", "Ada")
    seen = desk.draft("slugs").digest
    desk.save("slugs", ARTICLE.replace("lettuce", "hostas"), "Ada", seen=seen)
    with pytest.raises(SourceError, match="Somebody else has saved"):
        desk.save("slugs", ARTICLE.replace("lettuce", "roses"), "Bo", seen=seen)
    assert "hostas" in desk.draft("slugs").text


@pytest.mark.parametrize("identity", ["../slugs", "/etc/passwd", "", ".hidden", "a/b", "a\\b", "x" * 200])
def test_ids_lead_nowhere_else(desk: Desk, identity: str) -> None:
    for act in (
        desk.draft,
        desk.article_text,
        lambda one: desk.publish(one, "Ada"),
        lambda one: desk.retire(one, "Ada"),
        lambda one: desk.save(one, "words", "Ada"),
    ):
        with pytest.raises(SourceError):
            act(identity)


def test_a_torn_line_of_the_record_loses_no_other(desk: Desk) -> None:
    desk.add_file(ARTICLE.encode(), "slugs.md", "Ada")
    record = desk.history.folder / "acts.jsonl"
    record.write_bytes(record.read_bytes() + b'{"id": "torn by a power c')
    desk.publish("slugs", "Bo")
    assert [act.action for act in desk.history.acts("slugs")] == ["imported", "published"]


def test_a_damaged_version_is_not_restored(desk: Desk) -> None:
    desk.add_file(ARTICLE.encode(), "slugs.md", "Ada")
    act = desk.publish("slugs", "Ada")
    assert act.after.article is not None
    (desk.history.folder / "versions" / f"{act.after.article}.md").write_text("something else", encoding="utf-8")
    with pytest.raises(SourceError, match="damaged"):
        desk.restore("slugs", "Ada", act.after.article)


def lines_without_a_status(data: bytes) -> list[bytes]:
    lines = data.removeprefix(b"\xef\xbb\xbf").splitlines(keepends=True)
    return [line for line in lines if not line.strip().startswith((b"status", b'"status', b"published", b"retired"))]


@pytest.mark.parametrize(
    "data",
    [
        ARTICLE.encode(),
        ARTICLE.replace("status: published\n", "").encode(),
        ARTICLE.replace("\n", "\r\n").encode(),
        b"\xef\xbb\xbf" + ARTICLE.encode(),
        ARTICLE.replace("---\n", "----\n").encode(),
        (CARD + "license: |\n  status: published\n---\nstatus: published\n").encode(),
        (CARD + "---\nThey rest\x0cor\x85eat\u2028or sleep.\n").encode(),
        CARD.replace("status: published", '"status": published').encode() + b"---\nText.\n",
        CARD.replace("status: published", "status:\n  published").encode() + b"---\nText.\n",
    ],
    ids=["plain", "without a status", "CRLF", "BOM", "longer rules", "status elsewhere", "other line breaks", "quoted", "on two lines"],
)
def test_retiring_changes_the_status_and_nothing_else(data: bytes, settings: MakeSettings, copied_library: Path) -> None:
    path = copied_library / "slugs.md"
    path.write_bytes(data)
    there = settings(sources=copied_library)
    before = read_article(there, "slugs")
    Desk(there).retire("slugs", "Ada")
    after = read_article(there, "slugs")
    assert after.source == replace(before.source, status="retired")
    assert after.text == before.text
    assert lines_without_a_status(path.read_bytes()) == lines_without_a_status(data)
    assert not [path.name for path in copied_library.iterdir() if path.name.startswith(".")]


def test_only_an_article_that_is_there_can_be_retired(settings: MakeSettings, copied_library: Path) -> None:
    with pytest.raises(SourceError, match="There is no article 'nowhere'"):
        Desk(settings(sources=copied_library)).retire("nowhere", "Ada")


def test_what_lies_among_the_drafts_and_is_none_hides_no_draft(desk: Desk) -> None:
    desk.add_file(ARTICLE.encode(), "slugs.md", "Ada")
    before = desk.draft_ids()
    stray = ["My draft.md", "dead.md", "folder.md", "ünï.md"]
    (desk.drafts_folder / "My draft.md").write_text(ARTICLE, encoding="utf-8")
    (desk.drafts_folder / "dead.md").symlink_to(desk.folder / "nowhere")
    (desk.drafts_folder / "folder.md").mkdir()
    (desk.drafts_folder / "ünï.md").write_text(ARTICLE, encoding="utf-8")
    for name in ("README.md", ".hidden.md", "notes.txt"):
        (desk.drafts_folder / name).write_text(ARTICLE, encoding="utf-8")
    (desk.folder / "My article.md").write_text(ARTICLE.replace("published", "draft"), encoding="utf-8")
    assert desk.draft_ids() == before
    assert [path.name for path in desk.stray_files()] == stray
    assert all(desk.draft(identity) for identity in desk.draft_ids())
    for name in (*stray, "README.md"):
        with pytest.raises(SourceError):
            desk.draft(name.removesuffix(".md"))


def test_there_is_nothing_stray_where_there_are_no_drafts(desk: Desk) -> None:
    assert desk.stray_files() == []


def test_a_file_that_cannot_be_opened_hides_no_draft(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.add_file(ARTICLE.encode(), "slugs.md", "Ada")

    def closed(path: Path, *_: object, **__: object) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", closed)
    monkeypatch.setattr(Path, "read_text", closed)
    assert desk.draft_ids() == ["slugs"]
    with pytest.raises(SourceError, match="The draft cannot be opened: Permission denied"):
        desk.draft("slugs")


@pytest.mark.parametrize(
    "card", ["title: 0x_", "? [a]\n: b", f"title: 0x{'f' * 5000}", "published: 2026-01-05 10:00:00", "review: [a]", "- a", "title: {a: [b]}"]
)
def test_a_draft_with_a_card_that_is_none_is_shown_with_its_problem(desk: Desk, card: str) -> None:
    desk.drafts_folder.mkdir()
    (desk.drafts_folder / "odd.md").write_text(f"---\n{card}\n---\nWords.\n", encoding="utf-8")
    draft = desk.draft("odd")
    assert draft.problem is not None
    assert draft.document.text == "Words."
    assert draft.document.source.published is None
    with pytest.raises(SourceError):
        desk.publish("odd", "Ada")


def test_only_versions_that_an_article_had_become_its_draft(desk: Desk) -> None:
    desk.add_file(ARTICLE.encode(), "slugs.md", "Ada")
    first = desk.publish("slugs", "Ada").after.article
    assert first is not None
    for identity, version in (("snails", first), ("coffee-grounds", first), ("slugs", hashlib.sha256(b"other").hexdigest()), ("slugs", "../x")):
        with pytest.raises(SourceError, match="never had the version"):
            desk.restore(identity, "Bo", version)
    assert not list(desk.drafts_folder.glob("*.md"))


def test_restoring_a_version_overwrites_no_other_draft(desk: Desk) -> None:
    desk.add_file(ARTICLE.encode(), "slugs.md", "Ada")
    first = desk.publish("slugs", "Ada").after.article
    own = desk.save("slugs", ARTICLE.replace("lettuce", "hostas"), "Ada").after.draft
    assert first is not None
    assert own is not None
    with pytest.raises(SourceError, match=r"There is a draft already of 'slugs'\. Publish it or put it away first\."):
        desk.restore("slugs", "Bo", first)
    assert "hostas" in desk.draft("slugs").text
    assert desk.restore("slugs", "Bo", own).after.draft == own
    desk.discard("slugs", "Ada")
    desk.restore("slugs", "Bo", first)
    assert "hostas" not in desk.draft("slugs").text
    desk.discard("slugs", "Ada")
    # A draft that was put away comes back.
    desk.restore("slugs", "Bo", own)
    assert "hostas" in desk.draft("slugs").text
