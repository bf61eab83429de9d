"""Pages are fetched from the public internet alone, within limits; whatever else a server or an address tries is a clear error."""

from __future__ import annotations

import gzip
import socket
import ssl
import subprocess
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_address
from pathlib import Path
from queue import Queue
from socketserver import ThreadingTCPServer
from typing import Any, Self

import pytest

from ragbot.errors import SourceError
from ragbot.reading.addresses import Address, Resolver, is_public
from ragbot.reading.fetching import TYPES, Fetched, Fetcher, FetchLimits

HERE, INNER = ip_address("127.0.0.1"), ip_address("127.0.0.2")
NAMES = {"site.test": [HERE], "other.test": [HERE], "inner.test": [INNER], "mixed.test": [HERE, INNER]}
HTML, PAGE = {"Content-Type": "text/html"}, b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n"
CONTEXT = ssl.create_default_context()  # made once, because reading the certificates of the machine takes long


class Site(ThreadingTCPServer):
    """A web server. A page is a status, headers and a body, or a function that does with the connection what it likes."""

    allow_reuse_address = daemon_threads = True
    handle_error = lambda *arguments: None  # a client that leaves early is no error here
    inner: Site

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__((host, port), Handler)
        self.port: int = self.server_address[1]
        self.pages: dict[str, tuple[int, dict[str, str], bytes] | Callable[[Handler], object]] = {}
        self.asked: list[tuple[str, set[str]]] = []
        self.connected: list[Any] = []
        self.over = threading.Event()

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.01,)).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.shutdown()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Site

    def do_GET(self) -> None:
        self.server.asked.append((self.path, {name.lower() for name in self.headers}))
        page = self.server.pages.get(self.path, (404, {}, b""))
        if callable(page):
            self.close_connection = True
            page(self)
        else:
            head = {"Content-Length": str(len(page[2]))} | page[1]
            lines = f"HTTP/1.1 {page[0]} Words", *(f"{name}: {value}" for name, value in head.items()), "\r\n"
            self.wfile.write("\r\n".join(lines).encode() + page[2])


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """The one server that may be fetched from, as site.test; it notes all that is connected to. Another is on the same port of inner.test."""
    connect = socket.socket.connect
    monkeypatch.setattr(ssl, "create_default_context", lambda: CONTEXT)
    with Site() as site, Site("127.0.0.2", site.port) as site.inner:

        def noting(self: socket.socket, address: Any) -> None:
            site.connected.append(address)
            connect(self, address)

        monkeypatch.setattr(socket.socket, "connect", noting)
        site.pages["/"] = (200, HTML, b"Words")
        yield site


def fetch(site: Site, path: str = "/", resolver: Resolver | None = None, scheme: str = "http", host: str = "site.test", **limits: Any) -> Fetched:
    rules, known = FetchLimits(**{"seconds": 10, "megabytes": 1} | limits), resolver or (lambda host, port: NAMES.get(host) or [ip_address(host)])
    allowed = Fetcher(rules, resolver=known, allows=lambda one: one == HERE or is_public(one), ports={site.port})
    return allowed.fetch(f"{scheme}://{host}:{site.port}{path}")


def refusal(site: Site, *arguments: Any, **options: Any) -> str:
    with pytest.raises(SourceError) as caught:
        fetch(site, *arguments, **options)
    return caught.value.message


@pytest.mark.parametrize("kind", [*TYPES, "text/html; charset=utf-8", "Text/HTML;charset=utf-8", "application/pdf ; name=a"])
def test_a_page_of_a_known_kind_is_fetched(site: Site, kind: str) -> None:
    site.pages["/"] = (200, {"Content-Type": kind}, "Wörter".encode())
    plain = kind.partition(";")[0].strip().lower()
    assert fetch(site) == Fetched("Wörter".encode(), f"http://site.test:{site.port}/", plain, TYPES[plain])
    assert set(site.connected) == {("127.0.0.1", site.port)}


@pytest.mark.parametrize("odd", ["", "image/png", "text/htmlx", "text/html, image/png", "a;text/html", 201, 203, 206, 301, 304, 401, 403, 404, 429, 500, 503])
def test_another_kind_of_page_or_another_status_is_refused(site: Site, odd: str | int) -> None:
    site.pages["/"] = (odd, HTML, b"") if isinstance(odd, int) else (200, {"Content-Type": odd} if odd else {}, b"Words")
    assert (f"answered with {odd}" if isinstance(odd, int) else "which is no article") in refusal(site)


@pytest.mark.parametrize("answers", [[[HERE, INNER]], [[INNER, HERE]], [[HERE], [INNER]], [[HERE], [HERE, INNER]]])
def test_a_name_of_two_faces_leads_nowhere_else(site: Site, answers: list[list[Address]]) -> None:
    looked_up: list[str] = []

    def look_up(host: str, port: int) -> list[Address]:
        looked_up.append(host)
        return answers[len(looked_up) - 1]

    # So that the page needs a second connection: a name is looked up once for each, and only the first answer may be used.
    site.pages["/robots.txt"] = (200, {"Connection": "close"}, b"")
    assert "leads to 127.0.0.2" in refusal(site, resolver=look_up)
    assert (len(looked_up), site.connected, site.inner.asked) == (len(answers), [("127.0.0.1", site.port)] * (len(answers) - 1), [])


REDIRECTS = [
    ("http://inner.test:{port}/", "leads to 127.0.0.2"), ("//inner.test:{port}/", "leads to 127.0.0.2"), ("http://127.0.0.2:{port}/", "leads to 127.0.0.2"),
    ("http://mixed.test:{port}/", "leads to 127.0.0.2"), ("http://10.0.0.1:{port}/", "leads to 10.0.0.1"),
    ("http://169.254.169.254:{port}/latest/meta-data/", "leads to 169.254"), ("http://[::ffff:127.0.0.2]:{port}/", "public internet"),
    ("http://site.test:{other}/", "Port"), ("http://site.test/", "Port 80"), ("https://site.test/", "Port 443"), ("http://a:b@site.test:{port}/", "password"),
    ("file:///etc/passwd", "no address"), ("ftp://site.test:{port}/", "no address"), ("data:text/html,words", "cannot be"), ("javascript:1", "cannot be"),
    ("/a b", "no address"), ("\\\\inner.test\\", "no address"), ("http://[bad", "Invalid IPv6"), ("http://", "more than 3 times"),
]  # fmt: skip


@pytest.mark.parametrize(("location", "message"), REDIRECTS)
def test_a_redirect_leads_to_nothing_that_could_not_be_asked_for(site: Site, location: str, message: str) -> None:
    with Site() as other:
        site.pages["/"] = (302, {"Location": location.format(port=site.port, other=other.port)}, b"")
        assert message in refusal(site)
        assert site.inner.asked == other.asked == []
    assert set(site.connected) == {("127.0.0.1", site.port)}


def test_three_redirects_are_followed_and_no_fourth(site: Site) -> None:
    steps = {"/4": "/a/3", "/a/3": "2?b=c", "/a/2?b=c": "//other.test:{port}/a/b/../1", "/a/1": "http://site.test:{port}/"}
    site.pages |= {path: (status, {"Location": to.format(port=site.port)}, b"") for status, (path, to) in zip((301, 302, 307, 308), steps.items(), strict=True)}
    assert fetch(site, "/a/3") == Fetched(b"Words", f"http://site.test:{site.port}/", "text/html", ".html")
    assert "more than 3 times" in refusal(site, "/4")


NOT_ALL = b"User-agent: *\nDisallow: /"
ROBOTS = [
    (200, NOT_ALL + b"secret", "asks programs not"), (200, b"\xef\xbb\xbf" + NOT_ALL, "asks programs not"), (200, b"#" * 500_001, "larger than 0.5 MB"),
    (200, b"User-agent: *\nAllow: /\n\nUser-agent: RagBot\r\nDisallow: /", "asks programs not"), (200, NOT_ALL + b"/[", "Invalid IPv6"),
    (200, b"User-agent: other\nDisallow: /\n\n" + NOT_ALL + b"else\nDisallow:", ""), (200, b"\xff\xfe<html>no rules</html>", ""),
    *((status, NOT_ALL, "") for status in (301, 401, 403, 404, 410)), *((status, b"", "does not say") for status in (429, 500, 503)),
]  # fmt: skip


@pytest.mark.parametrize(("status", "robots", "message"), ROBOTS, ids=range(len(ROBOTS)))
def test_robots_txt_is_asked_before_a_page_and_after_a_redirect(site: Site, status: int, robots: bytes, message: str) -> None:
    site.pages |= {"/robots.txt": (status, {}, robots), "/secret": (200, HTML, b"Words"), "/way": (302, {"Location": "/secret"}, b"")}
    for path in ("/secret", "/way"):
        assert message in refusal(site, path) if message else fetch(site, path).data == b"Words"
    assert ("/secret" in [path for path, _ in site.asked]) == (not message)


def test_neither_cookies_nor_anything_of_the_environment_is_sent(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    cookie = {"Set-Cookie": "seen=1; Path=/"}
    site.pages |= {"/robots.txt": (200, cookie, b""), "/way": (302, cookie | {"Location": "/"}, b"")}
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.2:{site.port}")
    assert fetch(site, "/way").data == b"Words"
    assert set(site.connected) == {("127.0.0.1", site.port)}
    assert [path for path, _ in site.asked] == ["/robots.txt", "/way", "/robots.txt", "/"]
    assert set.union(*(names for _, names in site.asked)) == {"host", "connection", "user-agent", "accept", "accept-encoding"}


PACKED, BOMB = gzip.compress(b"Words"), gzip.compress(bytes(40_000_000), 1)
BODIES = [
    ("identity", b"a" * 1_000_000, ""), ("identity", b"a" * 1_000_001, "larger than 1.0 MB"), ("gzip", BOMB, "larger than 1.0 MB"),
    ("gzip", PACKED, ""), ("GZIP", PACKED + b"a" * 3_000_000, ""), ("gzip", PACKED[:-9], "did not come whole"), ("gzip", b"Words", "incorrect header"),
    *((name, gzip.compress(BOMB), "packed in a way") for name in ("gzip, gzip", "br", "zstd", "deflate", "compress")),
]  # fmt: skip


@pytest.mark.parametrize(("packing", "body", "message"), BODIES, ids=range(len(BODIES)))
def test_a_page_is_unpacked_no_further_than_the_limit(site: Site, packing: str, body: bytes, message: str) -> None:
    site.pages["/"] = (200, HTML | {"Content-Encoding": packing}, body)
    tracemalloc.start()
    assert message in refusal(site) if message else fetch(site).data in (b"Words", body)
    assert tracemalloc.get_traced_memory()[1] < 6_000_000
    tracemalloc.stop()


def test_reading_stops_at_the_limit_though_the_page_goes_on(site: Site) -> None:
    sent: Queue[int] = Queue()

    def endless(handler: Handler) -> None:
        total = handler.wfile.write(PAGE)
        with suppress(OSError):
            while True:
                total += handler.wfile.write(b"a" * 65536)
        sent.put(total)

    site.pages["/"] = endless
    assert "larger than 1.0 MB" in refusal(site)
    assert sent.get(timeout=5) < 20_000_000  # what the system's buffers hold is sent though nobody reads it


@pytest.mark.parametrize(("path", "head"), [("/", PAGE), ("/robots.txt", PAGE[:-4]), ("/", b"")], ids=["drips a body", "drips a head", "says nothing"])
def test_a_server_that_drips_or_says_nothing_is_left_at_the_deadline(site: Site, head: bytes, path: str) -> None:
    def drip(handler: Handler) -> None:
        handler.wfile.write(head)
        while time.monotonic() < started + 9 and not site.over.wait(0.2 if head else 9):
            handler.wfile.write(b"a")

    site.pages[path] = drip
    started = time.monotonic()
    assert "did not come in time" in refusal(site, seconds=1.5)
    assert 1.4 < time.monotonic() - started < 3


@pytest.mark.parametrize("answer", [b"", PAGE[:8], b"garbage\r\n\r\n", b"\x00\xff" * 99, PAGE[:-2] + b"Content-Length: 9\r\n\r\ncut"], ids=range(5))
def test_a_server_that_breaks_off_or_talks_nonsense_is_a_clear_error(site: Site, answer: bytes) -> None:
    site.pages["/"] = lambda handler: handler.wfile.write(answer)
    assert "The page cannot be fetched" in refusal(site)


def test_a_certificate_must_be_vouched_for_and_carry_the_name(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pem = tmp_path / "both.pem"
    names = ("-subj", "/CN=site.test", "-addext", "subjectAltName=DNS:site.test")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", pem, "-out", pem, *names], check=True, capture_output=True)
    context, trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_cert_chain(pem)
    trusting.load_verify_locations(pem)
    secure = Site()
    secure.socket = context.wrap_socket(secure.socket, server_side=True)
    secure.pages["/"] = (200, HTML, b"Words")
    with secure:
        assert "certificate does not hold" in refusal(secure, scheme="https") and secure.asked == []
        monkeypatch.setattr(ssl, "create_default_context", lambda: trusting)
        assert fetch(secure, scheme="https").data == b"Words"
        assert "certificate does not hold" in refusal(secure, scheme="https", host="other.test")
