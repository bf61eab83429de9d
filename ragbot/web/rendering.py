"""Answer → HTML. Pure: records in, strings out; every word that is not ours is escaped."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from html import escape
from urllib.parse import urlencode

from markdown_it import MarkdownIt
from markdown_it.token import Token

from ragbot.characters import shown
from ragbot.guardrails.contacts import foreign_link, of_card
from ragbot.guardrails.policies import Line, Region
from ragbot.guardrails.responses import readable_number
from ragbot.records import Answer, Citation, Document, Reference, Source, Span, Statement

STATUS_WORDS = {
    "answered": "",
    "abstained": "Not in the articles",
    "referred": "A decision for you and a clinician",
    "emergency": "Help now",
    "declined": "Outside what I can do",
    "social": "",
}
NOT_REVIEWED = "Not clinically reviewed"
OVERDUE = "Review overdue"
_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")


def answer_html(answer: Answer, region: Region, directory: Line) -> str:
    """An answer as one HTML block in one line: an empty line in a title would end the block, and let a Markdown renderer make links."""
    parts = [f'<div class="rb-answer rb-{answer.status}">']
    if answer.status == "emergency":
        parts.append(crisis_block(answer, region, directory))
    elif answer.notice and answer.status == "social":
        parts.append(_linked(_paragraphs(answer.notice), region, directory))
    elif answer.notice and answer.status != "answered":
        words = _linked(_paragraphs(answer.notice), region, directory)
        # Above words for somebody who is low it would be a rebuff.
        heading = "" if answer.status == "declined" and answer.help == "line" else f"<strong>{STATUS_WORDS[answer.status]}.</strong> "
        parts.append(f'<div class="rb-notice" role="note">{heading}{words}</div>')
    if answer.statements:
        parts.append('<div class="rb-statements">')
        parts += [statement_html(statement, answer) for statement in answer.statements]
        parts.append("</div>")
    parts += [_nearest(answer)]
    if answer.notice and answer.status == "answered":
        parts.append(f'<div class="rb-notice rb-aside" role="note">{_linked(_paragraphs(answer.notice), region, directory)}</div>')
    if answer.citations:
        parts.append(_citation_list(answer))
    parts.append("</div>")
    return shown(_flat("".join(parts)))


def asked_html(question: str) -> str:
    """What a person asked, as text and nothing but text: no Markdown, no picture, no link."""
    lines = (escape(line) for line in question.strip().split("\n"))
    return _flat(f'<div class="rb-asked">{"<br>".join(lines)}</div>')


def statement_html(statement: Statement, answer: Answer) -> str:
    """A statement with its numbered links and, where a caution covers it, what the other article says beside it."""
    by_number = {citation.number: citation for citation in answer.citations}
    links = "".join(citation_link(by_number[number]) for number in statement.citations)
    html = f'<p class="rb-statement">{escape(statement.text)} {links}</p>'
    if statement.caution:
        other = by_number.get(statement.caution_citation) if statement.caution_citation else None
        contrast = f'<span class="rb-contrast">The other article says: “{escape(_flat(other.quote))}” {citation_link(other)}</span>' if other else ""
        html += f'<div class="rb-caution" role="note"><strong>Read with care.</strong> {escape(statement.caution)} {contrast}</div>'
    return html


def citation_link(citation: Citation) -> str:
    """The numbered link that opens the article at the quoted words."""
    label = f"Source {citation.number}: {citation.title}"
    return f'<a class="rb-cite" href="{article_path(citation)}" aria-label="{escape(label, quote=True)}">[{citation.number}]</a>'


def article_path(citation: Citation) -> str:
    """Where the article is shown with the quoted words marked."""
    return escape(f"/articles/{citation.article}?{urlencode({'start': citation.start, 'end': citation.end})}#quote", quote=True)


def _citation_list(answer: Answer) -> str:
    rows = []
    for citation in answer.citations:
        reviewed = "" if citation.reviewed else f' <span class="rb-tag">{NOT_REVIEWED}</span>'
        reviewed += f' <span class="rb-tag">{OVERDUE}</span>' if citation.overdue else ""
        where = f" › {escape(citation.heading)}" if citation.heading else ""
        where += f", page {citation.page}" if citation.page else ""
        rows.append(f'<li value="{citation.number}"><a href="{article_path(citation)}">{escape(citation.title)}</a>{where}{reviewed}</li>')
    noun = "source" if len(rows) == 1 else "sources"
    return f'<details class="rb-sources"><summary>{len(rows)} {noun}</summary><ol>{"".join(rows)}</ol></details>'


def _nearest(answer: Answer) -> str:
    if not answer.nearest:
        return ""
    links = "".join(f'<li><a class="rb-open" href="/articles/{escape(near.article)}">{escape(near.title)}</a></li>' for near in answer.nearest)
    return f'<p class="rb-nearest">Nearest articles:</p><ul>{links}</ul>'


def crisis_block(answer: Answer, region: Region, directory: Line) -> str:
    """The help that comes first, announced by screen readers; its links call, text or open."""
    text = (answer.notice or "").split("\n•")[0]
    closing = [line for line in (answer.notice or "").split("\n") if line and not line.startswith("•")][1:]
    words = "".join(f"<p>{escape(line)}</p>" for line in [text.strip(), *closing])
    return f'<div class="rb-crisis" role="alert"><p><strong>Help now</strong></p>{words}{help_lines(region, directory, answer.guardrail.label)}</div>'


def help_lines(region: Region, directory: Line, label: str = "crisis") -> str:
    """The helplines as links, at least 24 pixels high."""
    items = [f"<li>Immediate danger ({escape(region.name)}): {_link('tel:' + region.emergency.number, 'call ' + region.emergency.number)}</li>"]
    if label == "medical_emergency" and region.poison is not None:
        number = region.poison.number
        items.append(f"<li>{escape(region.poison.name)}, if the person is awake and well: {_link('tel:' + number, 'call ' + number)}</li>")
    if label != "medical_emergency":
        items += [f"<li>{_line(line)}</li>" for line in region.lines]
    items.append(f"<li>{_line(directory)}</li>")
    return f'<ul class="rb-help">{"".join(items)}</ul>'


def short_help(region: Region, directory: Line) -> str:
    """The crisis line that always stands on the page."""
    first = f"{_line(region.lines[0])} · " if region.lines else ""
    return f"{first}Emergency: {_link('tel:' + region.emergency.number, region.emergency.number)} · {_line(directory)}"


def _line(line: Line) -> str:
    ways = []
    if line.call:
        ways.append(_link(f"tel:{line.call}", f"call {readable_number(line.call)}"))
    if line.text:
        body = f"?&body={line.keyword}" if line.keyword else ""
        ways.append(_link(f"sms:{line.text}{body}", f"text {line.keyword} to {line.text}" if line.keyword else f"text {line.text}"))
    if line.url:
        ways.append(_link(line.url, line.url.removeprefix("https://").rstrip("/")))
    details = ", ".join(detail for detail in (line.what, line.hours) if detail)
    return f"{escape(line.name)}: {' or '.join(ways)}{f' <small>({escape(details)})</small>' if details else ''}"


def _link(href: str, words: str) -> str:
    away = ' target="_blank" rel="noopener noreferrer"' if href.startswith("https:") else ""
    return f'<a href="{escape(href, quote=True)}"{away}>{escape(words)}</a>'


def _linked(html: str, region: Region, directory: Line) -> str:
    """Escaped words of ours in which the region's numbers to call, and where to look elsewhere, are links."""
    links = {region.emergency.number: f"tel:{region.emergency.number}"}
    for line in (*region.lines, *([region.treatment] if region.treatment else []), directory):
        if line.call:
            links[readable_number(line.call)] = links[line.call] = f"tel:{line.call}"
        if line.url:
            links[line.url.removeprefix("https://").rstrip("/")] = line.url
    pattern = "|".join(re.escape(escape(words)) for words in sorted(links, key=len, reverse=True))
    return re.sub(rf"(?<![\w.-])(?:{pattern})(?![\w-])", lambda found: _link(links[found.group()], found.group()), html)


def _paragraphs(text: str) -> str:
    lines = (line.strip() for line in text.split("\n"))
    return " ".join(f"<p>{escape(line)}</p>" for line in lines if line)


def _flat(text: str) -> str:
    return " ".join(text.split())


OPEN_MARK, CLOSE_MARK = "\ue000", "\ue001"
# How the marker of a page comes out of the renderer, which shows no HTML.
PAGE_LINE = re.compile(r"<p>&lt;!-- page (\d+) --&gt;</p>")


WITHHELD = "⟦A sentence is not shown: it names a number or address that nobody here vouches for, or speaks against calling for help.⟧"


def article_html(document: Document, quoted: Span | None, withheld: Sequence[Span] = ()) -> str:
    """An article with the quoted words marked, its review state and its references; a fragment to stand in a page.

    The mark is set in the source text before it is rendered, so that exactly the words of the span are marked.

    Args:
        withheld: sentences that are not shown, in their order and apart from each other.
    """
    source = document.source
    # A text that holds the marks itself would forge a quote.
    text = document.text.replace(OPEN_MARK, "\ufffd").replace(CLOSE_MARK, "\ufffd")
    if quoted is not None and (quoted.end > len(text) or quoted.start >= quoted.end or any(one.overlaps(quoted) for one in withheld)):
        quoted = None
    for one in reversed(withheld):
        text = text[: one.start] + WITHHELD + text[one.end :]
        if quoted is not None and one.end <= quoted.start:
            moved = len(WITHHELD) - (one.end - one.start)
            quoted = Span(quoted.start + moved, quoted.end + moved)
    if quoted is not None:
        text = _mark(text, quoted)
    body = _with_numbers(markdown_html(text, source), source.references)
    marked = PAGE_LINE.sub(r'<p class="rb-page-number" id="page-\1">Page \1</p>', _marks_to_html(body))
    reviewed = source.review.state == "reviewed"
    state = f"Reviewed by {escape(source.review.by or '')} on {source.review.on}" if reviewed else NOT_REVIEWED
    due = f" · review due {source.review.due}" if source.review.due else ""
    references = "".join(f'<li id="ref-{escape(reference.key)}">{reference_html(reference)}</li>' for reference in source.references)
    listing = f"<h3>References</h3><ol>{references}</ol>" if references else ""
    return shown(
        f'<article class="rb-article" lang="en"><p class="rb-tag">{state}{due}</p><h2 tabindex="-1" id="article-title">{escape(source.title)}</h2>'
        f'<p class="rb-publisher">{escape(source.publisher)} · {escape(source.license)} · '
        f'<a href="{escape(source.url, quote=True)}" target="_blank" rel="noopener noreferrer">main reference</a></p>'
        f"{marked.replace('<h2>', '<h3>').replace('</h2>', '</h3>')}{listing}</article>"
    )


def _with_numbers(html: str, references: Sequence[Reference]) -> str:
    """Reference keys as numbers that lead to their reference; never inside a tag."""
    numbers = {
        f"[{escape(one.key)}]": f'<sup><a class="rb-ref" href="#ref-{escape(one.key)}" title="{escape(one.title, quote=True)}">{number}</a></sup>'
        for number, one in enumerate(references, start=1)
    }
    if not numbers:
        return html
    keys = "|".join(re.escape(key) for key in numbers)
    return re.sub(rf"<[^>]*>|{keys}", lambda found: numbers.get(found.group(), found.group()), html)


def markdown_html(text: str, source: Source | None = None) -> str:
    """Markdown of an article as HTML, without its raw HTML and its pictures; links are live only where the card names their address.

    Another address is shown in brackets behind the words of its link, so that a reader sees where it would lead.
    """
    tokens = _MARKDOWN.parse(text)
    known = of_card(source) if source is not None else ()
    for token in tokens:
        if token.children:
            token.children = _without_foreign_links(token.children, known)
    html: str = _MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {})
    return html


def _without_foreign_links(children: Sequence[Token], known: Collection[str]) -> list[Token]:
    kept: list[Token] = []
    closings: list[str | None] = []
    for token in children:
        if token.type == "image":
            kept.append(_words(f"[Picture: {token.content or 'without words'}, {token.attrGet('src')}]"))
        elif token.type == "link_open":
            address = str(token.attrGet("href") or "")
            live = address.startswith("#") or (address.startswith(("https://", "http://")) and foreign_link(address, known) is None)
            closings.append(None if live else address)
            if live:
                token.attrs = {"href": address}
                if not address.startswith("#"):
                    token.attrs |= {"target": "_blank", "rel": "noopener noreferrer"}
                kept.append(token)
        elif token.type == "link_close":
            foreign = closings.pop() if closings else None
            shown = kept[-1].content if kept else ""
            if foreign is None:
                kept.append(token)
            elif foreign.removeprefix("mailto:") != shown:
                kept.append(_words(f" [{foreign}]"))
        else:
            kept.append(token)
    return kept


def _words(words: str) -> Token:
    return Token("text", "", 0, content=words)


def reference_html(reference: Reference) -> str:
    """A reference as one line, linked where it has an address."""
    details = ". ".join(part for part in (reference.authors, reference.title, reference.container) if part)
    year = f" ({reference.year})" if reference.year else ""
    words = f"{escape(details)}{year}"
    return f"{words}. {_link(reference.link, 'Open')}" if reference.link and reference.link.startswith("https://") else words


def _mark(text: str, span: Span) -> str:
    """The text with private characters around the span's words, line by line, so that no Markdown marker is enclosed."""
    lines, marked = span.of(text).split("\n"), []
    for line in lines:
        words = line.lstrip(" >-*#0123456789.)") if line is not lines[0] else line
        lead = line[: len(line) - len(words)]
        marked.append(f"{lead}{OPEN_MARK}{words}{CLOSE_MARK}" if words.strip() else line)
    return text[: span.start] + "\n".join(marked) + text[span.end :]


def _marks_to_html(html: str) -> str:
    first, rest = '<mark id="quote" tabindex="-1">', "<mark>"
    html = html.replace(OPEN_MARK, first, 1).replace(OPEN_MARK, rest)
    return html.replace(CLOSE_MARK, "</mark>")
