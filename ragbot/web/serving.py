"""The server: its socket, its patience with slow connections, and what it may write into a log."""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
import threading
import traceback
from collections import Counter
from types import TracebackType
from typing import ClassVar

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from ragbot.errors import SettingsError
from ragbot.settings import Settings
from ragbot.web.app import create_app
from ragbot.web.limiting import visitor_group

_log = logging.getLogger("ragbot")
# A request's head is a kilobyte; whoever needs longer for it only wants to hold the connection.
HEAD_SECONDS = 10.0
# Whoever takes so long for what fits into the system's own buffers does not read at all.
WRITE_SECONDS = 60.0
CONNECTIONS = 4096
# A clinic's pages take two each. Behind a proxy all visitors come from its address, so that the limit is the proxy's to set.
CONNECTIONS_FROM_ADDRESS = 500


def run_server(settings: Settings) -> None:
    """Serves the site until it is stopped.

    Raises:
        SettingsError: the address or port cannot be used.
    """
    listening = _bind(settings)
    configure_logging()
    _allow_connections()
    config = uvicorn.Config(
        create_app(settings),
        http=PatientProtocol,
        # A request to become a WebSocket is answered like any other.
        ws="none",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        # uvicorn would believe X-Forwarded-For from loopback, so that anybody on this machine could pass for any visitor.
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies,
    )
    print(f"ragbot is listening on http://{settings.host}:{settings.port}", flush=True)  # noqa: T201 — the one line that a person who starts it waits for
    uvicorn.Server(config).run(sockets=[listening])


def _bind(settings: Settings) -> socket.socket:
    """The bound socket, before anything heavy is loaded, so that a port in use is told at once."""
    listening = socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((settings.host, settings.port))
    except OSError as error:
        listening.close()
        raise SettingsError(
            f"The address {settings.host}:{settings.port} cannot be used: {error.strerror or error}.", "Stop what uses it, or give another --port."
        ) from error
    return listening


def _allow_connections() -> None:
    """Raises the number of open connections to what the system allows: a page holds one or two as long as it is open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = CONNECTIONS if hard == resource.RLIM_INFINITY else min(CONNECTIONS, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


class PatientProtocol(H11Protocol):
    """uvicorn's HTTP over h11, with an end to its patience: it closes a connection on which a request's head is not there after
    ``HEAD_SECONDS``, or nothing is read for ``WRITE_SECONDS``, and takes no more than ``CONNECTIONS_FROM_ADDRESS`` from one address."""

    _open: ClassVar[Counter[str]] = Counter()
    _waiting: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None
    _address = ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begins to wait for a request's head."""
        super().connection_made(transport)
        if self.client is not None and not self.config.proxy_headers:
            self._address = visitor_group(self.client[0])
            self._open[self._address] += 1
            if self._open[self._address] > CONNECTIONS_FROM_ADDRESS:
                transport.abort()
                return
        self._wait()

    def pause_writing(self) -> None:
        """Begins to wait for the other side to read."""
        super().pause_writing()
        self._unread = self.loop.call_later(WRITE_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Stops waiting for that."""
        super().resume_writing()
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def data_received(self, data: bytes) -> None:
        """Stops waiting where a head is whole, and begins where another one has begun."""
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._stop_waiting()
        elif self._waiting is None:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stops waiting."""
        self._stop_waiting()
        if self._unread is not None:
            self._unread.cancel()
        if self._address:
            self._open[self._address] -= 1
            if not self._open[self._address]:
                del self._open[self._address]
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._waiting = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None


class KindsOnly(logging.Formatter):
    """Log lines with the kind of an error and where it was raised, and without what it says: an error's words may quote a visitor."""

    def formatException(self, ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]) -> str:  # noqa: N802 — logging's name
        """The traceback of an error and of what it came from, each with its kind alone."""
        lines: list[str] = []
        error = ei[1]
        while error is not None:
            frames = "".join(traceback.format_list(traceback.extract_tb(error.__traceback__)))
            lines.append(f"{frames}{type(error).__module__}.{type(error).__qualname__}")
            error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        return "\nfrom\n".join(lines)


def configure_logging() -> None:
    """Warnings and worse, of this project and of all libraries, through ``KindsOnly``; what ends a thread is a line of the log as well."""
    handler = logging.StreamHandler()
    # Some libraries set the level of their own loggers.
    handler.setLevel(logging.WARNING)
    handler.setFormatter(KindsOnly("%(asctime)s %(name)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    threading.excepthook = _log_thread


def _log_thread(ended: threading.ExceptHookArgs) -> None:
    error = ended.exc_value or ended.exc_type()
    _log.error("a thread ended", exc_info=(ended.exc_type, error, ended.exc_traceback))
