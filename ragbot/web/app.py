"""Puts the public site together and serves it: the frame, the chat, the articles."""

from __future__ import annotations

import asyncio
import os
import tempfile
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache, partial

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, PlainTextResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.middleware.cors import CORSMiddleware

from ragbot.chatbot import Ragbot
from ragbot.curating.missing import Feedback
from ragbot.guardrails import Policy, Responses
from ragbot.library import open_policy
from ragbot.records import Document, Span
from ragbot.settings import Settings
from ragbot.watching import watch_sources
from ragbot.web import pages
from ragbot.web.chat import Chat
from ragbot.web.first_help import FirstHelp
from ragbot.web.framing import PageFrame
from ragbot.web.limiting import QuestionLimiter
from ragbot.web.loading import BotInTheBackground
from ragbot.web.protecting import Doorkeeper
from ragbot.web.question_door import QuestionDoor
from ragbot.web.reindexing import Reindexing
from ragbot.web.rendering import article_html
from ragbot.web.staff import Staff

SECONDS_TO_FINISH = 10.0
ARTICLES_KEPT = 64
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

    from ragbot.web.chat_page import build_chat, functions_of, has_conversation, has_session

    policy = open_policy(settings)
    responses = Responses(policy, settings.region)
    # What staff, or somebody in the folder, did while no server was there is followed at the start.
    background = BotInTheBackground(settings, lambda: reindexing.request() if background.loaded is not None and (settings.staff or settings.watch) else None)
    reindexing = Reindexing(settings, lambda: bot.engines.current() if (bot := background.loaded) is not None else None)
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

    _add_routes(app, background, responses)
    first_help, limiter = FirstHelp(policy, responses), QuestionLimiter(settings)
    chat = Chat(background, first_help, responses, settings, limiter, Feedback(settings))
    blocks = build_chat(chat, policy.topics.suggestions, settings.question_limit)
    functions = functions_of(blocks)
    # Waiting is done in ragbot.web.chat, where help goes past it, so Gradio's own queue lets everything through.
    blocks.queue(api_open=False, max_size=None, default_concurrency_limit=None)
    app.add_middleware(CORSMiddleware, allow_origins=[], allow_credentials=False)
    above, below = _frame_html(settings, policy, responses)
    app.add_middleware(PageFrame, above=above, below=below)
    door = partial(
        QuestionDoor,
        functions=functions,
        first_help=first_help,
        limiter=limiter,
        wait_outside=chat.wait_outside,
        has_conversation=partial(has_conversation, blocks),
    )
    app.add_middleware(Doorkeeper, questions=door, staff=staff.app() if staff is not None else None, is_open=partial(has_session, blocks))
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


def _add_routes(app: FastAPI, background: BotInTheBackground, responses: Responses) -> None:
    """What is served beside the chat: the state of the server, the page's own files, the articles."""
    rendering = asyncio.Lock()

    @lru_cache(maxsize=ARTICLES_KEPT)
    def rendered(bot: Ragbot, document: Document, quoted: Span | None, fragment: bool) -> str:
        withheld = bot.withheld_sentences(document.source.id)
        return article_html(document, quoted, withheld) if fragment else pages.article_page(document, quoted, responses, withheld)

    @app.exception_handler(RequestValidationError)
    async def malformed(_: Request, __: Exception) -> Response:
        # FastAPI's own reply repeats what was sent.
        return PlainTextResponse("Not like this.", status_code=400)

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
        # Nobody waits here while the bot is loading: the threads that would wait are those that questions need.
        if (bot := background.loaded) is None:
            return HTMLResponse("<p>Articles cannot be shown just now. Please try again in a moment.</p>", status_code=503, headers={"retry-after": "5"})
        document = bot.generation.documents.get(identity)
        if document is None or bot.engines.is_withdrawn(identity):
            return HTMLResponse("<p>There is no such article.</p>", status_code=404)
        quoted = Span(start, end) if 0 <= start < end <= len(document.text) else None

        # A long table takes seconds; others are served meanwhile, but only one such page is made at a time.
        async with rendering:
            return HTMLResponse(await run_in_threadpool(rendered, bot, document, quoted, fragment))


def _stop(*working: Reindexing | Staff | None) -> None:
    for one in working:
        if one is not None:
            one.stop(SECONDS_TO_FINISH)


def _frame_html(settings: Settings, policy: Policy, responses: Responses) -> tuple[str, str]:
    note = "" if settings.model == "extractive" else f"Your question is sent to the language model {settings.model}. Every sentence it writes is checked."
    return pages.header_html(policy, responses, note), pages.panel_html() + pages.first_help_html(responses)
