"""A real server on loopback over the starter library, for HTTP and browser tests."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from ragbot.chatbot import Ragbot
from ragbot.settings import Settings
from ragbot.web.staff_work import open_work, setup_of

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """Finds a port of this machine that nobody uses, so that two runs side by side do not meet."""

    def find() -> int:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            return int(probe.getsockname()[1])

    return find


@pytest.fixture(scope="session")
def site_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the served site keeps its sources, its ``log`` and Gradio's ``files``."""
    return tmp_path_factory.mktemp("site")


@pytest.fixture(scope="session")
def site(starter: Ragbot, site_folder: Path, free_port: Callable[[], int]) -> Iterator[str]:
    """The address of a served site whose bot is ready."""
    # A copy, because a server leaves its counts beside the articles.
    sources = shutil.copytree(ROOT / "sources", site_folder / "sources")
    log, files = site_folder / "log", site_folder / "files"
    files.mkdir()
    port = free_port()
    command = [sys.executable, "-m", "ragbot", "--sources", str(sources), "--index", str(starter.settings.index)]
    limits = {"RAGBOT_QUESTIONS_PER_MINUTE": "60", "RAGBOT_QUESTIONS_PER_MINUTE_FROM_ADDRESS": "5000"}
    environment = {**os.environ, **limits, "GRADIO_TEMP_DIR": str(files)}
    with log.open("w") as file:
        server = subprocess.Popen([*command, "serve", "--port", str(port)], stdout=file, stderr=subprocess.STDOUT, cwd=ROOT, env=environment)
        try:
            address = f"http://127.0.0.1:{port}"
            deadline = time.monotonic() + 120
            while time.monotonic() < deadline:
                assert server.poll() is None, log.read_text()
                try:
                    with urllib.request.urlopen(f"{address}/healthz", timeout=5) as reply:
                        if reply.read() == b"ready":
                            break
                except OSError:
                    pass
                time.sleep(0.2)
            else:
                pytest.fail(f"the site did not get ready: {log.read_text()}")
            yield address
        finally:
            server.terminate()
            server.wait(timeout=20)


class Here:
    """Does the staff's work in this process, over the same JSON as a process of its own would: starting one takes a second each time."""

    def __init__(self, settings: Settings) -> None:
        self._work = open_work(json.loads(json.dumps(setup_of(settings))))

    def do(self, order: Mapping[str, Any], data: bytes = b"", tell: Callable[[Any], None] = lambda step: None) -> tuple[Mapping[str, Any], bytes]:
        reply, made = self._work(json.loads(json.dumps(order)), data, tell)
        return json.loads(json.dumps(reply)), made

    def rest(self) -> None:
        pass

    def stop(self) -> None:
        pass


@pytest.fixture
def work_here(monkeypatch: pytest.MonkeyPatch) -> Callable[[Settings], Callable[[], Here]]:
    """Makes the ``doer`` of a ``Staff``; all is waited for."""
    monkeypatch.setattr("ragbot.web.staff.PATIENCE_SECONDS", 120.0)
    return lambda settings: lambda: Here(settings)
