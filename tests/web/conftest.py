"""A real server on loopback over the starter library, for HTTP and browser tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from ragbot.chatbot import Ragbot

PORT = 7893
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def site_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the served site keeps its sources, its ``log`` and Gradio's ``files``."""
    return tmp_path_factory.mktemp("site")


@pytest.fixture(scope="session")
def site(starter: Ragbot, site_folder: Path) -> Iterator[str]:
    """The address of a served site whose bot is ready."""
    # A copy, because a server leaves its counts beside the articles.
    sources = shutil.copytree(ROOT / "sources", site_folder / "sources")
    log, files = site_folder / "log", site_folder / "files"
    files.mkdir()
    command = [sys.executable, "-m", "ragbot", "--sources", str(sources), "--index", str(starter.settings.index)]
    limits = {"RAGBOT_QUESTIONS_PER_MINUTE": "60", "RAGBOT_QUESTIONS_PER_MINUTE_FROM_ADDRESS": "5000"}
    environment = {**os.environ, **limits, "GRADIO_TEMP_DIR": str(files)}
    with log.open("w") as file:
        server = subprocess.Popen([*command, "serve", "--port", str(PORT)], stdout=file, stderr=subprocess.STDOUT, cwd=ROOT, env=environment)
        try:
            address = f"http://127.0.0.1:{PORT}"
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
