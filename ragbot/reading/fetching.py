"""A page's address → its bytes, without ever connecting to anything but the public internet. The only file that connects out by itself."""

from __future__ import annotations

import re
import ssl
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from urllib.parse import urljoin, urlsplit
from urllib.robotparser import RobotFileParser

import httpcore
import httpx

from ragbot.errors import SourceError
from ragbot.reading.addresses import Address, ForbiddenError, GuardedBackend, Resolver, is_public, resolve

AGENT = "ragbot article import"
# Content types that are taken, and the ending by which their reader is chosen.
TYPES = {
    "text/html": ".html", "application/xhtml+xml": ".html", "application/pdf": ".pdf", "text/plain": ".txt", "text/markdown": ".md",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "application/vnd.oasis.opendocument.text": ".odt", "application/epub+zip": ".epub",
}  # fmt: skip
_UPLOAD = "Save the page as a file and upload that."


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """How much fetching one address may cost (SAFETY 16); seconds are for all of it, redirects and robots.txt included."""

    redirects: int = 3
    megabytes: int = 10
    seconds: float = 20.0


@dataclass(frozen=True, slots=True)
class Fetched:
    """What an address gave: the bytes as decoded, the last address after redirects, and the ending of its kind."""

    data: bytes
    url: str
    content_type: str
    suffix: str


class Fetcher:
    """Fetches addresses. What may be connected to is an argument, so that tests can name a server of their own; no setting loosens it."""

    def __init__(
        self,
        limits: FetchLimits | None = None,
        *,
        resolver: Resolver = resolve,
        allows: Callable[[Address], bool] = is_public,
        ports: Iterable[int] = (80, 443),
    ) -> None:
        self._limits = limits or FetchLimits()
        self._resolver = resolver
        self._allows = allows
        self._ports = frozenset(ports)

    def fetch(self, url: str) -> Fetched:
        """What the address holds.

        Raises:
            SourceError: it may not be fetched (address, robots.txt, kind, size) or cannot be (time, certificate, an error of its server).
        """
        deadline = time.monotonic() + self._limits.seconds
        with self._client(deadline) as client, _in_words(url):
            for _ in range(self._limits.redirects + 1):
                self._check(url)
                self._ask_robots(client, url)
                with client.stream("GET", url) as reply:
                    if reply.is_redirect and "location" in reply.headers:
                        url = urljoin(url, reply.headers["location"])
                        continue
                    if reply.status_code != 200:
                        raise SourceError(f"The server answered with {reply.status_code} instead of the page.", _UPLOAD, path=url)
                    kind = reply.headers.get("content-type", "").split(";")[0].strip().lower()
                    if kind not in TYPES:
                        raise SourceError(f"The address gives {kind or 'no content type'!r}, which is no article.", f"Known: {', '.join(TYPES)}.", path=url)
                    return Fetched(_body(reply, self._limits.megabytes * 1_000_000, url), url, kind, TYPES[kind])
        raise SourceError(f"The address leads on more than {self._limits.redirects} times.", _UPLOAD, path=url)

    def _check(self, url: str) -> None:
        """Refuses what needs no look at the network to be refused."""
        try:
            parts = urlsplit(url)
            port = {"http": 80, "https": 443}.get(parts.scheme, 0) if parts.port is None else parts.port
        except ValueError as error:
            raise SourceError("This is no address of a web page.", "It begins with https://.", path=url) from error
        if parts.scheme not in ("http", "https") or not parts.hostname or re.search(r"[\s\\\x00-\x20\x7f]", url):
            raise SourceError("This is no address of a web page.", "It begins with https://.", path=url)
        if parts.username is not None or parts.password is not None:
            raise SourceError("An address with a password in it is not fetched.", _UPLOAD, path=url)
        if port not in self._ports:
            raise SourceError(f"Port {port} is not fetched from.", _UPLOAD, path=url)

    def _ask_robots(self, client: httpx.Client, url: str) -> None:
        """Refuses where the site's robots.txt says that programs should not come here, and where it cannot be asked."""
        with client.stream("GET", urljoin(url, "/robots.txt")) as reply:
            if reply.status_code >= 500 or reply.status_code == 429:
                raise SourceError("The site does not say whether programs may fetch from it.", _UPLOAD, path=url)
            # Without such a file, or where it has moved, a site says nothing against it (RFC 9309).
            lines = _body(reply, 500_000, url).decode("utf-8-sig", "replace").splitlines() if reply.status_code == 200 else []
        robots = RobotFileParser()
        robots.parse(lines)
        if not robots.can_fetch("ragbot", url):
            raise SourceError("The site's robots.txt asks programs not to fetch this page.", _UPLOAD, path=url)

    @contextmanager
    def _client(self, deadline: float) -> Iterator[httpx.Client]:
        backend = GuardedBackend(self._resolver, self._allows, self._ports, deadline)
        transport = _Transport(httpcore.ConnectionPool(ssl_context=ssl.create_default_context(), network_backend=backend, max_connections=2))
        # Neither proxies nor certificates of the environment; no cookies are kept between the requests that a server could set;
        # and only a packing of which a little can be unpacked at a time is asked for (see _body).
        with httpx.Client(
            transport=transport,
            trust_env=False,
            follow_redirects=False,
            timeout=self._limits.seconds,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
            headers={"user-agent": AGENT, "accept": ", ".join(TYPES), "accept-encoding": "gzip"},
        ) as client:
            yield client


class _Transport(httpx.BaseTransport):
    """httpx over a connection pool that connects through the guard."""

    def __init__(self, pool: httpcore.ConnectionPool) -> None:
        self._pool = pool

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        reply = self._pool.handle_request(
            httpcore.Request(
                request.method,
                httpcore.URL(scheme=request.url.raw_scheme, host=request.url.raw_host, port=request.url.port, target=request.url.raw_path),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        return httpx.Response(reply.status, headers=reply.headers, stream=_Stream(reply), extensions=reply.extensions)

    def close(self) -> None:
        self._pool.close()


class _Stream(httpx.SyncByteStream):
    def __init__(self, reply: httpcore.Response) -> None:
        self._reply = reply

    def __iter__(self) -> Iterator[bytes]:
        yield from self._reply.iter_stream()

    def close(self) -> None:
        self._reply.close()


def fetch(url: str) -> Fetched:
    """What a public address holds; see ``Fetcher.fetch``."""
    return Fetcher().fetch(url)


def _body(reply: httpx.Response, most: int, url: str) -> bytes:
    """The decoded body, no more than ``most`` bytes of it.

    It is unpacked here, because httpx unpacks whatever has come in one go, layer upon layer: a few kilobytes can become gigabytes.
    """
    packing = reply.headers.get("content-encoding", "").strip().lower()
    if packing not in ("", "identity", "gzip"):
        raise SourceError(f"The page is packed in a way that was not asked for: {packing[:50]}.", _UPLOAD, path=url)
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16) if packing == "gzip" else None
    data = bytearray()
    for piece in reply.iter_raw():
        data += unpacker.decompress(piece, most + 1 - len(data)) if unpacker else piece
        if len(data) > most:
            raise SourceError(f"The page is larger than {most / 1_000_000:.1f} MB.", _UPLOAD, path=url)
        if unpacker and unpacker.eof:
            break  # zlib would keep all that comes after
    if unpacker and not unpacker.eof:
        raise SourceError("The page did not come whole.", _UPLOAD, path=url)
    return bytes(data)


@contextmanager
def _in_words(url: str) -> Iterator[None]:
    """Errors of the network as sentences."""
    try:
        yield
    except ForbiddenError as error:
        raise SourceError(f"This address is not fetched: {error}.", "Only pages of the public internet are.", path=url) from error
    except (httpcore.TimeoutException, httpx.TimeoutException) as error:
        raise SourceError("The page did not come in time.", _UPLOAD, path=url) from error
    except (
        httpcore.NetworkError,
        httpcore.ProtocolError,
        httpcore.UnsupportedProtocol,
        httpx.HTTPError,
        httpx.InvalidURL,
        ssl.SSLError,
        zlib.error,
        ValueError,  # of urllib: a Location or a line of robots.txt that is no address
    ) as error:
        words = "Its certificate does not hold" if "certificate" in str(error).lower() else "The page cannot be fetched"
        raise SourceError(f"{words}: {str(error)[:200] or type(error).__name__}.", _UPLOAD, path=url) from error
