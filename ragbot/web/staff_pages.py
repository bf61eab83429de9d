"""The staff page as HTML. Pure: values in, strings out; every word that is not ours is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from html import escape as escape_html

from ragbot.characters import shown
from ragbot.chunking import split_document
from ragbot.curating import Act, Draft, Origin, planting
from ragbot.curating.findings import Finding
from ragbot.curating.missing import NOWHERE, Kept, Usage
from ragbot.curating.proofing import still_missing
from ragbot.errors import RagbotError, SourceError
from ragbot.reading.front_matter import read_values, split_file
from ragbot.reading.isolating import FOREIGN_READERS
from ragbot.records import Document
from ragbot.settings import Settings
from ragbot.web.reindexing import Progress
from ragbot.web.rendering import PAGE_LINE, markdown_html
from ragbot.web.signing_in import Session
from ragbot.web.staff_forms import card_fields

KINDS = {
    "incomplete": "To do before publishing", "hidden": "Hidden text", "instruction": "Words to the bot", "link": "Unknown address", "contact": "Unknown number",
    "danger": "Dangerous words", "suspect": "Out of place",
    "duplicate": "Duplicate", "contradiction": "Other figures", "card": "Card", "reference": "Reference", "reading": "Reading",
}  # fmt: skip
DONE = {
    "added": "The draft is made. Look at what was found, and fill in what is missing.", "saved": "The draft is saved.",
    "published": "It is published. The bot answers from it as soon as the index has followed.", "retired": "It is retired.",
    "retire": "It is retired, and gone from all answers.", "restore": "It is published again.", "restored": "That version is the draft now.",
    "undone": "The last act is undone.", "discarded": "The draft is discarded.",
}  # fmt: skip
GRAVE = ("incomplete", *planting.GRAVE)
# As much of a text as a page shows rendered and in passages: some 15,000 words. Rendering takes time by the square of its length.
MOST_SHOWN = 100_000
# As much of it as can be edited in a browser; what is longer is edited in its file.
MOST_EDITED = 1_000_000
WORK_WORDS = {
    "reading": "The file is being read …", "fetching": "The page is being fetched and read …", "proofing": "The draft is being proofed …",
    "publishing": "It is being published …", "": "It is being worked on …",
}  # fmt: skip
FORMATS_WORDS = "Markdown, text, HTML, PDF, DOCX, ODT or EPUB, up to 20 MB"


def escape(words: str) -> str:
    """Words as HTML, in which characters that hide or reorder others stand as what they are. For what is looked at; a field of a form holds
    the words themselves, because they are sent back."""
    return escape_html(shown(words))


def sign_in_page(problem: str = "", goal: str = "/staff") -> str:
    """The form that everybody sees who is not signed in; afterwards it leads to ``goal``."""
    words = f'<p class="st-problem" role="alert">{escape(problem)}</p>' if problem else ""
    form = (
        f'<form method="post" action="/staff/sign-in" class="st-card st-narrow">{words}'
        f'<input type="hidden" name="next" value="{escape_html(goal)}">'
        '<label>Name <input name="name" autocomplete="username" required autofocus></label>'
        '<label>Password <input name="password" type="password" autocomplete="current-password" required></label>'
        "<button>Sign in</button></form>"
    )
    return _page("Sign in", f"<h1>Sign in</h1>{form}")


def problem_page(session: Session, error: RagbotError) -> str:
    """What went wrong, and how to mend it."""
    back = '<p><a href="/staff">To the library</a></p>'
    return _page("That did not work", f'<h1>That did not work</h1><p class="st-problem" role="alert">{escape(str(error))}</p>{back}', session)


def library_page(
    session: Session, documents: Sequence[Document], drafts: Sequence[Draft], usage: Mapping[str, Usage], progress: Progress, problems: Sequence[str]
) -> str:
    """All articles and drafts with their state, when they have to be looked at again, and how they are used."""
    own = {draft.id for draft in drafts}
    rows = "".join(_article_row(document, usage.get(document.source.id, Usage()), document.source.id in own) for document in documents
                   if document.source.status != "draft")  # fmt: skip
    pending = "".join(
        f'<li><a href="/staff/drafts/{escape(draft.id)}">{escape(draft.document.source.title or draft.id)}</a>'
        f"{' – ' + escape(still_to_do(draft)) if draft.problem else ''}</li>"
        for draft in drafts
    )
    head = "<th>Article<th>State<th>Review due<th>Last cited<th>Cited<th>Helpful"
    body = (
        f'<h1>Library</h1><p id="st-progress" role="status" data-state="{progress.state}">{escape(progress_words(progress))}</p>'
        + _problems(problems)
        + f'<section><h2>Drafts</h2>{f"<ul>{pending}</ul>" if pending else "<p>There are none.</p>"}<p><a class="st-button" href="/staff/add">Add an article</a></p></section>'
        f'<section><h2>Articles</h2><div class="st-wide" tabindex="0" role="region" aria-label="Articles"><table><thead><tr>{head}</thead><tbody>{rows}</tbody></table></div></section>'
    )
    return _page("Library", body, session)


def _problems(problems: Sequence[str]) -> str:
    told = "".join(f"<li>{escape(problem)}</li>" for problem in problems)
    return f'<section class="st-card st-grave"><h2>Problems</h2><ul>{told}</ul></section>' if told else ""


def _article_row(document: Document, usage: Usage, drafted: bool) -> str:
    source = document.source
    due = source.review.due
    overdue = source.review.overdue_days(date.today()) > 0
    state = source.status + (", new version in draft" if drafted else "") + ("" if source.review.state == "reviewed" else ", not clinically reviewed")
    return (
        f'<tr><th scope="row"><a href="/staff/articles/{escape(source.id)}">{escape(source.title)}</a>'
        f'<td class="st-{source.status}">{state}<td class="st-day{" st-overdue" if overdue else ""}">{due or "no date"}{" (overdue)" if overdue else ""}'
        f"<td class=st-day>{usage.last_cited or 'never'}<td>{usage.cited}<td>{f'{usage.helpful} yes, {usage.unhelpful} no' if usage.helpful + usage.unhelpful else ''}"
    )


def waiting_page(session: Session, work: str, words: str) -> str:
    """What stands where something takes a while; it goes on by itself once that is done, and without a script by the link."""
    body = (
        f'<h1>One moment</h1><p id="st-work" role="status" data-work="{escape(work)}">{escape(words)}</p>'
        '<p>You may leave this page: the work goes on, and what comes of it stands in the library.</p>'
        f'<p><a class="st-button" href="/staff/waiting/{escape(work)}">Look again</a></p><noscript><meta http-equiv="refresh" content="3"></noscript>'
    )
    return _page("One moment", body, session)


def work_words(state: str, step: str, before: int) -> str:
    """Where somebody's work stands, in a sentence."""
    if state == "queued":
        return f"It is waiting for its turn, behind {before} other{'s' if before != 1 else ''} …" if before else "It is about to begin …"
    return "It is done." if state == "done" else WORK_WORDS.get(step, WORK_WORDS[""])


def progress_words(progress: Progress) -> str:
    """Where indexing stands, in a sentence."""
    if progress.state == "failed":
        return f"The index was not brought up to date; the old one keeps serving. {progress.problem}"
    if progress.state == "running":
        share = f" ({progress.done} of {progress.total})" if progress.total else ""
        return f"The index is being brought up to date: {progress.step}{share} …"
    return "The bot answers from the articles as they stand below."


def adding_page(session: Session) -> str:
    """Three ways to add an article."""
    opening = f'<form method="post" action="/staff/add" enctype="multipart/form-data" class="st-card">{_csrf(session)}'
    body = (
        "<h1>Add an article</h1><p>Whatever you add becomes a draft. Nobody sees it before you publish it.</p>"
        f'{opening}<h2>A file</h2><label>{FORMATS_WORDS} <input type="file" name="file" required accept="{",".join(FOREIGN_READERS)}"></label><button>Upload</button></form>'
        f'{opening}<h2>A web page</h2><label>Address <input name="url" inputmode="url" required placeholder="https://…"></label><button>Fetch</button></form>'
        f'{opening}<h2>A text</h2><label>Title <input name="title" required></label><label>Text, as Markdown <textarea name="text" rows="12" required></textarea></label><button>Save as a draft</button></form>'
    )
    return _page("Add an article", body, session)


def draft_page(
    session: Session,
    draft: Draft,
    origin: Origin | None,
    findings: Sequence[Finding],
    acts: Sequence[Act],
    last: Act | None,
    *,
    asked: Sequence[str] = (),
    done: str = "",
    problem: str = "",
    more: str | None = None,
) -> str:
    """A draft: what to look at, the original beside the extracted text and its passages, and the form to mend it.

    Args:
        asked: the questions that it is to answer.
        done: what was just done, a key of ``DONE``.
        problem: why it was not saved or published.
        more: references and cautions as somebody typed them, where they cannot be read.
    """
    grave = sum(finding.kind in GRAVE for finding in findings)
    ask = f' data-ask="{grave} grave findings stand above. Publish all the same?"' if grave else ""
    questions = "".join(f"<li>{escape(question)}</li>" for question in asked)
    values = read_values(split_file(draft.text)[0])
    title = draft.document.source.title or draft.id
    body = (
        f"<h1>{escape(title)}</h1><p>Draft <code>{escape(draft.id)}</code></p>{_told(done, problem)}"
        + (f'<section class="st-card"><h2>To be answered here</h2><ul>{questions}</ul></section>' if questions else "")
        + f"{_findings(findings)}"
        f"{_side_by_side(draft, origin, findings)}"
        f'<form method="post" enctype="multipart/form-data" class="st-card" id="st-edit">{_csrf(session)}<input type="hidden" name="seen" value="{escape_html(draft.digest)}">'
        f"<h2>About this article</h2><div class=st-fields>{card_fields(values, more)}</div>"
        f"{_text_field(draft)}"
        '<p class="st-acts st-bar"><button name="act" value="save">Save</button> <button name="act" value="publish" class="st-main"'
        + f"{ask}>Publish</button> "
        + '<button name="act" value="discard" class="st-quiet" data-ask="Discard this draft? It stays in the history.">Discard draft</button></p></form>'
        + f"{_undo_form(session, last)}{_history(session, draft.id, acts)}"
    )
    return _page(title, body, session)


def _text_field(draft: Draft) -> str:
    """The text to edit; one that no browser could edit stays as it is when the form is saved, because the form does not hold it."""
    text = split_file(draft.text)[1].strip()
    if len(text) > MOST_EDITED:
        return f"<h2>Text</h2><p>It has {len(text):,} characters, too many to edit here. Edit the file <code>drafts/{escape(draft.id)}.md</code>, or split it.</p>"
    hiding = (
        "<p>It holds characters that show nothing or reorder words; above they stand as <code>⟦U+…⟧</code>, here as they are. Take them out.</p>"
        if shown(text) != text
        else ""
    )
    return f'<h2>Text</h2>{hiding}<label>Markdown <textarea name="body" rows="24">{escape_html(text)}</textarea></label>'


def gone_page(session: Session, identity: str, acts: Sequence[Act], last: Act | None, done: str = "") -> str:
    """What stands where a draft was discarded: its history, from which it comes back."""
    body = f"<h1>{escape(identity)}</h1>{_told(done)}<p>There is no draft of this now.</p>{_undo_form(session, last)}{_history(session, identity, acts)}"
    return _page(identity, body, session)


def article_page(session: Session, identity: str, text: str, acts: Sequence[Act], last: Act | None, done: str = "") -> str:
    """A published or retired article: its state, its text, and what can be done with it."""
    values, words = read_values(split_file(text)[0]), split_file(text)[1]
    status, title = str(values.get("status", "draft")), str(values.get("title", identity))
    other = (
        '<button name="act" value="restore">Publish again</button>'
        if status == "retired"
        else '<button name="act" value="retire" class="st-quiet" data-ask="Take this article out of all answers?">Retire</button>'
    )
    public = f' · <a href="/articles/{escape(identity)}">as the public sees it</a>' if status == "published" else ""
    body = (
        f'<h1>{escape(title)}</h1><p><code>{escape(identity)}</code> · <strong class="st-{escape(status)}">{escape(status)}</strong>{public}</p>{_told(done)}'
        f'<form method="post" class="st-card st-acts">{_csrf(session)}<button name="act" value="edit">Edit</button> {other}</form>'
        f'{_undo_form(session, last)}<p id="st-progress" role="status" data-state="running">…</p>'
        f'<section><h2>Text</h2><div class="st-text" tabindex="0" role="region" aria-label="Text">{_rendered(words)}</div></section>{_history(session, identity, acts)}'
    )
    return _page(title, body, session)


def missing_page(
    session: Session, totals: Mapping[str, Sequence[tuple[str, int]]], groups: Sequence[Sequence[Kept]], settings: Settings, problems: Sequence[str] = ()
) -> str:
    """What was asked and not answered: counts always, questions where the organisation has opted in."""
    tables = "".join(
        f"<section><h2>{heading}</h2>{_counts(totals.get(kind, ()))}</section>"
        for kind, heading in (("missing", "Not answered, by nearest article"), ("status", "How questions ended"), ("label", "What kind they were"))
    )
    if not settings.keep_questions:
        kept = "<p>The words of questions are not kept. With the setting <code>keep_questions</code> they are, redacted, and a notice tells the public so.</p>"
    elif not groups:
        kept = "<p>There are none.</p>"
    else:
        kept = "".join(_group(session, group) for group in groups)
    body = (
        f"<h1>What is missing</h1>{_problems(problems)}<p>Counts of the last 30 days.</p>"
        f'<div class="st-columns">{tables}</div><section><h2>Questions without an answer</h2>{kept}</section>'
    )
    return _page("What is missing", body, session)


def _group(session: Session, group: Sequence[Kept]) -> str:
    rows = "".join(
        f"<li>{escape(one.question)} <small>({one.day}, {one.why}, {_near(one.nearest)}{', article begun' if one.draft else ''})</small></li>"
        for one in group
    )
    ids = f'<input type="hidden" name="questions" value="{",".join(str(one.id) for one in group)}">'
    return (
        f'<form method="post" class="st-card">{_csrf(session)}{ids}<ul>{rows}</ul><p class="st-acts"><button name="act" value="write">Write an article about this</button> '
        '<button name="act" value="delete" class="st-quiet">Delete these questions</button></p></form>'
    )


def _near(article: str) -> str:
    return "nothing near" if article == NOWHERE else f"near {escape(article)}"


def _counts(rows: Sequence[tuple[str, int]]) -> str:
    if not rows:
        return "<p>Nothing yet.</p>"
    listed = "".join(f'<tr><th scope="row">{escape(key if key != NOWHERE else "nothing near")}<td>{count}' for key, count in rows)
    return f"<table><tbody>{listed}</tbody></table>"


def problem_words(error: SourceError) -> str:
    """What is wrong with a draft, as its editor needs it: without the file's name, and in the page's own words."""
    if error.message.startswith("The value of 'url'"):
        return "The address has to begin with https:// and lead to a page."
    return f"{error.message} {error.hint}".strip()


def still_to_do(draft: Draft) -> str:
    """What keeps a draft from being published, in a few words."""
    missing = still_missing(draft)
    return f"still to fill in: {', '.join(missing)}" if missing else problem_words(draft.problem) if draft.problem else ""


def _told(done: str = "", problem: str = "") -> str:
    """What was just done, or why it was not."""
    if problem:
        return f'<p class="st-problem" role="alert">{escape(problem)} Your words are below.</p>'
    return f'<p class="st-done" role="status">{DONE[done]}</p>' if done in DONE else ""


def _findings(findings: Sequence[Finding]) -> str:
    if not findings:
        return '<section class="st-card"><h2>To look at</h2><p>Nothing was found.</p></section>'
    rows = "".join(
        f'<li class="{"st-grave" if one.kind in GRAVE else ""}"><strong>{escape(KINDS.get(one.kind, one.kind.capitalize()))}.</strong> {escape(one.message)}'
        + (f" <q>{escape(' '.join(one.words.split())[:200])}</q>" if one.words else "")
        + "</li>"
        for one in findings
    )
    return f'<section class="st-card"><h2>To look at ({len(findings)})</h2><ul class="st-findings">{rows}</ul></section>'


def _side_by_side(draft: Draft, origin: Origin | None, findings: Sequence[Finding]) -> str:
    """The original, the text as it was read, and the passages that the bot will search, side by side."""
    places = {finding.span: finding.kind for finding in findings if finding.span is not None}
    passages = []
    document = replace(draft.document, text=_shown_part(draft.document.text))
    for chunk in split_document(document) if document.text.strip() else ():
        sentences = "".join(f"<mark>{escape(one.text)}</mark> " if one.span in places else f"{escape(one.text)} " for one in chunk.sentences)
        page = document.page_at(chunk.span.start)
        where = " › ".join(part for part in (f"page {page}" if page else "", chunk.heading) if part)
        passages.append(f"<li><small>{escape(where)}</small><p>{sentences}</p></li>")
    original = "<p>No original is kept.</p>"
    if origin is not None and origin.sha256:
        address = f"/staff/originals/{escape(draft.id)}"
        details = f"{escape(origin.name)}, sha256 <code>{origin.sha256[:12]}</code>" + (f", from {escape(origin.url)}" if origin.url else "")
        framed = origin.suffix in (".pdf", ".html", ".htm", ".xhtml", ".txt", ".md")
        original = f'<p><a href="{address}" target="_blank" rel="noopener">{details}</a></p>'
        original += f'<iframe src="{address}" title="Original" loading="lazy"></iframe>' if framed else "<p>This kind of file is opened on your computer.</p>"
    return (
        '<section><h2>Original, text, passages</h2><div class="st-columns st-three">'
        f"<div><h3>Original</h3>{original}</div>"
        f'<div><h3>Text</h3><div class="st-text" tabindex="0" role="region" aria-label="Text">{_rendered(draft.document.text)}</div></div>'
        f'<div><h3>Passages ({len(passages)})</h3><ol class="st-text" tabindex="0" aria-label="Passages">{"".join(passages)}</ol></div></div></section>'
    )


def _shown_part(text: str) -> str:
    """As much of a text as is shown, up to the end of a line."""
    return text if len(text) <= MOST_SHOWN else text[: max(text.rfind("\n", MOST_SHOWN - 2_000, MOST_SHOWN), 0) or MOST_SHOWN]


def _rendered(text: str) -> str:
    part = _shown_part(text)
    cut = f'<p class="st-cut">Only the first {len(part):,} of {len(text):,} characters are shown here.</p>' if len(part) < len(text) else ""
    html = shown(markdown_html(part))
    html = PAGE_LINE.sub(r'<p class="rb-page-number">Page \1</p>', html)
    for level in (4, 3, 2, 1):
        # The page has its own first two levels.
        html = html.replace(f"<h{level}>", f"<h{min(6, level + 2)}>").replace(f"</h{level}>", f"</h{min(6, level + 2)}>")
    return cut + html


def _history(session: Session, identity: str, acts: Sequence[Act]) -> str:
    if not acts:
        return "<section><h2>History</h2><p>Nothing was recorded yet.</p></section>"
    rows = []
    for act in reversed(acts):
        version = act.after.article if act.action in ("published", "retired", "restored") else act.after.draft
        version = version or act.after.article or ""
        again = (
            f'<form method="post" action="/staff/articles/{escape(identity)}">{_csrf(session)}<input type="hidden" name="version" value="{version}">'
            f'<button name="act" value="restore" class="st-quiet" aria-label="Make version {version[:12]} the draft">Make it the draft</button></form>'
            if version
            else ""
        )
        when = act.at.replace("T", " ").removesuffix("+00:00")
        rows.append(f"<tr><td>{when} UTC<td>{act.action}<td>{escape(act.by)}<td><code>{version[:12]}</code> {escape(act.note)}<td>{again}")
    head = "<th>When<th>What<th>Who<th>Version<th>Restore"
    return (
        '<section><h2>History</h2><div class="st-wide" tabindex="0" role="region" aria-label="History">'
        f"<table><thead><tr>{head}</thead><tbody>{''.join(rows)}</tbody></table></div></section>"
    )


def _undo_form(session: Session, last: Act | None) -> str:
    if last is None:
        return ""
    return (
        f'<form method="post" class="st-acts">{_csrf(session)}<button name="act" value="undo" class="st-quiet">'
        f"Undo: {last.action} by {escape(last.by)}, {last.at.replace('T', ' ').removesuffix('+00:00')} UTC</button></form>"
    )


def _csrf(session: Session) -> str:
    return f'<input type="hidden" name="csrf" value="{escape_html(session.csrf)}">'


def _page(title: str, body: str, session: Session | None = None) -> str:
    links = '<a href="/staff">Library</a> <a href="/staff/add">Add</a> <a href="/staff/missing">What is missing</a>' if session else ""
    leaving = (
        f'<form method="post" action="/staff/sign-out">{_csrf(session)}<span>{escape(session.name)}</span> <button class="st-quiet">Sign out</button></form>'
        if session
        else ""
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{escape(title)} – ragbot staff</title><link rel="stylesheet" href="/static/page.css"><link rel="stylesheet" href="/static/staff.css">'
        '<script src="/static/staff.js" defer></script></head><body class="st-body">'
        f'<header class="st-header"><strong>ragbot staff</strong><nav aria-label="Staff">{links}</nav>{leaving}</header><main>{body}</main></body></html>'
    )
