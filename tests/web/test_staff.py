"""The staff page over HTTP: nobody gets in uninvited, nothing of it is seen from outside, and forms cannot be forged."""

from __future__ import annotations

import html
import itertools
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from ragbot.curating.missing import Feedback
from ragbot.records import Answer
from ragbot.settings import Settings
from ragbot.web.protecting import Doorkeeper
from ragbot.web.reindexing import Reindexing
from ragbot.web.signing_in import COOKIE, hash_password
from ragbot.web.staff import Staff

MakeSettings = Callable[..., Settings]
PASSWORD = "four unrelated garden words"
ROUTES = (
    ("GET", "/staff"), ("GET", "/staff/add"), ("POST", "/staff/add"), ("GET", "/staff/drafts/slugs"), ("POST", "/staff/drafts/slugs"),
    ("GET", "/staff/articles/coffee-grounds"), ("POST", "/staff/articles/coffee-grounds"), ("GET", "/staff/originals/slugs"),
    ("GET", "/staff/missing"), ("POST", "/staff/missing"), ("GET", "/staff/progress"), ("POST", "/staff/sign-out"), ("GET", "/staff/nothing"),
    ("PUT", "/staff"), ("DELETE", "/staff/articles/coffee-grounds"),
)  # fmt: skip


@pytest.fixture(scope="module")
def password_hash() -> str:
    return hash_password(PASSWORD)


@pytest.fixture
def there(settings: MakeSettings, copied_library: Path, password_hash: str) -> Settings:
    return settings(sources=copied_library, staff={"anna": password_hash})


@pytest.fixture
def site(there: Settings, work_here: Callable[..., Any]) -> TestClient:
    """The staff app behind the doorkeeper, as it is served, without a bot and an index."""
    reindexing = Reindexing(there)
    reindexing.request = lambda: None  # type: ignore[method-assign] — the index is another test's matter

    async def public(scope: object, receive: object, send: Callable[..., object]) -> None:
        raise AssertionError("the chat's app saw a request of staff")

    staff = Staff(there, lambda: None, reindexing, work_here(there)).app()
    return TestClient(Doorkeeper(public, staff), base_url="http://testserver", follow_redirects=False)  # type: ignore[arg-type]


def sign_in(site: TestClient, password: str = PASSWORD) -> int:
    return site.post("/staff/sign-in", data={"name": "anna", "password": password}).status_code


def token(site: TestClient) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', site.get("/staff/add").text)
    assert found
    return found.group(1)


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_nobody_gets_anywhere_without_signing_in(site: TestClient, method: str, path: str) -> None:
    for cookie in (None, "made-up", "a" * 5000):
        site.cookies.clear()
        if cookie:
            site.cookies.set(COOKIE, cookie, path="/staff")
        reply = site.request(method, path)
        assert reply.status_code in (401, 403, 404, 405)
        # The path that was asked for stands in the form, so that signing in leads there; nothing of what lies there does.
        assert "coffee grounds" not in reply.text.lower()
        assert "script-src 'self'" in reply.headers["content-security-policy"]
        assert reply.headers["cache-control"] == "no-store"


def test_the_right_password_opens_and_the_cookie_is_kept_close(site: TestClient) -> None:
    reply = site.post("/staff/sign-in", data={"name": "anna", "password": PASSWORD})
    assert (reply.status_code, reply.headers["location"]) == (303, "/staff")
    cookie = reply.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "path=/staff" in cookie
    assert "; secure" not in cookie
    assert "Coffee grounds" in site.get("/staff").text


def test_behind_https_the_cookie_is_secure(site: TestClient) -> None:
    reply = site.post("https://testserver/staff/sign-in", data={"name": "anna", "password": PASSWORD})
    assert "; secure" in reply.headers["set-cookie"].lower()


def test_ten_bad_passwords_are_enough(site: TestClient) -> None:
    statuses = [sign_in(site, f"wrong {number}") for number in range(12)]
    assert statuses[:9] == [401] * 9
    assert statuses[10:] == [429, 429]
    # The right one comes too late, too, so that guessing on tells nothing.
    assert sign_in(site) == 429


def test_an_unknown_name_is_refused_like_a_wrong_password(site: TestClient) -> None:
    unknown = site.post("/staff/sign-in", data={"name": "nobody", "password": "x"})
    wrong = site.post("/staff/sign-in", data={"name": "anna", "password": "x"})
    assert (unknown.status_code, unknown.text) == (wrong.status_code, wrong.text)


@pytest.mark.parametrize("path", ["/staff/add", "/staff/drafts/slugs", "/staff/articles/coffee-grounds", "/staff/missing", "/staff/sign-out"])
def test_forms_from_elsewhere_are_refused(site: TestClient, there: Settings, path: str) -> None:
    sign_in(site)
    before = {file.name: file.read_bytes() for file in there.sources.glob("*.md")}
    values = {"act": "retire", "title": "Slugs", "text": "Slugs eat lettuce."}
    assert site.post(path, data=values).status_code == 403
    assert site.post(path, data=values | {"csrf": "guessed"}).status_code == 403
    forged = values | {"csrf": token(site)}
    assert site.post(path, data=forged, headers={"origin": "https://evil.example"}).status_code == 403
    assert site.post(path, data=forged, headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert {file.name: file.read_bytes() for file in there.sources.glob("*.md")} == before
    assert not (there.sources / "drafts").exists()


def test_the_way_of_an_article_in_forms(site: TestClient, there: Settings) -> None:
    sign_in(site)
    csrf = token(site)
    added = site.post("/staff/add", data={"csrf": csrf, "title": "Slugs at night", "text": "Slugs eat lettuce at night. <script>alert(1)</script>"})
    assert added.headers["location"] == "/staff/drafts/slugs-at-night?done=added"
    page = site.get("/staff/drafts/slugs-at-night").text
    assert "To do before publishing" in page
    assert "<script>alert" not in page
    refused = site.post("/staff/drafts/slugs-at-night", data={"csrf": csrf, "act": "publish"})
    assert refused.status_code == 422
    assert "publisher" in refused.text
    seen = re.search(r'name="seen" value="([^"]+)"', page)
    assert seen
    card = {"title": "Slugs & snails", "publisher": 'The "Garden"', "url": "https://garden.example/slugs", "authors": "Ada; Bo", "published": "2025-01-02",
            "body": "Slugs eat lettuce at night.", "review_due": "2027-01-01"}  # fmt: skip
    saved = site.post("/staff/drafts/slugs-at-night", data={"csrf": csrf, "act": "publish", "seen": seen.group(1), **card})
    assert saved.headers["location"] == "/staff/articles/slugs-at-night?done=published"
    text = (there.sources / "slugs-at-night.md").read_text(encoding="utf-8")
    for words in ("title: Slugs & snails", "status: published", "- Ada", "published: 2025-01-02", "due: 2027-01-01"):
        assert words in text
    shown = site.get("/staff/articles/slugs-at-night").text
    assert "Slugs &amp; snails" in shown
    assert "by anna" in shown or "anna" in shown
    assert site.post("/staff/articles/slugs-at-night", data={"csrf": csrf, "act": "retire"}).status_code == 303
    assert "status: retired" in (there.sources / "slugs-at-night.md").read_text(encoding="utf-8")
    assert site.post("/staff/articles/slugs-at-night", data={"csrf": csrf, "act": "undo"}).status_code == 303
    assert "status: published" in (there.sources / "slugs-at-night.md").read_text(encoding="utf-8")


def test_saving_keeps_what_the_form_does_not_show(site: TestClient, there: Settings) -> None:
    sign_in(site)
    csrf = token(site)
    site.post("/staff/articles/coffee-grounds", data={"csrf": csrf, "act": "edit"})
    before = (there.sources / "drafts" / "coffee-grounds.md").read_text(encoding="utf-8")
    page = site.get("/staff/drafts/coffee-grounds").text
    fields = dict(re.findall(r'<input name="([^"]+)" type="\w+" value="([^"]*)"', page))
    assert fields["title"] == "Coffee grounds in the garden"
    unchanged = site.post("/staff/drafts/coffee-grounds", data={"csrf": csrf, "act": "save", "title": fields["title"]})
    assert unchanged.status_code == 303
    assert (there.sources / "drafts" / "coffee-grounds.md").read_text(encoding="utf-8") == before
    changed = {"csrf": csrf, "act": "save", "title": "Coffee in the garden"}
    # Whoever does not say which version they began from might overwrite somebody else's.
    assert "Somebody else" in site.post("/staff/drafts/coffee-grounds", data=changed).text
    seen = re.search(r'name="seen" value="([^"]+)"', page)
    assert seen
    site.post("/staff/drafts/coffee-grounds", data=changed | {"seen": seen.group(1)})
    after = (there.sources / "drafts" / "coffee-grounds.md").read_text(encoding="utf-8")
    assert "Coffee in the garden" in after
    assert "10.5555/ijg.2024.2" in after
    assert after.split("---\n", 2)[2].strip() == before.split("---\n", 2)[2].strip()


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.pdf", b"%PDF-1.4 broken", "damaged"), ("a.exe", b"MZ" + b"0" * 100, "cannot be read"), ("a.docx", b"PK\x03\x04", "no .docx file"),
        ("../../../etc/passwd", b"words", "cannot be read"), ("a.html", b"<script>1</script>", "No text"), ("", b"words", "Nothing was given"),
    ],
)  # fmt: skip
def test_bad_uploads_end_in_a_clear_page_and_change_nothing(site: TestClient, there: Settings, name: str, data: bytes, message: str) -> None:
    sign_in(site)
    reply = site.post("/staff/add", data={"csrf": token(site)}, files={"file": (name, data)})
    assert reply.status_code == 422
    assert message in reply.text
    assert not list((there.sources / "drafts").glob("*"))


def test_an_upload_over_the_limit_is_turned_away(site: TestClient) -> None:
    sign_in(site)
    assert site.post("/staff/add", content=b"x" * 21_000_000).status_code == 413
    assert site.post("/staff/add", content=(b"x" * 1_000_000 for _ in range(25))).status_code != 303


def test_originals_are_shown_without_any_power(site: TestClient) -> None:
    sign_in(site)
    html = b"<html><body><p>Words on slugs that everybody may read.</p><script>alert(1)</script></body></html>"
    place = site.post("/staff/add", data={"csrf": token(site)}, files={"file": ("page.html", html)}).headers["location"]
    reply = site.get(place.replace("/drafts/", "/originals/"))
    assert reply.content == html
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "sandbox" in policy
    assert "script-src" not in policy
    site.cookies.clear()
    assert site.get(place.replace("/drafts/", "/originals/")).status_code == 401


def test_nothing_of_staff_is_seen_from_the_public_side(settings: MakeSettings, copied_library: Path, password_hash: str) -> None:
    """The real, whole app: drafts, originals and history by every path that could lead to them."""
    from ragbot.curating import Desk
    from ragbot.web.app import create_app

    there = settings(sources=copied_library, staff={"anna": password_hash})
    desk = Desk(there)
    identity = desk.add_file(b"# A secret leaflet\n\nWords nobody may see yet.", "leaflet.md", "Ada")
    origin = desk.origin(identity)
    assert origin is not None
    files = [path for path in copied_library.rglob("*") if path.is_file()]
    app = create_app(there)
    with TestClient(app) as client:
        paths = ["/gradio_api/file={file}", "/file={file}", "/{relative}", "/sources/{relative}", "/articles/{relative}", "/static/{relative}",
                 "/assets/{relative}", "/assets/../../{relative}", "/svelte/{file}", "/staff/{relative}"]  # fmt: skip
        for file, pattern in itertools.product(files, paths):
            path = pattern.format(file=file, relative=file.relative_to(copied_library).as_posix())
            reply = client.get(path)
            assert reply.status_code in (401, 403, 404, 405, 503), path
            assert "nobody may see" not in reply.text



@pytest.mark.parametrize("path", ["/staff/", "/staff/add/", "/staff/drafts/slugs/"])
def test_nobody_is_sent_to_another_name_of_the_server(site: TestClient, path: str) -> None:
    reply = site.get(path, headers={"host": "evil.example"})
    assert reply.status_code in (401, 404) and "evil.example" not in str(reply.headers)


def test_without_a_password_hash_there_is_no_staff_page(settings: MakeSettings) -> None:
    from ragbot.web.app import create_app

    client = TestClient(create_app(settings()))
    for method, path in ROUTES:
        assert client.request(method, path).status_code in (404, 405)
    assert client.post("/staff/sign-in", data={"name": "anna", "password": PASSWORD}).status_code == 404


def fields_of(page: str) -> dict[str, str]:
    """What the form of a draft would send."""
    found = {name: html.unescape(value) for name, value in re.findall(r'<input [^>]*name="([^"]+)"[^>]* value="([^"]*)"', page)}
    return found | {name: html.unescape(value) for name, value in re.findall(r'<textarea name="([^"]+)"[^>]*>([^<]*)</textarea>', page)}


@pytest.fixture
def drafted(site: TestClient) -> dict[str, str]:
    """Signed in, with a draft of the article on coffee grounds; what its form holds."""
    sign_in(site)
    site.post("/staff/articles/coffee-grounds", data={"csrf": token(site), "act": "edit"})
    return fields_of(site.get("/staff/drafts/coffee-grounds").text)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"url": "garden.example/coffee"}, "has to begin with https://"), ({"title": "  "}, "title"),
        ({"more": "title: Ketamine: a review"}, "cannot be read"), ({"more": "refrences: []"}, "cannot be read"), ({"more": "references: words"}, "cannot be read"),
    ],
)  # fmt: skip
def test_what_cannot_be_published_comes_back_with_every_word(
    site: TestClient, there: Settings, drafted: dict[str, str], changes: dict[str, str], problem: str
) -> None:
    before = (there.sources / "coffee-grounds.md").read_text(encoding="utf-8")
    typed = drafted | {"summary": "A new summary of mine.", "body": "Coffee grounds are brown."} | changes
    reply = site.post("/staff/drafts/coffee-grounds", data=typed | {"act": "publish"})
    assert reply.status_code == 422
    assert problem in reply.text
    again = fields_of(reply.text)
    assert (again["summary"], again["body"]) == ("A new summary of mine.", "Coffee grounds are brown.")
    for key, value in changes.items():
        assert again[key].strip() == value.strip()
    assert (there.sources / "coffee-grounds.md").read_text(encoding="utf-8") == before
    # Mended on the page that came back, it goes through.
    mended = again | {key: drafted[key] for key in changes} | {"act": "publish", "more": "", "body": "Coffee grounds are brown."}
    assert site.post("/staff/drafts/coffee-grounds", data=mended).status_code == 303
    assert "Coffee grounds are brown." in (there.sources / "coffee-grounds.md").read_text(encoding="utf-8")


def test_a_discarded_draft_comes_back_in_the_browser(site: TestClient, there: Settings, drafted: dict[str, str]) -> None:
    reply = site.post("/staff/drafts/coffee-grounds", data={"csrf": drafted["csrf"], "act": "discard"})
    page = site.get(reply.headers["location"])
    assert page.status_code == 200
    assert "Undo: discarded by anna" in page.text
    assert "The draft is discarded." in page.text
    assert site.post("/staff/drafts/coffee-grounds", data={"csrf": drafted["csrf"], "act": "undo"}).status_code == 303
    assert fields_of(site.get("/staff/drafts/coffee-grounds").text)["title"] == drafted["title"]


def test_one_broken_draft_does_not_hide_the_library(site: TestClient, there: Settings) -> None:
    folder = there.sources / "drafts"
    folder.mkdir()
    (folder / "My draft.md").write_text("---\ntitle: A title\n---\nWords.\n")
    (folder / "dead.md").symlink_to(folder / "nowhere")
    (folder / "odd.md").write_text("---\ntitle: 0x_\n? [a]\n: b\nreview: words\n---\nWords.\n")
    (folder / "folder.md").mkdir()
    sign_in(site)
    page = site.get("/staff")
    assert page.status_code == 200
    assert "Coffee grounds" in page.text
    assert site.get("/staff/drafts/odd").status_code == 200


def test_questions_become_an_article_and_can_be_forgotten(there: Settings, password_hash: str, answer_to: Callable[..., Answer], work_here: Callable[..., Any]) -> None:
    kept = there.model_copy(update={"keep_questions": True})
    feedback = Feedback(kept)
    for number in range(120):
        feedback.count(answer_to(f"Do CANARY slugs eat {number} hostas? -->"))
    reindexing = Reindexing(kept)
    reindexing.request = lambda: None  # type: ignore[method-assign]
    app = Staff(kept, lambda: None, reindexing, work_here(kept)).app()
    site = TestClient(Doorkeeper(app, app), follow_redirects=False)
    sign_in(site)
    page = site.get("/staff/missing").text
    ids = ",".join(re.findall(r'name="questions" value="([\d,]+)"', page))
    csrf = token(site)
    reply = site.post("/staff/missing", data={"csrf": csrf, "questions": ids, "act": "write"})
    assert reply.status_code == 303, (ids, reply.text)
    place = reply.headers["location"]
    assert "CANARY slugs eat 119" in site.get(place).text
    feedback.delete_questions()
    assert "CANARY" not in site.get(place).text
    assert not [path for path in there.sources.rglob("*") if path.is_file() and b"CANARY" in path.read_bytes()]


def test_a_very_long_draft_is_still_shown(site: TestClient, there: Settings) -> None:
    folder = there.sources / "drafts"
    folder.mkdir()
    (folder / "long.md").write_text("---\ntitle: Long\n---\n" + "Slugs eat lettuce at night in the garden.\n\n" * 25_000)
    sign_in(site)
    started = time.perf_counter()
    page = site.get("/staff/drafts/long")
    assert page.status_code == 200
    assert "only its first 250,000 characters" in page.text
    assert time.perf_counter() - started < 30
