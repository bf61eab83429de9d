"""The whole way of an article in a real browser: upload a PDF, mend its card, publish, ask, see the page cited, retire, ask again."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

from ragbot.chatbot import Ragbot
from ragbot.web.signing_in import hash_password

pytestmark = pytest.mark.browser
PORT = 7894
ROOT = Path(__file__).parents[2]
PASSWORD = "four unrelated garden words"
OPTIONS = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync".split()
QUESTION = "How long must visitors stay silent in the Larkfield quiet room?"
WORDS = "Visitors of the Larkfield clinic must stay silent in its quiet room for 17 minutes after each ketamine infusion."


@pytest.fixture(scope="module")
def sources(starter: Ragbot, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the starter library and its index that this module may change."""
    folder = tmp_path_factory.mktemp("staff")
    shutil.copytree(ROOT / "sources", folder / "sources")
    shutil.copytree(starter.settings.index, folder / "index")
    (folder / "ragbot.toml").write_text(f"[ragbot]\nkeep_questions = true\n[ragbot.staff]\nanna = '{hash_password(PASSWORD)}'\n")
    return folder


@pytest.fixture(scope="module")
def site_with_staff(sources: Path) -> Iterator[str]:
    environment = {**os.environ, "RAGBOT_QUESTIONS_PER_MINUTE": "60"}
    command = [sys.executable, "-m", "ragbot", "--config", "ragbot.toml", "serve", "--port", str(PORT)]
    with (sources / "log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=sources, env=environment)
        try:
            deadline = time.monotonic() + 120
            while time.monotonic() < deadline:
                assert server.poll() is None, (sources / "log").read_text()
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/healthz", timeout=5) as reply:
                        if reply.read() == b"ready":
                            break
                except OSError:
                    time.sleep(0.2)
            else:
                pytest.fail((sources / "log").read_text())
            yield f"http://127.0.0.1:{PORT}"
        finally:
            server.terminate()
            server.wait(timeout=20)


@pytest.fixture(scope="module")
def tab() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=OPTIONS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(20_000)
        yield page
        browser.close()


def ask(page: Page, site: str, question: str) -> str:
    """The last answer's words."""
    page.goto(site)
    page.locator("#question textarea").fill(question)
    page.locator("#ask").click()
    bubble = page.locator("#conversation .rb-answer").last
    bubble.wait_for()
    page.wait_for_timeout(1500)
    return bubble.inner_text()


def wait_for_the_index(page: Page) -> None:
    page.locator("#st-progress[data-state=idle]").wait_for(timeout=90_000)


def test_an_article_from_upload_to_retirement(site_with_staff: str, tab: Page, make_pdf: Callable[..., bytes], sources: Path) -> None:
    site, page = site_with_staff, tab
    assert "Not in the articles" in ask(page, site, QUESTION)

    page.goto(f"{site}/staff")
    page.get_by_label("Name").fill("anna")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="Add an article").click()

    first = [("Housekeeping", 72, 780, 20.0), ("The clinic is open from Monday to Friday and on some Saturdays.", 72, 740, 11.0)]
    second = [("Rules of the house", 72, 780, 16.0), (WORDS[:70], 72, 740, 11.0), (WORDS[71:], 72, 726, 11.0)]
    page.locator("input[type=file]").set_input_files({"name": "leaflet_v2.pdf", "mimeType": "application/pdf", "buffer": make_pdf([first, second])})
    page.get_by_role("button", name="Upload").click()
    page.wait_for_url("**/staff/drafts/**")
    assert "page 2" in page.locator(".st-three").inner_text()

    page.get_by_label("Title", exact=True).fill("House rules of the Larkfield ketamine clinic")
    page.get_by_label("Publisher").fill("Larkfield clinic")
    page.get_by_label("Address of the article").fill("https://larkfield.example/rules")
    page.get_by_role("button", name="Publish").click()
    page.wait_for_url("**/staff/articles/**")
    wait_for_the_index(page)

    answer = ask(page, site, QUESTION)
    assert "17 minutes" in answer
    page.locator("#conversation .rb-sources summary").last.click()
    assert "page 2" in page.locator("#conversation .rb-sources").last.inner_text()
    page.locator("#conversation a.rb-cite").last.click()
    page.locator("#rb-panel #quote").wait_for()
    assert "17 minutes" in page.locator("#rb-panel mark").all_inner_texts()[0]

    page.goto(f"{site}/staff")
    row = page.locator("tr", has_text="House rules of the Larkfield")
    assert "1" in row.inner_text()
    row.get_by_role("link").click()
    page.get_by_role("button", name="Retire").click()
    page.wait_for_load_state()
    # Gone at once, before the index has followed.
    assert "17 minutes" not in ask(page, site, QUESTION)
    page.goto(f"{site}/staff")
    wait_for_the_index(page)
    assert "Not in the articles" in ask(page, site, QUESTION)

    page.goto(f"{site}/staff/missing")
    assert "Larkfield" in page.locator("main").inner_text()
