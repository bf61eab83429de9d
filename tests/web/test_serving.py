"""What the server writes into its log, and how long it waits."""

from __future__ import annotations

import asyncio
import logging
import threading

import pytest
import uvicorn
from uvicorn.server import ServerState

from ragbot.web import serving
from ragbot.web.serving import KindsOnly, configure_logging


def logged(error: BaseException) -> str:
    record = logging.LogRecord("ragbot", logging.ERROR, "", 0, "incident %s", ("a1",), (type(error), error, error.__traceback__))
    return KindsOnly("%(levelname)s %(message)s").format(record)


def test_a_log_holds_the_kinds_of_errors_and_where_they_rose_and_none_of_their_words() -> None:
    try:
        try:
            "Canaryfield \ud800".encode()
        except UnicodeEncodeError as inner:
            raise ValueError("asked: Canaryfield") from inner
    except ValueError as error:
        text = logged(error)
    assert "anary" not in text.replace('raise ValueError("asked: Canaryfield")', "").replace('"Canaryfield \\ud800".encode()', "")
    assert "builtins.ValueError" in text and "builtins.UnicodeEncodeError" in text and "test_serving.py" in text


def test_what_ends_a_thread_is_a_line_of_the_log(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    configure_logging()

    def failing() -> None:
        raise RuntimeError("Canaryfield")

    thread = threading.Thread(target=failing)
    thread.start()
    thread.join()
    assert [record.message for record in caplog.records if record.name == "ragbot"] == ["a thread ended"]


class Transport(asyncio.Transport):
    """A connection that tells whether it was closed."""

    def __init__(self, address: str) -> None:
        super().__init__({"peername": (address, 5), "sockname": ("127.0.0.1", 80)})
        self.ended = False

    def close(self) -> None:
        self.ended = True

    abort = close

    def is_closing(self) -> bool:
        return self.ended


def connect(config: uvicorn.Config, address: str) -> tuple[serving.PatientProtocol, Transport]:
    protocol, transport = serving.PatientProtocol(config, ServerState(), {}), Transport(address)
    protocol.connection_made(transport)
    return protocol, transport


@pytest.mark.parametrize("proxied", [False, True])
def test_one_address_holds_so_many_connections_and_others_come_in(proxied: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "CONNECTIONS_FROM_ADDRESS", 2)

    async def crowd() -> tuple[list[bool], bool]:
        config = uvicorn.Config(app=lambda: None, proxy_headers=proxied, log_config=None)
        made = [connect(config, "192.0.2.1") for _ in range(4)]
        other = connect(config, "192.0.2.9")
        ended = [transport.ended for _, transport in (*made, other)]
        for protocol, _ in (*made, other):
            protocol.connection_lost(OSError())
        protocol, transport = connect(config, "192.0.2.1")
        refused_again = transport.ended
        protocol.connection_lost(OSError())
        return ended, refused_again

    ended, again = asyncio.run(crowd())
    assert ended == [False, False, not proxied, not proxied, False]
    assert not again


def test_who_does_not_read_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "WRITE_SECONDS", 0.01)

    async def wait(read: bool) -> bool:
        protocol, transport = connect(uvicorn.Config(app=lambda: None, log_config=None), "192.0.2.1")
        protocol.pause_writing()
        if read:
            protocol.resume_writing()
        await asyncio.sleep(0.05)
        ended = transport.ended
        protocol.connection_lost(OSError())
        return ended

    assert asyncio.run(wait(read=False)) is True
    assert asyncio.run(wait(read=True)) is False
