"""What takes a while is waited for on a page of its own, whose outcome is its owner's alone; what is long or hides is shown as what it is."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from ragbot.curating import Desk
from ragbot.curating.missing import Feedback
from ragbot.errors import SourceError, WorkError
from ragbot.records import Answer
from ragbot.settings import Settings
from ragbot.web import queueing, staff
from ragbot.web.protecting import Doorkeeper
from ragbot.web.queueing import Job, Lane
from ragbot.web.reindexing import Reindexing
from ragbot.web.signing_in import hash_password
from ragbot.web.staff import Staff
from ragbot.working import BrokenWorkError

MakeSettings = Callable[..., Settings]
PASSWORD = "four unrelated garden words"
Made = tuple[Mapping[str, Any], bytes]


@dataclass
class Slow:
    """Stands in for the process that works: each order waits until it is let go."""

    turn: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    started: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    orders: list[Mapping[str, Any]] = field(default_factory=list)
    outcome: Made | BaseException = ({"status": 200}, b"<p>the page</p>")

    def do(self, order: Mapping[str, Any], data: bytes = b"", tell: Callable[[Any], None] = lambda step: None) -> Made:
        self.orders.append(order)
        tell("proofing")
        self.started.release()
        assert self.turn.acquire(timeout=30)
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome

    def rest(self) -> None: ...

    def stop(self) -> None: ...


@pytest.fixture(scope="module")
def hashes() -> dict[str, str]:
    return {"anna": hash_password(PASSWORD), "bo": hash_password(PASSWORD)}


@pytest.fixture
def slow() -> Slow:
    return Slow()


@pytest.fixture
def door(settings: MakeSettings, copied_library: Path, hashes: dict[str, str], slow: Slow, monkeypatch: pytest.MonkeyPatch) -> Iterator[Doorkeeper]:
    monkeypatch.setattr(staff, "PATIENCE_SECONDS", 0.1)
    there = settings(sources=copied_library, staff=hashes)
    reindexing = Reindexing(there)
    followed: list[bool] = []
    reindexing.request = lambda: followed.append(True)  # type: ignore[method-assign]
    one = Staff(there, lambda: None, reindexing, lambda: slow)
    made = Doorkeeper(PlainTextResponse("public"), one.app())
    made.followed = followed  # type: ignore[attr-defined]
    yield made
    slow.turn.release(100)
    one.stop(5)


def enter(door: Doorkeeper, name: str = "anna") -> tuple[TestClient, str]:
    site = TestClient(door, base_url="http://testserver", follow_redirects=False)
    assert site.post("/staff/sign-in", data={"name": name, "password": PASSWORD}).status_code == 303
    found = re.search(r'name="csrf" value="([^"]+)"', site.get("/staff/add").text)
    assert found
    return site, found.group(1)


def state(site: TestClient, place: str) -> dict[str, str]:
    return dict(site.get("/staff/progress", params={"work": place.rsplit("/", 1)[1]}).json())


def wait_until(holds: Callable[[], bool], seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it took too long"
        time.sleep(0.01)


def test_a_page_that_takes_a_while_is_waited_for_and_found_at_its_own_address(door: Doorkeeper, slow: Slow) -> None:
    site, _ = enter(door)
    waiting = site.get("/staff/drafts/slugs?done=saved")
    assert (waiting.status_code, waiting.headers["location"].startswith("/staff/waiting/")) == (303, True)
    place = waiting.headers["location"]
    page = site.get(place)
    assert "The draft is being proofed" in page.text
    assert 'role="status"' in page.text
    assert state(site, place) == {"state": "running", "words": "The draft is being proofed …"}
    # Whoever loads the page anew meanwhile waits for the same work.
    assert site.get("/staff/drafts/slugs?done=saved").headers["location"] == place
    assert len(slow.orders) == 1
    slow.turn.release()
    wait_until(lambda: state(site, place)["state"] == "done")
    assert site.get(place).headers["location"] == "/staff/drafts/slugs?done=saved"
    assert site.get("/staff/drafts/slugs?done=saved").text == "<p>the page</p>"
    assert len(slow.orders) == 1
    assert site.get(place).headers["location"] == "/staff"


@pytest.mark.parametrize(
    ("outcome", "status", "words"),
    [
        (({"to": "/staff/drafts/slugs?done=added"}, b""), 303, ""), (SourceError("The file is encrypted.", path="a.pdf"), 422, "The file is encrypted."),
        (WorkError("This took more than 120 seconds of work and was stopped."), 422, "more than 120 seconds"), (({"status": 422}, b"<p>typed</p>"), 422, "typed"),
        (BrokenWorkError("ValueError", "desk.py:7"), 500, "Nothing was changed"),
    ],
    ids=str,
)  # fmt: skip
def test_what_comes_of_an_act_is_told_in_the_end(outcome: Made | BaseException, status: int, words: str, door: Doorkeeper, slow: Slow, caplog: pytest.LogCaptureFixture) -> None:
    site, csrf = enter(door)
    slow.outcome = outcome
    place = site.post("/staff/add", data={"csrf": csrf}, files={"file": ("a.txt", b"CANARY words")}).headers["location"]
    slow.turn.release()
    wait_until(lambda: state(site, place)["state"] == "done")
    with caplog.at_level(logging.DEBUG):
        reply = site.get(place)
    assert (reply.status_code, words in reply.text) == (status, True)
    assert ("ValueError at desk.py:7" in caplog.text) == (status == 500)
    assert "CANARY" not in caplog.text


def test_nobody_sees_the_work_of_another(door: Doorkeeper, slow: Slow) -> None:
    (anna, _), (bo, _) = enter(door), enter(door, "bo")
    place = anna.get("/staff/drafts/slugs").headers["location"]
    assert bo.get(place).headers["location"] == "/staff"
    assert state(bo, place) == {"state": "done", "words": ""}
    assert TestClient(door).get(place).status_code == 401


def test_work_waits_its_turn_and_beyond_a_limit_is_refused_calmly(door: Doorkeeper, slow: Slow) -> None:
    site, csrf = enter(door)

    def add(number: int) -> Any:
        return site.post("/staff/add", data={"csrf": csrf}, files={"file": (f"{number}.txt", b"words")})

    places = [add(number).headers["location"] for number in range(queueing.MOST_QUEUED)]
    assert state(site, places[3]) == {"state": "queued", "words": "It is waiting for its turn, behind 2 others …"}
    refused = add(99)
    assert (refused.status_code, "Too much work is waiting just now. Nothing was changed." in refused.text) == (422, True)
    # What is looked at has lanes of its own.
    site.get("/staff/drafts/slugs")
    assert any(order["do"] == "draft" for order in slow.orders)
    slow.turn.release(100)
    wait_until(lambda: all(state(site, place)["state"] == "done" for place in places))


def test_the_index_follows_also_where_nobody_waits_to_hear_of_it(door: Doorkeeper, slow: Slow) -> None:
    site, csrf = enter(door)
    slow.outcome = {"to": "/staff/articles/slugs?done=retire", "follow": "slugs", "gone": True}, b""
    site.post("/staff/articles/slugs", data={"csrf": csrf, "act": "retire"})
    slow.turn.release()
    wait_until(lambda: bool(door.followed))  # type: ignore[attr-defined]


def test_a_lane_goes_on_after_whatever_happened_and_ends_when_told(slow: Slow) -> None:
    lane = Lane(1, lambda: slow)
    slow.turn.release(2)
    slow.outcome = KeyboardInterrupt()
    first, second = Job("a", {"do": "x"}), Job("a", {"do": "y"})
    lane.submit(first)
    assert isinstance(first.made.exception(20), KeyboardInterrupt)
    slow.outcome = {}, b""
    lane.submit(second)
    assert second.made.result(20) == ({}, b"")
    lane.stop(5)
    with pytest.raises(WorkError, match="about to end"):
        lane.submit(Job("a", {"do": "z"}))


# The pages themselves.


@pytest.fixture
def there(settings: MakeSettings, copied_library: Path, hashes: dict[str, str]) -> Settings:
    return settings(sources=copied_library, staff=hashes)


@pytest.fixture
def site(there: Settings, work_here: Callable[..., Any]) -> tuple[TestClient, str]:
    reindexing = Reindexing(there)
    reindexing.request = lambda: None  # type: ignore[method-assign]
    return enter(Doorkeeper(PlainTextResponse("public"), Staff(there, lambda: None, reindexing, work_here(there)).app()))


def test_only_the_beginning_of_a_very_long_text_is_shown_and_no_text_is_lost(site: tuple[TestClient, str], there: Settings) -> None:
    client, csrf = site
    (there.sources / "drafts").mkdir()
    path = there.sources / "drafts" / "emphasis.md"
    path.write_text("---\ntitle: Emphasis\n---\n" + "*a **b " * 200_000, encoding="utf-8")
    started = time.process_time()
    page = client.get("/staff/drafts/emphasis").text
    # It took 53 seconds for half of that.
    assert time.process_time() - started < 20
    assert re.search(r"Only the first 100,000 of 1,\d{3},\d{3} characters are shown", page)
    assert "too many to edit here" in page
    assert '<textarea name="body"' not in page
    seen = re.search(r'name="seen" value="([^"]+)"', page)
    assert seen
    reply = client.post("/staff/drafts/emphasis", data={"csrf": csrf, "act": "save", "seen": seen.group(1), "title": "Another title"})
    assert reply.status_code == 303
    text = path.read_text(encoding="utf-8")
    assert "title: Another title" in text
    assert text.count("*a **b") == 200_000


HIDING = "Pay\u202eneerg\u202c at\u200bonce"


def test_characters_that_hide_or_reorder_are_shown_as_what_they_are(site: tuple[TestClient, str], there: Settings) -> None:
    client, csrf = site
    (there.sources / "drafts").mkdir()
    path = there.sources / "drafts" / "hiding.md"
    path.write_text(f'---\ntitle: "{HIDING}"\n---\n{HIDING} for 👩\u200d👧 and می\u200cخواهم.\n', encoding="utf-8")
    client.post("/staff/articles/coffee-grounds", data={"csrf": csrf, "act": "edit"})
    for address in ("/staff", "/staff/drafts/hiding"):
        page = client.get(address).text
        without_fields = re.sub(r"<(?:input|textarea)[^>]*>(?:[^<]*</textarea>)?", "", page)
        assert "Pay⟦U+202E⟧neerg⟦U+202C⟧ at⟦U+200B⟧once" in page
        assert not re.search("[\u202a-\u202e\u200b\u2066-\u2069]", without_fields)
    assert "👩\u200d👧" in page
    assert "می\u200cخواهم" in page
    # What is edited is the text itself; the page says that something hides in it.
    assert f">{HIDING} for" in page
    assert "It holds characters that show nothing or reorder words" in page


@pytest.mark.parametrize("name", ["annual\u202efdp.txt", "a\u2066b\u2069.txt"])
def test_a_file_name_that_reorders_itself_is_seen_through(name: str, site: tuple[TestClient, str], there: Settings) -> None:
    client, csrf = site
    place = client.post("/staff/add", data={"csrf": csrf}, files={"file": (name, b"Words on slugs that everybody may read.")}).headers["location"]
    assert not re.search("[\u202a-\u202e\u2066-\u2069]", client.get(place).text)
    assert "%E2%80%AE" not in client.get(f"/staff/originals/{Desk(there).draft_ids()[0]}").headers.get("content-disposition", "")


@pytest.mark.parametrize("damage", [b"", b"garbage" * 1000])
def test_damaged_counts_leave_every_page_as_it_is_and_are_told_of(damage: bytes, site: tuple[TestClient, str], there: Settings, answer_to: Callable[..., Answer]) -> None:
    client, csrf = site
    Feedback(there).count(answer_to("A question?", "coffee-grounds"))
    path = there.sources / "feedback" / "feedback.sqlite"
    path.write_bytes(damage)
    client.post("/staff/articles/coffee-grounds", data={"csrf": csrf, "act": "edit"})
    for address in ("/staff", "/staff/drafts/coffee-grounds", "/staff/missing", "/staff/articles/coffee-grounds", "/staff"):
        assert client.get(address).status_code == 200, address
    for address in ("/staff", "/staff/missing"):
        assert "were damaged and set aside" in client.get(address).text
    path.unlink()
    path.mkdir()
    assert client.get("/staff").status_code == 200


@pytest.mark.parametrize(("size", "status"), [(900_000, 303), (1_200_000, 413)])
def test_a_form_that_is_not_sent_in_parts_may_not_be_long(size: int, status: int, site: tuple[TestClient, str]) -> None:
    client, csrf = site
    reply = client.post("/staff/add", data={"csrf": csrf, "title": "Slugs", "text": "Slugs eat. " * (size // 11)})
    assert reply.status_code == status
    assert status == 303 or "Nothing was changed" in reply.text


@pytest.mark.parametrize(("size", "status", "words"), [(2_000_000, 303, ""), (4_100_000, 413, "Upload it as a file instead"), (0, 400, "could not be read")])
def test_a_form_in_parts_may_hold_a_long_text_and_no_longer_one(size: int, status: int, words: str, site: tuple[TestClient, str]) -> None:
    client, csrf = site
    if not size:
        reply = client.post("/staff/add", content=b"--x\r\nbroken", headers={"content-type": "multipart/form-data"})
    else:
        parts = {"csrf": (None, csrf), "title": (None, "Slugs"), "text": (None, "Slugs eat. " * (size // 11))}
        reply = client.post("/staff/add", files=parts)
    assert (reply.status_code, words in reply.text) == (status, True)
