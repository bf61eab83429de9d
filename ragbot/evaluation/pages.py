"""Report → report.html: one file that stands by itself, without scripts and without anything from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from ragbot.evaluation.bars import reaches
from ragbot.evaluation.judging import JudgedItem
from ragbot.evaluation.report import Report, SetReport, show_figure, show_interval
from ragbot.evaluation.styling import STYLE

MOST_PASSAGE_CHARACTERS = 1200


def render_html(report: Report) -> str:
    """The report as an HTML page. Every text of a set is escaped: it is somebody else's."""
    about = " · ".join(f"{escape(name)} {escape(value)}" for name, value in report.about.items())
    contents = "".join(f'<li><a href="#{_anchor(one)}">{escape(one.title)}</a></li>' for one in report.sets)
    body = [
        "<header><h1>Evaluation</h1>",
        f"<p>{about}</p><nav><ul>{contents}</ul></nav></header><main>",
        _verdict(report),
        _headline(report),
        _comparison(report),
        *(_set_section(one) for one in report.sets),
        "</main>",
    ]
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Evaluation</title><style>{STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>{"".join(body)}</body></html>\n'


def _anchor(one: SetReport) -> str:
    return "set-" + "".join(letter if letter.isalnum() else "-" for letter in one.title)


def _verdict(report: Report) -> str:
    parts = []
    if report.fallen:
        parts.append(f'<div class="bad"><h2>Bars not reached</h2>{_list([str(bar) for bar in report.fallen])}</div>')
    elif report.bars:
        parts.append('<p class="good">Every bar is reached.</p>')
    if report.problems:
        parts.append(f'<div class="bad"><h2>Lines that could not be used</h2>{_list([str(problem) for problem in report.problems])}</div>')
    return "".join(parts)


def _list(lines: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"


def _headline(report: Report) -> str:
    rows = []
    for one in report.sets:
        for number, score in enumerate(one.headline):
            bar = report.bar_of(one, score)
            kind = "" if bar is None else ' class="good"' if reaches(score, bar) else ' class="bad"'
            shown = "" if bar is None else f"{'≤' if score.better == 'low' else '≥'} {bar:g}"
            gauge = _gauge(score.low, score.value, score.high, bar) if score.unit == "share" else ""
            name = f'<th scope="rowgroup" rowspan="{len(one.headline)}"><a href="#{_anchor(one)}">{escape(one.title)}</a></th>' if number == 0 else ""
            cells = f"<td>{escape(score.name)}</td><td{kind}>{show_figure(score.value, score)}</td><td>{shown}</td>"
            rows.append(f"<tr>{name}{cells}<td>{gauge}</td><td>{show_interval(score)}</td><td>{score.n}</td></tr>")
    head = "".join(f'<th scope="col">{name}</th>' for name in ("set", "metric", "value", "bar", "0 to 1", "95 % interval", "n"))
    return f"<section><h2>Headline</h2><table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></section>"


def _gauge(low: float | None, value: float | None, high: float | None, bar: float | None) -> str:
    if low is None or value is None or high is None:
        return ""
    mark = f'<line class="mark" x1="{bar * 120:.1f}" x2="{bar * 120:.1f}" y1="0" y2="14"/>' if bar is not None else ""
    span = f'<rect class="span" x="{low * 120:.1f}" y="5" width="{max((high - low) * 120, 1):.1f}" height="4"/>'
    return f'<svg class="gauge" viewBox="0 0 120 14" aria-hidden="true">{span}<circle class="dot" cx="{value * 120:.1f}" cy="7" r="3.5"/>{mark}</svg>'


def _comparison(report: Report) -> str:
    if report.comparison is None:
        return ""
    rows = ""
    for one in report.comparison.sets:
        counts = f"<td>{len(one.fixed)}</td><td>{len(one.broken)}</td><td>{one.unchanged}</td>"
        rows += f"<tr><th scope=row>{escape(one.name)}</th>{counts}<td>{escape(', '.join(one.fixed))}</td><td>{escape(', '.join(one.broken))}</td></tr>"
    head = "".join(f'<th scope="col">{name}</th>' for name in ("set", "fixed", "broken", "unchanged", "fixed ones", "broken ones"))
    moved = _list([str(movement) for movement in report.comparison.movements])
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return f"<section><h2>Against {escape(report.comparison.before)}</h2>{table}{moved}</section>"


def _set_section(one: SetReport) -> str:
    rows = ""
    for score in one.scores:
        figures = f"<td>{show_figure(score.value, score)}</td><td>{show_interval(score)}</td><td>{score.n}</td>"
        rows += f"<tr><th scope=row>{escape(score.name)}</th>{figures}<td>{escape(score.reason)}</td></tr>"
    head = "".join(f'<th scope="col">{name}</th>' for name in ("metric", "value", "95 % interval", "n", "what it says"))
    groups = "".join(f"<tr><th scope=row>{escape(group)}</th><td>{right}</td><td>{total}</td></tr>" for group, (right, total) in one.groups.items())
    group_table = f"<table><thead><tr><th>kind of item</th><th>right</th><th>of</th></tr></thead><tbody>{groups}</tbody></table>" if groups else ""
    plots = "".join(f"<figure><h3>{escape(plot.title)}</h3>{plot.svg}<figcaption>{escape(plot.caption)}</figcaption></figure>" for plot in one.plots)
    failing = "".join(_failing_item(item) for item in one.failing)
    summary = f"{len(one.items)} items, {len(one.failing)} failing, {one.errors} could not be run, {one.seconds:.0f} s."
    details = f"<details><summary>{len(one.failing)} failing items</summary>{failing}</details>" if failing else ""
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return f'<section id="{_anchor(one)}"><h2>{escape(one.title)}</h2><p>{summary}</p>{table}<div class="plots">{plots}</div>{group_table}{details}</section>'


def _failing_item(item: JudgedItem) -> str:
    mark = " (borderline: in no score)" if item.borderline else ""
    told = (("expected", item.expected), ("got", item.got), ("why", "; ".join(item.why)))
    pairs = "".join(f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in told)
    passages = "".join(f"<li>{escape(_shorten(text))}</li>" for text in item.passages)
    shown = f"<details><summary>passages</summary><ol>{passages}</ol></details>" if passages else ""
    return f"<article><h3>{escape(item.question)}</h3><p class=id>{escape(item.id)} {escape(item.group)}{mark}</p><dl>{pairs}</dl>{shown}</article>"


def _shorten(text: str) -> str:
    return text if len(text) <= MOST_PASSAGE_CHARACTERS else text[:MOST_PASSAGE_CHARACTERS] + "…"
