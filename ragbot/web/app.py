"""Puts the public site together and serves it: the frame, the chat, the articles."""

from __future__ import annotations

import logging
import os
import socket
import tempfile
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.middleware.cors import CORSMiddleware

from ragbot.curating.missing import Feedback
from ragbot.errors import RagbotError, SettingsError
from ragbot.guardrails import Policy, Responses
from ragbot.library import open_policy
from ragbot.records import Span
from ragbot.settings import Settings
from ragbot.watching import watch_sources
from ragbot.web import pages
from ragbot.web.protecting import Doorkeeper
from ragbot.web.reindexing import Reindexing
from ragbot.web.rendering import article_html
from ragbot.web.staff import Staff

_log = logging.getLogger("ragbot")
SECONDS_TO_FINISH = 10.0
STATIC_TYPES = {"page.css": "text/css", "page.js": "text/javascript", "staff.css": "text/css", "staff.js": "text/javascript"}


def create_app(settings: Settings) -> FastAPI:
    """The site as an ASGI app. The bot loads in the background once it runs.

    Raises:
        PolicyError, SettingsError: the policy or the region cannot be used.
    """
    # Before gradio is imported: nothing is sent out, and what it writes stays in a folder of its own.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ.setdefault("GRADIO_TEMP_DIR", tempfile.mkdtemp(prefix="ragbot-"))
    import gradio as gr

    from ragbot.web.public import BotInTheBackground, Chat, build_chat

    policy = open_policy(settings)
    responses = Responses(policy, settings.region)
    # What staff, or somebody in the folder, did while no server was there is followed at the start.
    background = BotInTheBackground(settings, lambda: reindexing.request() if background.loaded is not None and (settings.staff or settings.watch) else None)
    reindexing = Reindexing(
        settings,
        lambda: bot.engines.current() if (bot := background.loaded) is not None else None,
    )
    # Without a password hash there is no staff page at all.
    staff = Staff(settings, lambda: background.loaded, reindexing) if settings.staff else None

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        background.start()
        stop = threading.Event()
        if settings.watch:
            watch_sources(settings.sources, reindexing.request, stop)
        yield
        stop.set()
        # A build that takes longer dies with the process, which harms nothing; but mostly it is a matter of seconds.
        await run_in_threadpool(_stop, reindexing, staff)

    app = FastAPI(title="ragbot", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)

    @app.get("/healthz")
    async def health() -> PlainTextResponse:
        return PlainTextResponse(background.state, status_code=200 if background.state != "broken" else 503)

    @app.get("/static/{name}")
    async def static(name: str) -> Response:
        if name not in STATIC_TYPES:
            return PlainTextResponse("There is nothing here.", status_code=404)
        return Response(pages.static_text(name), media_type=STATIC_TYPES[name], headers={"cache-control": "public, max-age=600"})

    @app.get("/articles/{identity}")
    async def article(identity: str, start: int = -1, end: int = -1, fragment: bool = False) -> HTMLResponse:
        try:
            bot = await run_in_threadpool(background.get)
        except RagbotError:
            return HTMLResponse("<p>Articles cannot be shown just now. Please try again in a moment.</p>", status_code=503)
        document = bot.generation.documents.get(identity)
        if document is None or bot.engines.is_withdrawn(identity):
            return HTMLResponse("<p>There is no such article.</p>", status_code=404)
        quoted = Span(start, end) if 0 <= start < end <= len(document.text) else None
        if fragment:
            return HTMLResponse(article_html(document, quoted))
        return HTMLResponse(pages.article_page(document, quoted, responses))

    chat = Chat(background, policy, responses, settings, Feedback(settings))
    blocks = build_chat(chat, policy.topics.suggestions, settings.question_limit)
    blocks.queue(api_open=False, max_size=20, default_concurrency_limit=2)
    app.add_middleware(CORSMiddleware, allow_origins=[], allow_credentials=False)
    app.middleware("http")(partial(_frame, frame=_frame_html(settings, policy, responses)))
    app.add_middleware(Doorkeeper, staff=staff.app() if staff is not None else None)
    gr.mount_gradio_app(
        app,
        blocks,
        path="/",
        show_error=False,
        enable_monitoring=False,
        run_history=False,
        footer_links=[],
        max_file_size="1kb",
        allowed_paths=[],
        blocked_paths=["/"],
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
        head=(
            '<meta name="description" content="Cited answers from curated articles">'
            '<link rel="stylesheet" href="/static/page.css"><script src="/static/page.js" defer></script>'
        ),
        theme=gr.themes.Base(primary_hue="teal", neutral_hue="slate", font=["system-ui", "sans-serif"], font_mono=["monospace"]),
    )
    return app


def _stop(*working: Reindexing | Staff | None) -> None:
    for one in working:
        if one is not None:
            one.stop(SECONDS_TO_FINISH)


def _frame_html(settings: Settings, policy: Policy, responses: Responses) -> tuple[str, str]:
    note = "" if settings.model == "extractive" else f"Your question is sent to the language model {settings.model}. Every sentence it writes is checked."
    return pages.header_html(policy, responses, note), pages.panel_html()


async def _frame(request: Request, call_next: Callable[[Request], object], *, frame: tuple[str, str]) -> Response:
    """Puts header and panel into the HTML of the chat page itself, so that help stands there without any script."""
    response: Response = await call_next(request)  # type: ignore[misc]
    if request.url.path != "/" or not response.headers.get("content-type", "").startswith("text/html"):
        return response
    body = b"".join([part async for part in response.body_iterator]).decode("utf-8")  # type: ignore[attr-defined]
    above, below = frame
    opening = body.index(">", body.index("<body")) + 1
    body = f"{body[:opening]}{above}{below}{body[opening:]}"
    return HTMLResponse(body, status_code=response.status_code, headers={"cache-control": "no-store"})


def run_server(settings: Settings) -> None:
    """Serves the site until it is stopped.

    Raises:
        SettingsError: the address or port cannot be used.
    """
    listening = _bind(settings)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    config = uvicorn.Config(
        create_app(settings),
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
    try:
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((settings.host, settings.port))
    except OSError as error:
        raise SettingsError(
            f"The address {settings.host}:{settings.port} cannot be used: {error.strerror or error}.", "Stop what uses it, or give another --port."
        ) from error
    return listening
