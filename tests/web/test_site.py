"""The site over real HTTP: what stands in the page itself, what the door lets in, and what every reply carries."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest


@pytest.fixture(scope="module")
def client(site: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=site, timeout=30) as client:
        yield client


def test_help_and_disclaimer_stand_in_the_pages_own_html(client: httpx.Client) -> None:
    page = client.get("/").text
    before_script = page[page.index("<body") :].split("<gradio-app")[0]
    for words in ('href="tel:988"', 'href="sms:988"', "findahelpline.com", "not medical advice", "not been clinically reviewed", "<h1>"):
        assert words in before_script
    assert '<html\n\tlang="en"' in page or 'lang="en"' in page


def test_every_reply_carries_the_security_headers(client: httpx.Client) -> None:
    for path in ("/", "/healthz", "/articles/key-trials", "/nowhere"):
        headers = client.get(path).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "server" not in headers


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/gradio_api/upload"),
        ("POST", "/gradio_api/run/respond"),
        ("POST", "/gradio_api/call/respond"),
        ("POST", "/gradio_api/run/predict"),
        ("GET", "/gradio_api/file=/etc/passwd"),
        ("GET", "/gradio_api/file=https://example.org/x"),
        ("GET", "/gradio_api/proxy=https://example.org/x"),
        ("GET", "/config"),
        ("GET", "/gradio_api/info"),
        ("POST", "/gradio_api/cancel"),
        ("POST", "/gradio_api/reset"),
        ("POST", "/gradio_api/component_server"),
        ("GET", "/monitoring/summary"),
        ("GET", "/gradio_api/monitoring"),
        ("GET", "/docs"),
        ("GET", "/openapi.json"),
        ("GET", "/static/app.py"),
        ("GET", "/articles/../pyproject.toml"),
        ("GET", "/articles/..%2f..%2fpyproject.toml"),
        ("GET", "/staff"),
        ("PUT", "/"),
        ("DELETE", "/articles/key-trials"),
    ],
)
def test_what_the_chat_does_not_need_is_not_there(client: httpx.Client, method: str, path: str) -> None:
    reply = client.request(method, path, content=b"x" * 2000 if method == "POST" else None)
    assert reply.status_code in (401, 403, 404, 405, 413)
    assert "Traceback" not in reply.text


def test_a_huge_request_is_turned_away(client: httpx.Client) -> None:
    assert client.post("/gradio_api/queue/join", content=b"x" * 10_000_000).status_code == 413


def test_no_foreign_origin_is_let_in(client: httpx.Client) -> None:
    for path in ("/", "/gradio_api/app_id"):
        headers = client.get(path, headers={"origin": "https://evil.example"}).headers
        assert headers.get("access-control-allow-origin") in (None, "")


def test_an_article_is_a_page_of_its_own_with_the_quote_marked(client: httpx.Client) -> None:
    page = client.get("/articles/key-trials?start=200&end=260").text
    assert '<mark id="quote"' in page
    assert "Not clinically reviewed" in page
    assert client.get("/articles/nothing-here").status_code == 404
    assert "<mark" not in client.get("/articles/key-trials?start=99999999&end=999999999").text


def test_the_page_tells_no_path(client: httpx.Client) -> None:
    page = client.get("/").text
    assert "window.gradio_config" in page
    assert "/sources" not in page and "/root" not in page


@pytest.mark.parametrize("name", ["host", "x-forwarded-host", "x-forwarded-server", "x-gradio-server", "forwarded", "x-original-host", "x-forwarded-prefix"])
def test_no_name_that_a_visitor_gives_the_server_comes_back(client: httpx.Client, name: str) -> None:
    for path in ("/", "/theme.css", "/manifest.json", "/gradio_api/app_id", "/gradio_api/startup-events", "/articles/key-trials", "/nowhere"):
        reply = client.get(path, headers={name: "http://evil.example" if "gradio" in name else "evil.example"})
        assert "evil.example" not in reply.text + str(reply.headers)
        assert reply.status_code < 500
