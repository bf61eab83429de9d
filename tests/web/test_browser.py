"""The chat in a real Chromium: ask, click, read; help, referral, abstention; keyboard; axe."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

pytestmark = pytest.mark.browser

ARGUMENTS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync".split()
)
RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]}}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser, site: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    scheme, width = getattr(request, "param", ("light", 1200))
    tab = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    away: list[str] = []
    tab.on("request", lambda sent: away.append(sent.url) if not sent.url.startswith((site, "data:", "blob:")) else None)
    tab.goto(site)
    expect(tab.locator("#question textarea")).to_be_visible(timeout=30_000)
    yield tab
    assert not away, f"the page asked other hosts: {away}"
    tab.close()


def ask(page: Page, question: str) -> None:
    before = page.locator(".rb-answer").count()
    page.fill("#question textarea", question)
    for _ in range(15):
        # Gradio takes the next question only when the answer before it is complete.
        page.locator("#question textarea").press("Enter")
        try:
            expect(page.locator(".rb-answer")).to_have_count(before + 1, timeout=2_000)
            break
        except AssertionError:
            continue
    expect(page.locator(".rb-answer")).to_have_count(before + 1)
    expect(page.locator("#question textarea")).to_have_value("")


def test_a_click_on_a_citation_shows_the_article_with_the_quoted_words(page: Page) -> None:
    ask(page, "How does ketamine work against depression?")
    answer = page.locator(".rb-answer").last
    statement = answer.locator(".rb-statement").first
    said = statement.inner_text().split("[")[0].strip()
    statement.locator(".rb-cite").first.click()
    mark = page.locator("#rb-panel mark").first
    expect(mark).to_be_visible()
    assert said.startswith(mark.inner_text().strip()[:40])
    assert "Not clinically reviewed" in page.locator("#rb-panel").inner_text()
    page.keyboard.press("Escape")
    expect(page.locator("#rb-panel")).to_be_hidden()


def test_help_comes_first_for_someone_in_danger(page: Page) -> None:
    ask(page, "i cant do this anymore, i want to kill myself")
    block = page.locator(".rb-crisis")
    expect(block).to_have_attribute("role", "alert")
    expect(block.locator('a[href="tel:988"]').first).to_be_visible()
    expect(block.locator('a[href="sms:988"]').first).to_be_visible()
    box = block.locator("a").first.bounding_box()
    assert box is not None and box["height"] >= 24


def test_help_is_on_the_page_while_the_conversation_still_waits(page: Page) -> None:
    """The reply to the question itself carries the block; it makes room for the conversation's own one."""
    page.route("**/gradio_api/queue/data*", lambda route: None)
    page.fill("#question textarea", "i want to kill myself")
    page.locator("#question textarea").press("Enter")
    block = page.locator("#rb-first-help")
    expect(block.locator(".rb-crisis")).to_be_visible(timeout=5_000)
    expect(block).to_have_attribute("role", "alert")
    expect(block.locator('a[href="tel:988"]').first).to_be_in_viewport()
    page.get_by_role("button", name="Close", exact=True).click()
    expect(block).to_be_hidden()


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (429, '{"detail": "x", "words": "Very many questions", "help": "<p>call <a href=\'tel:988\'>988</a></p>"}', "Very many questions"),
        (503, "Queue is full", "may not have arrived"),
        (None, "", "may not have arrived"),
    ],
)
def test_a_question_that_is_not_taken_is_told_with_the_crisis_line(page: Page, status: int | None, body: str, words: str) -> None:
    page.route("**/gradio_api/queue/join*", lambda route: route.abort() if status is None else route.fulfill(status=status, body=body, content_type="application/json"))
    page.fill("#question textarea", "How deep is a pot?")
    page.locator("#question textarea").press("Enter")
    told = page.locator("#rb-first-help")
    expect(told).to_contain_text(words)
    expect(told.locator('a[href="tel:988"]').first).to_be_in_viewport()


def test_a_suggestion_leaves_alone_what_is_being_typed(page: Page) -> None:
    page.fill("#question textarea", "i cannot go on")
    page.locator(".rb-suggestion").first.click()
    expect(page.locator(".rb-answer")).to_have_count(1, timeout=30_000)
    expect(page.locator("#question textarea")).to_have_value("i cannot go on")


def test_a_personal_decision_is_sent_to_a_professional_with_general_information(page: Page) -> None:
    ask(page, "Should I take ketamine?")
    text = page.locator(".rb-answer").last.inner_text()
    assert "can't decide this for you" in text
    assert page.locator(".rb-answer .rb-cite").count() >= 1


def test_what_the_articles_do_not_cover_is_said(page: Page) -> None:
    ask(page, "What dose of semaglutide is used for weight loss?")
    answer = page.locator(".rb-answer").last
    expect(answer.locator(".rb-statement")).to_have_count(0)
    assert "do not answer" in answer.inner_text() or "outside what I can answer" in answer.inner_text()


def test_a_claim_that_another_article_sets_right_is_shown_beside_it(page: Page) -> None:
    ask(page, "Did the popular article say that ketamine activated neurons in the habenula?")
    caution = page.locator(".rb-caution").first
    expect(caution).to_be_visible()
    expect(caution.locator(".rb-cite")).to_have_count(1)


def test_a_follow_up_is_understood(page: Page) -> None:
    ask(page, "How long does one ketamine infusion help?")
    ask(page, "and with repeated infusions?")
    assert "infusion" in page.locator(".rb-answer").last.inner_text()


def test_everything_works_by_keyboard_alone(page: Page) -> None:
    page.keyboard.press("Tab")
    assert "Skip" in page.evaluate("document.activeElement.textContent")
    page.keyboard.press("Enter")
    expect(page.locator("#question textarea")).to_be_focused()
    page.keyboard.type("What side effects are common?")
    page.keyboard.press("Enter")
    expect(page.locator(".rb-answer")).to_have_count(1, timeout=30_000)
    expect(page.locator(".rb-sources")).to_be_visible()
    for _ in range(60):
        page.keyboard.press("Shift+Tab")
        if page.evaluate("document.activeElement.classList.contains('rb-cite')"):
            break
    page.keyboard.press("Enter")
    expect(page.locator("#rb-panel")).to_be_visible()
    expect(page.locator("#rb-panel mark").first).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#rb-panel")).to_be_hidden()
    assert page.evaluate("document.activeElement.classList.contains('rb-cite')")


def test_what_a_visitor_types_is_shown_as_text(page: Page) -> None:
    page.evaluate("window.stolen = false")
    ask(page, '<img src=x onerror="window.stolen = true"> what is ketamine?')
    page.wait_for_timeout(300)
    assert page.evaluate("window.stolen") is False
    expect(page.locator(".rb-asked")).to_have_text('<img src=x onerror="window.stolen = true"> what is ketamine?')


@pytest.mark.parametrize("page", [("light", 1200), ("dark", 1200), ("light", 320), ("light", 600)], indirect=True, ids=str)
def test_axe_finds_no_violation(page: Page) -> None:
    for question in ("Does ketamine activate neurons in the habenula?", "I want to die", "Should I stop my lithium?", "who won the world cup"):
        ask(page, question)
    found = Axe().run(page, options=RULES).response["violations"]
    assert [(violation["id"], violation["nodes"][0]["html"]) for violation in found] == []
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.locator(".rb-cite").first.click()
    expect(page.locator("#rb-panel mark").first).to_be_visible()
    found = Axe().run(page, options=RULES).response["violations"]
    assert [(violation["id"], violation["nodes"][0]["html"]) for violation in found] == []
