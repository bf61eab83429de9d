"""The parts of the page that need no script: the frame around the chat, and the articles."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from importlib import resources

from ragbot.characters import shown
from ragbot.guardrails import Policy, Responses
from ragbot.records import Document, Span
from ragbot.web.rendering import article_html, short_help

TITLE = "ragbot"


def static_text(name: str) -> str:
    """A stylesheet or script of this package."""
    return resources.files("ragbot.web").joinpath("static", name).read_text(encoding="utf-8")


def header_html(policy: Policy, responses: Responses, model_note: str = "") -> str:
    """What stands above the chat in the page's own HTML, so that help is there when nothing else is."""
    disclaimer = escape(responses.text("disclaimer"))
    note = f'<p class="rb-model">{escape(model_note)}</p>' if model_note else ""
    return (
        '<a class="rb-skip" href="#question">Skip to the question</a>'
        f'<header class="rb-header"><h1>{TITLE}</h1>'
        f'<p class="rb-lead">Answers about {escape(policy.topics.topics)}, only from this library’s articles, each sentence with its exact quote.</p>'
        f'<p class="rb-crisis-line"><strong>In crisis?</strong> {short_help(responses.region, responses.elsewhere.lines[0])}</p>'
        f'<p class="rb-disclaimer">{disclaimer}</p>{note}</header>'
    )


def panel_html() -> str:
    """The empty panel in which an article opens beside the chat."""
    return (
        '<aside id="rb-panel" class="rb-panel" aria-label="Cited article" hidden>'
        '<button type="button" id="rb-panel-close" class="rb-close">Close article</button><div id="rb-panel-body"></div></aside>'
    )


def first_help_html(responses: Responses) -> str:
    """Where help and refusals stand that come before, or instead of, an answer: filled by the page's script, never by Gradio.

    The words for a lost connection are in the page from the start, since they cannot be fetched then.
    """
    lost = "".join(f"<p>{escape(line)}</p>" for line in responses.text("connection_lost").split("\n") if line.strip())
    line = f'<p class="rb-crisis-line"><strong>In crisis?</strong> {short_help(responses.region, responses.elsewhere.lines[0])}</p>'
    return (
        '<section id="rb-first-help" class="rb-first-help" role="alert" hidden><div id="rb-first-help-body"></div>'
        '<button type="button" id="rb-first-help-close" class="rb-close-first-help">Close</button></section>'
        f'<template id="rb-lost">{lost}{line}</template>'
    )


def article_page(document: Document, quoted: Span | None, responses: Responses, withheld: Sequence[Span] = ()) -> str:
    """An article as a page of its own, for links opened without script or in a new tab. Arguments as for ``article_html``."""
    body = article_html(document, quoted, withheld)
    # The article is the page here, so its headings stand one level higher than in the panel.
    body = body.replace("<h2 tabindex", "<h1 tabindex").replace("</h2><p class=", "</h1><p class=").replace("<h3", "<h2").replace("</h3>", "</h2>")
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(shown(document.source.title))} – {TITLE}</title>"
        '<link rel="stylesheet" href="/static/page.css"></head>'
        f'<body class="rb-page"><header class="rb-header"><p><a class="rb-open" href="/">← Back to the chat</a></p>'
        f'<p class="rb-crisis-line"><strong>In crisis?</strong> {short_help(responses.region, responses.elsewhere.lines[0])}</p></header>'
        f"<main>{body}</main></body></html>"
    )
