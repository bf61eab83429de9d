"""Who gets into the staff page: passwords, names, sessions, and how often somebody may try, side by side too."""

from __future__ import annotations

import asyncio
import html
import re
import shutil
import socket
import threading
import time
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import argon2
import httpx
import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from ragbot.curating import Desk
from ragbot.errors import SettingsError
from ragbot.settings import Settings
from ragbot.web import serving
from ragbot.web.limiting import BAD_TRIES, KNOWN_VISITORS, NAME_TRIES_PER_HOUR, TRY_MINUTES, QuestionLimiter, SignInLimiter, visitor_group
from ragbot.web.protecting import Doorkeeper
from ragbot.web.reindexing import Reindexing
from ragbot.web.signing_in import (
    COOKIE,
    IDLE_SECONDS,
    LONGEST_SECONDS,
    MOST_HASHING,
    MOST_WAITING,
    SignIn,
    SignInRefusedError,
    hash_password,
    safe_goal,
)
from ragbot.web.staff import Staff

MakeSettings = Callable[..., Settings]
PASSWORD = "four unrelated garden words"
OPTIONS = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync".split()


class Hasher:
    """Stands in for argon2's: how often it was asked, and how often at once; with ``right`` it does not even hash."""

    def __init__(self, right: str | None = None, seconds: float = 0.0) -> None:
        self._real, self._right, self._seconds = argon2.PasswordHasher(), right, seconds
        self._lock = threading.Lock()
        self.asked = self.now = self.most = 0

    def verify(self, password_hash: str, password: str) -> bool:
        with self._lock:
            self.asked += 1
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            time.sleep(self._seconds)
            if self._right is None:
                return self._real.verify(password_hash, password)
            if password != self._right:
                raise argon2.exceptions.VerifyMismatchError
            return True
        finally:
            with self._lock:
                self.now -= 1


@pytest.fixture(scope="module")
def password_hash() -> str:
    return hash_password(PASSWORD)


@pytest.fixture
def there(settings: MakeSettings, copied_library: Path, password_hash: str) -> Settings:
    return settings(sources=copied_library, staff={"Anna": password_hash})


@pytest.fixture
def staff(there: Settings, work_here: Callable[..., Any]) -> Staff:
    reindexing = Reindexing(there)
    reindexing.request = lambda: None  # type: ignore[method-assign] — the index is another test's matter
    return Staff(there, lambda: None, reindexing, work_here(there))


@pytest.fixture
def door(staff: Staff) -> Doorkeeper:
    return Doorkeeper(PlainTextResponse("public"), staff.app())


@pytest.fixture
def site(door: Doorkeeper) -> TestClient:
    return TestClient(door, follow_redirects=False)  # type: ignore[arg-type]


@pytest.fixture
def sign_ins(password_hash: str) -> SignIn:
    """With a hasher that takes no time."""
    made = SignIn({"Anna": password_hash})
    made._hasher = Hasher(PASSWORD)  # type: ignore[assignment]
    return made


def sign_in(site: TestClient, password: str = PASSWORD, name: str = "anna", **fields: str) -> httpx.Response:
    return site.post("/staff/sign-in", data={"name": name, "password": password, **fields})


def all_at_once(door: Doorkeeper, passwords: list[str]) -> list[httpx.Response]:
    async def sending() -> list[httpx.Response]:
        transport = httpx.ASGITransport(door)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
            return await asyncio.gather(*(client.post("/staff/sign-in", data={"name": "anna", "password": one}) for one in passwords))

    return asyncio.run(sending())


# Tries side by side.


def test_guessing_side_by_side_is_no_way_around_the_limit(door: Doorkeeper, staff: Staff) -> None:
    staff._sign_in._hasher = hasher = Hasher()  # type: ignore[assignment]
    statuses = [reply.status_code for reply in all_at_once(door, [*(f"wrong {number}" for number in range(140)), *[PASSWORD] * 10])]
    assert statuses[140:] == [429] * 10
    assert hasher.asked == BAD_TRIES
    assert hasher.most <= MOST_HASHING
    assert all_at_once(door, [PASSWORD])[0].status_code == 429


def test_a_try_counts_before_its_password_is_looked_at(sign_ins: SignIn) -> None:
    sign_ins._hasher = hasher = Hasher(PASSWORD, seconds=0.2)  # type: ignore[assignment]
    begun = threading.Barrier(40)

    def guess(number: int) -> str | None:
        begun.wait(10)
        try:
            return sign_ins.sign_in("anna", f"wrong {number}", "somebody")
        except SignInRefusedError:
            return "refused"

    with ThreadPoolExecutor(40) as threads:
        outcomes = Counter(threads.map(guess, range(40)))
    assert outcomes == {None: BAD_TRIES, "refused": 30}
    assert hasher.asked == BAD_TRIES


def test_few_hash_at_once_few_wait_and_the_rest_is_asked_to_come_back(door: Doorkeeper, staff: Staff) -> None:
    staff._sign_in._hasher = hasher = Hasher(PASSWORD, seconds=0.3)  # type: ignore[assignment]
    for _ in range(2):
        replies = all_at_once(door, [PASSWORD] * 40)
        counted = Counter(reply.status_code for reply in replies)
        # On a busy machine some come when others are through already.
        assert counted[303] >= MOST_HASHING + MOST_WAITING
        assert counted[429] > 0
        assert set(counted) == {303, 429}
        assert "Try again in a moment" in next(reply.text for reply in replies if reply.status_code == 429)
        assert hasher.most == MOST_HASHING


def test_right_passwords_are_given_back(site: TestClient, staff: Staff) -> None:
    staff._sign_in._hasher = Hasher(PASSWORD)  # type: ignore[assignment]
    assert [sign_in(site, "wrong").status_code for _ in range(BAD_TRIES - 1)] == [401] * (BAD_TRIES - 1)
    assert {sign_in(site).status_code for _ in range(30)} == {303}
    assert sign_in(site, "wrong").status_code == 429
    assert sign_in(site).status_code == 429


def test_a_hasher_that_breaks_leaves_no_try_open(sign_ins: SignIn) -> None:
    class Broken:
        def verify(self, *_: str) -> bool:
            raise MemoryError

    working, sign_ins._hasher = sign_ins._hasher, Broken()  # type: ignore[assignment]
    with pytest.raises(MemoryError):
        sign_ins.sign_in("anna", PASSWORD, "somebody")
    sign_ins._hasher = working
    assert sign_ins.sign_in("anna", PASSWORD, "somebody")
    assert not sign_ins._limiter._under_way


# By name and by address.


def spend(limiter: SignInLimiter, name: str, tries: int) -> None:
    """Bad tries from as many addresses as it takes."""
    for number in range(tries):
        visitor = f"10.1.{number // BAD_TRIES}.1"
        assert limiter.begin(visitor, name) is None
        limiter.end(visitor, name, good=False)


def test_many_addresses_cannot_guess_on_one_name_for_ever() -> None:
    limiter = SignInLimiter()
    for visitor in ("192.0.2.1", "2001:db8:1:2::5"):
        assert limiter.begin(visitor, "anna") is None
        limiter.end(visitor, "anna", good=True)
    spend(limiter, "anna", NAME_TRIES_PER_HOUR)
    assert limiter.begin("10.9.9.9", "anna") == "name"
    assert limiter.begin("10.9.9.9", "bo") is None
    # Where she signed in before she still may, up to her own limit.
    assert limiter.begin("2001:db8:1:2:ffff::6", "anna") is None
    for _ in range(BAD_TRIES):
        assert limiter.begin("192.0.2.1", "anna") is None
        limiter.end("192.0.2.1", "anna", good=False)
    assert limiter.begin("192.0.2.1", "anna") == "visitor"


def test_one_address_alone_cannot_lock_a_name() -> None:
    assert BAD_TRIES * 60 / TRY_MINUTES < NAME_TRIES_PER_HOUR


def test_the_addresses_of_a_name_are_few_and_the_latest() -> None:
    limiter = SignInLimiter()
    for number in (1, *range(2, 60), 1):
        limiter.end(f"192.0.2.{number}", "anna", good=limiter.begin(f"192.0.2.{number}", "anna") is None)
    assert len(limiter._known["anna"]) == KNOWN_VISITORS
    assert list(limiter._known["anna"])[-2:] == ["192.0.2.59", "192.0.2.1"]


@pytest.mark.parametrize("name", ["anna", "ANNA", "nobody"])
def test_a_name_that_was_guessed_on_is_refused_whether_it_exists_or_not(sign_ins: SignIn, name: str) -> None:
    spend(sign_ins._limiter, name.casefold(), NAME_TRIES_PER_HOUR)
    with pytest.raises(SignInRefusedError, match="for this name"):
        sign_ins.sign_in(name, PASSWORD, "10.9.9.9")


@pytest.mark.parametrize(
    ("address", "group"),
    [
        ("192.0.2.7", "192.0.2.7"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"), ("2001:DB8:1:2::", "2001:db8:1:2::/64"), ("2001:db8:1:3::", "2001:db8:1:3::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"), ("fe80::1%eth0", "fe80::/64"), ("::1", "::/64"), ("testclient", "testclient"), ("unknown", "unknown"), ("", ""),
    ],
)  # fmt: skip
def test_ipv6_visitors_are_counted_by_their_network(address: str, group: str) -> None:
    assert visitor_group(address) == group


def test_another_address_of_the_same_network_is_the_same_visitor(sign_ins: SignIn) -> None:
    for number in range(BAD_TRIES):
        assert sign_ins.sign_in("anna", "wrong", f"2001:db8::{number + 1:x}") is None
    assert not sign_ins.admits("2001:db8::ffff")
    with pytest.raises(SignInRefusedError, match="five minutes"):
        sign_ins.sign_in("anna", PASSWORD, "2001:db8::ffff")
    assert sign_ins.sign_in("anna", PASSWORD, "2001:db8:0:1::1")


@pytest.mark.parametrize(
    ("proxies", "seen"),
    [
        ("", "http 127.0.0.1"), ("192.0.2.1", "http 127.0.0.1"), ("127.0.0.1", "https 203.0.113.9"), ("192.0.2.1, 127.0.0.0/8", "https 203.0.113.9"),
    ],
)  # fmt: skip
def test_only_named_proxies_are_believed(settings: MakeSettings, monkeypatch: pytest.MonkeyPatch, proxies: str, seen: str) -> None:
    async def told(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse(f"{scope['scheme']} {Request(scope).client.host}")(scope, receive, send)  # type: ignore[union-attr]

    class Server:
        def __init__(self, config: uvicorn.Config) -> None:
            configs.append(config)

        def run(self, sockets: list[socket.socket]) -> None:
            pass

    configs: list[uvicorn.Config] = []
    monkeypatch.setattr(serving, "create_app", lambda _: told)
    monkeypatch.setattr(serving, "_bind", lambda _: None)
    monkeypatch.setattr(serving.uvicorn, "Server", Server)
    serving.run_server(settings(trusted_proxies=proxies))
    configs[0].load()

    async def asking() -> str:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(configs[0].loaded_app, client=("127.0.0.1", 5)), base_url="http://testserver") as client:
            return (await client.get("/", headers={"x-forwarded-for": "198.51.100.4, 203.0.113.9", "x-forwarded-proto": "https"})).text

    assert asyncio.run(asking()) == seen


@pytest.mark.parametrize("proxies", ["*", "localhost", "127.0.0.1;10.0.0.1", "10.0.0.1/8"])
def test_proxies_that_are_no_addresses_are_told_at_start(proxies: str) -> None:
    with pytest.raises(SettingsError, match="trusted_proxies"):
        Settings.load(trusted_proxies=proxies)


# Passwords and names.


@pytest.mark.parametrize("password", [f" {PASSWORD}", f"{PASSWORD} ", f"\t{PASSWORD}\t", " " * 12])
def test_spaces_at_the_ends_are_part_of_a_password(site: TestClient, staff: Staff, password: str) -> None:
    staff._sign_in = SignIn({"Anna": hash_password(password)})
    assert sign_in(site, password.strip()).status_code == 401
    assert sign_in(site, password).status_code == 303


def test_a_password_is_the_same_however_its_letters_are_sent() -> None:
    words = "fünf grüne Gärten"
    composed, decomposed = unicodedata.normalize("NFC", words), unicodedata.normalize("NFD", words)
    assert composed != decomposed
    for made, typed in ((composed, decomposed), (decomposed, composed), ("five ﬁne words", "five fine words")):
        assert SignIn({"anna": hash_password(made)}).sign_in("anna", typed, "somebody")


def test_a_hash_made_elsewhere_still_verifies() -> None:
    assert SignIn({"anna": argon2.PasswordHasher().hash(PASSWORD)}).sign_in("anna", PASSWORD, "somebody")


def test_a_password_that_is_no_text_does_not_match(password_hash: str) -> None:
    assert SignIn({"anna": password_hash}).sign_in("anna", "\ud800", "somebody") is None


def test_short_passwords_are_refused() -> None:
    with pytest.raises(SettingsError, match="at least 12"):
        hash_password("short")


@pytest.mark.parametrize("value", ["not a hash", "", "$argon2id$broken", PASSWORD])
def test_a_wrong_hash_is_told_at_start(value: str) -> None:
    with pytest.raises(SettingsError, match="ragbot staff password"):
        SignIn({"anna": value})


@pytest.mark.parametrize("typed", ["Anna Weiß", "anna weiß", "ANNA WEISS", " anna weiß "])
def test_capitals_do_not_matter_and_the_record_has_the_name_as_it_was_set(password_hash: str, typed: str) -> None:
    sign_ins = SignIn({"Anna Weiß": password_hash})
    session = sign_ins.session(sign_ins.sign_in(typed, PASSWORD, "somebody"))
    assert session is not None
    assert session.name == "Anna Weiß"


def test_two_names_that_differ_only_in_capitals_are_told_at_start(password_hash: str) -> None:
    with pytest.raises(SettingsError, match=r"'anna' and 'Anna'"):
        SignIn({"anna": password_hash, "Anna": password_hash})


# Sessions.


def test_sessions_end_when_idle_when_old_and_at_the_door(password_hash: str) -> None:
    now = 0.0
    sessions = SignIn({"anna": password_hash}, clock=lambda: now)
    first = sessions.sign_in("anna", PASSWORD, "somebody")
    assert sessions.session(first) is not None
    now = IDLE_SECONDS - 1
    assert sessions.session(first) is not None
    now += IDLE_SECONDS + 1
    assert sessions.session(first) is None
    second = sessions.sign_in("anna", PASSWORD, "somebody")
    began = now
    while now < began + LONGEST_SECONDS - IDLE_SECONDS:
        now += IDLE_SECONDS / 2
        assert sessions.session(second) is not None
    now = began + LONGEST_SECONDS + 1
    assert sessions.session(second) is None
    third = sessions.sign_in("anna", PASSWORD, "somebody")
    sessions.sign_out(third)
    assert sessions.session(third) is None


def goal_in(page: str) -> str:
    found = re.search(r'name="next" value="([^"]*)"', page)
    assert found
    return html.unescape(found.group(1))


@pytest.mark.parametrize(
    ("method", "path", "goal"),
    [
        ("GET", "/staff", "/staff"), ("GET", "/staff?state=due&x=%C3%BC", "/staff?state=due&x=%C3%BC"), ("GET", "/staff/missing", "/staff/missing"),
        ("HEAD", "/staff/missing", None), ("POST", "/staff/add", "/staff/add"), ("POST", "/staff/drafts/slugs?x=1", "/staff/drafts/slugs"),
        ("POST", "/staff/articles/coffee-grounds", "/staff/articles/coffee-grounds"), ("POST", "/staff/sign-out", "/staff"),
        ("GET", "/staff/drafts/%5C%5Cevil.example", "/staff/drafts/%5C%5Cevil.example"), ("GET", "/staff?to=//evil.example", "/staff"),
    ],
)  # fmt: skip
def test_signing_in_leads_to_where_somebody_wanted_to_go(site: TestClient, method: str, path: str, goal: str | None) -> None:
    reply = site.request(method, path)
    assert reply.status_code == 401
    if goal is None:
        return
    assert goal_in(reply.text) == goal
    assert "session has ended" not in reply.text
    # A wrong password in between loses nothing.
    again = sign_in(site, "wrong", next=goal_in(reply.text))
    assert (again.status_code, goal_in(again.text)) == (401, goal)
    assert sign_in(site, next=goal_in(again.text)).headers["location"] == goal


@pytest.mark.parametrize(
    "value",
    [
        None, "", "/", "//evil.example", "/articles/x", "https://evil.example/staff", "/staffevil", "/staff.evil.example", "/staff@evil.example", "/staff//evil.example",
        "/staff/..//evil.example", "/staff\\evil", "/staff/\\evil.example", "/staff/\r\nset-cookie: a=b", "/staff/\t", "/staff\x00", "/staff/a\nb", "/staff\u2028",
        " /staff/add", 7,
    ],
)  # fmt: skip
def test_signing_in_leads_nowhere_else(site: TestClient, value: object) -> None:
    assert safe_goal(value) == "/staff"
    if isinstance(value, str):
        reply = sign_in(site, next=value)
        assert (reply.status_code, reply.headers["location"]) == (303, "/staff")


@pytest.mark.parametrize("value", ["/staff", "/staff/", "/staff/add", "/staff/drafts/a-b_1.2", "/staff?x=1&y=2"])
def test_pages_of_staff_are_good_goals(value: str) -> None:
    assert safe_goal(value) == value


def test_whose_session_has_ended_is_told_and_not_at_all_otherwise(site: TestClient, staff: Staff) -> None:
    sign_in(site)
    staff._sign_in._sessions.clear()
    written = site.post("/staff/drafts/slugs", data={"act": "save", "body": "Slugs"})
    assert written.status_code == 401
    assert "Sign in; your words are still in the page before (go back twice)." in written.text
    looked = site.get("/staff/drafts/slugs")
    assert "Your session has ended. Sign in again." in looked.text
    assert "your words" not in looked.text
    site.cookies.set(COOKIE, "", path="/staff")
    site.cookies.clear()
    assert "session has ended" not in site.post("/staff/drafts/slugs", data={"act": "save"}).text


@pytest.fixture
def address(door: Doorkeeper) -> Iterator[str]:
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(door, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join(10)
    listening.close()


@pytest.mark.browser
@pytest.mark.skipif(not shutil.which("chromium"), reason="needs Debian's chromium")
def test_words_survive_the_end_of_a_session(address: str, staff: Staff, there: Settings) -> None:
    from playwright.sync_api import Page, sync_playwright

    def enter(page: Page) -> None:
        page.get_by_label("Name").fill("anna")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.locator("textarea[name=body]").wait_for()

    Desk(there).add_text("Slugs", "Slugs eat lettuce.", "anna")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=OPTIONS)
        page = browser.new_page()
        page.set_default_timeout(20_000)
        page.goto(f"{address}/staff/drafts/slugs")
        enter(page)
        page.locator("textarea[name=body]").fill("Words that took an hour.")
        staff._sign_in._sessions.clear()
        page.get_by_role("button", name="Save").click()
        assert "go back twice" in page.get_by_role("alert").inner_text()
        enter(page)
        assert page.url == f"{address}/staff/drafts/slugs"
        page.evaluate("history.go(-2)")
        page.wait_for_function("document.querySelector('textarea[name=body]')?.value === 'Words that took an hour.'")
        page.get_by_role("button", name="Save").click()
        page.wait_for_url("**/staff/drafts/slugs?*")
        browser.close()
    assert "Words that took an hour." in Desk(there).draft("slugs").text


def test_one_household_asks_as_one_visitor(settings: Callable[..., Settings]) -> None:
    limiter = QuestionLimiter(settings(questions_per_minute_from_address=3))
    assert [limiter.admits_address(f"2001:db8:1:2::{number}") for number in range(4)] == [True, True, True, False]
    assert limiter.admits_address("2001:db8:1:3::1")
