"""Answers, passages and articles on a terminal, in colour. Pure: records in, rich renderables out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from ragbot.diagnosis import Diagnosis
from ragbot.erasing import Erasure, Place
from ragbot.records import Answer, Document, Passage

STATUS_STYLES = {"answered": "green", "abstained": "yellow", "referred": "magenta", "emergency": "bold red", "declined": "yellow"}


def print_answer(answer: Answer, console: Console) -> None:
    """An answer as a person reads it: help first where it is needed, then the statements, then the quotes."""
    first = answer.status in ("emergency", "referred", "declined", "abstained")
    if answer.notice and first:
        console.print(Text(answer.notice, style=STATUS_STYLES[answer.status]), "")
    for statement in answer.statements:
        line = Text(statement.text)
        for number in statement.citations:
            line.append(f" [{number}]", style="cyan")
        console.print(line)
        if statement.caution:
            caution = Text(f"  Caution: {statement.caution}", style="yellow")
            if statement.caution_citation:
                caution.append(f" [{statement.caution_citation}]", style="cyan")
            console.print(caution)
    if answer.citations:
        console.print("", Rule("Quoted from", style="dim"))
    for citation in answer.citations:
        where = f"{citation.title}" + (f" › {citation.heading}" if citation.heading else "")
        console.print(Text(f"[{citation.number}] ", style="cyan") + Text(where, style="bold"))
        quote = " ".join(citation.quote.split())
        console.print(Padding(Text(f"“{quote}”", style="italic"), (0, 0, 0, 4)))
        details = [reference.key for reference in citation.references]
        details += [] if citation.reviewed else ["not clinically reviewed"]
        details += ["review overdue"] if citation.overdue else []
        console.print(Padding(Text(f"{citation.article} · {' · '.join(details)}", style="dim"), (0, 0, 0, 4)))
    if answer.notice and not first:
        console.print("", Text(answer.notice, style="yellow"))
    if answer.follow_ups:
        console.print("", Text("You could also ask: " + " · ".join(answer.follow_ups), style="dim"))


def print_passages(passages: Sequence[Passage], console: Console) -> None:
    """Ranked passages with their scores."""
    for rank, passage in enumerate(passages, start=1):
        title = f"{rank}. {passage.source.title} › {passage.chunk.heading}"
        console.print(Text(title, style="bold"), Text(f"   {passage.score:.4f} by {', '.join(passage.found_by)} · {passage.chunk.id}", style="dim"))
        console.print(Padding(Text(passage.chunk.plain), (0, 0, 1, 3)))
    if not passages:
        console.print("Nothing was found.")


def source_card(document: Document) -> dict[str, Any]:
    """The card of an article as JSON."""
    source = document.source
    return {
        "id": source.id,
        "title": source.title,
        "summary": source.summary,
        "publisher": source.publisher,
        "url": source.url,
        "status": source.status,
        "review": source.review.state,
        "review_due": source.review.due,
        "published": source.published,
        "license": source.license,
        "topics": source.topics,
        "references": [reference.key for reference in source.references],
        "cautions": len(source.cautions),
    }


def print_sources(documents: Sequence[Document], console: Console) -> None:
    """The library as a table."""
    table = Table("id", "title", "status", "review", "due", box=None, pad_edge=False)
    for document in documents:
        source = document.source
        table.add_row(source.id, escape(source.title), source.status, source.review.state, str(source.review.due or ""))
    console.print(table)


def print_article(document: Document, console: Console) -> None:
    """An article's card and text."""
    source = document.source
    console.print(Text(source.title, style="bold"), Text(source.summary), Text(f"{source.publisher} · {source.url}", style="dim"))
    reviewed = f"reviewed by {source.review.by}" if source.review.state == "reviewed" else "not clinically reviewed"
    console.print(Text(f"{source.status} · {reviewed} · {source.license}", style="yellow"), "")
    console.print(Text(document.text))


def print_places(places: Sequence[Place], console: Console) -> None:
    """Where an article stands, and what was removed."""
    table = Table("place", "found", "removed", box=None, pad_edge=False)
    for place in places:
        table.add_row(place.name, str(place.found), str(place.removed))
    console.print(table)


def print_erasure(erasure: Erasure, console: Console) -> None:
    """What was searched, found and removed, and what is left."""
    print_places(erasure.places, console)
    searched = f"{erasure.files_searched} files searched byte by byte for {erasure.pieces} pieces of its words: {len(erasure.left)} left."
    console.print(Text(searched, style="red" if erasure.left else "green"), soft_wrap=True)
    for told in (*erasure.left, *erasure.elsewhere):
        console.print(Text(f"✗ {told}", style="red"), soft_wrap=True)


def print_report(report: Any, console: Console) -> None:
    """The headline of an evaluation."""
    table = Table("set", "metric", "value", "95 %", "n", box=None, pad_edge=False)
    for row in report.headline():
        table.add_row(*(escape(str(cell)) for cell in row))
    console.print(table)


def print_diagnosis(diagnosis: Diagnosis, console: Console) -> None:
    """What `ragbot doctor` found."""
    for title, rows in diagnosis.sections.items():
        console.print(Text(title, style="bold"))
        for name, value in rows.items():
            console.print(Text(f"  {name}: {value}"), soft_wrap=True)
    for problem in diagnosis.problems:
        console.print(Text(f"✗ {problem}", style="red"), soft_wrap=True)
    for piece in diagnosis.advice:
        console.print(Text(f"! {piece}", style="yellow"), soft_wrap=True)
    console.print(Text(f"{'✗' if diagnosis.problems else '!' if diagnosis.advice else '✓'} {diagnosis.verdict}", style="bold"), soft_wrap=True)
