"""What the server writes into its log, and how long it waits."""

from __future__ import annotations

import logging
import threading

import pytest

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
