"""Report → report.md, short enough for a pull request."""

from __future__ import annotations

from collections.abc import Sequence

from ragbot.evaluation.report import Report, SetReport, show_figure, show_interval

MOST_FAILING = 20


def render_markdown(report: Report) -> str:
    """The report as Markdown: headline, bars, comparison, all scores, and the first failing items of each set."""
    parts = ["# Evaluation", _about(report), _table(("set", "metric", "value", "95 %", "n"), report.headline())]
    if report.fallen:
        parts.append("**Bars not reached**\n\n" + "\n".join(f"- {bar}" for bar in report.fallen))
    if report.problems:
        parts.append("**Lines that could not be used**\n\n" + "\n".join(f"- {_cell(str(problem))}" for problem in report.problems))
    if report.comparison is not None:
        parts.append(_comparison(report))
    parts += [_set_section(one) for one in report.sets]
    return "\n\n".join(part for part in parts if part) + "\n"


def _about(report: Report) -> str:
    return " · ".join(f"{name} {value}" for name, value in report.about.items())


def _comparison(report: Report) -> str:
    comparison = report.comparison
    assert comparison is not None
    rows = [(one.name, str(len(one.fixed)), str(len(one.broken)), str(one.unchanged), ", ".join(one.broken[:MOST_FAILING])) for one in comparison.sets]
    moved = "\n".join(f"- {movement}" for movement in comparison.movements)
    return f"## Against {comparison.before}\n\n{_table(('set', 'fixed', 'broken', 'unchanged', 'broken ones'), rows)}\n\n{moved}".rstrip()


def _set_section(one: SetReport) -> str:
    rows = [(score.name, show_figure(score.value, score), show_interval(score), str(score.n), score.reason) for score in one.scores]
    parts = [f"## {one.title}", f"{len(one.items)} items, {len(one.failing)} failing, {one.errors} could not be run, {one.seconds:.0f} s."]
    parts.append(_table(("metric", "value", "95 %", "n", "what it says"), rows))
    if one.groups:
        parts.append(_table(("kind of item", "right", "of"), [(group, str(right), str(total)) for group, (right, total) in one.groups.items()]))
    if one.failing:
        shown = one.failing[:MOST_FAILING]
        title = f"Failing items{'' if len(shown) == len(one.failing) else f' (the first {len(shown)}; all are in report.html)'}"
        rows = [(item.id, item.question, item.expected, item.got, "; ".join(item.why)) for item in shown]
        parts.append(f"{title}\n\n{_table(('id', 'question', 'expected', 'got', 'why'), rows, most=200)}")
    return "\n\n".join(parts)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], most: int = 1000) -> str:
    if not rows:
        return ""
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(_cell(cell, most) for cell in row)} |" for row in rows]
    return "\n".join(lines)


def _cell(text: str, most: int = 1000) -> str:
    """A text that cannot break out of its cell, nor be read as HTML by whoever shows the Markdown."""
    flat = " ".join(text.split())
    flat = flat if len(flat) <= most else flat[: most - 1] + "…"
    return flat.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("`", "'")
