"""The command line. The only file that knows typer.

Exit codes: 0 the work was done, 1 what was checked does not hold, 2 a usage or input error with one clear line on stderr.
Heavy parts (torch, chromadb, gradio) are imported by the commands that need them, so that ``--help`` answers at once.
"""

from __future__ import annotations

import getpass
import json
import logging
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ragbot import __version__
from ragbot.errors import DatasetError, QuestionError, RagbotError, SourceError
from ragbot.secrecy import without_secrets
from ragbot.settings import Settings, named_config

app = typer.Typer(
    name="ragbot",
    help="Answers questions from curated articles, each sentence with its exact quote.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
sources_app = typer.Typer(help="List, show, check, add, publish, retire, restore and erase articles.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(sources_app, name="sources")
staff_app = typer.Typer(help="Passwords of the staff page, and kept questions.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(staff_app, name="staff")

stderr = Console(stderr=True)
stdout = Console()
_log = logging.getLogger("ragbot")

_given: dict[str, Any] = {}
GLOBAL_OPTIONS = ("--sources", "--index", "--config")
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, nothing else there.")]
SourcesOption = Annotated[Path | None, typer.Option("--sources", help="Folder with the articles.", show_default=False)]
IndexOption = Annotated[Path | None, typer.Option("--index", help="Folder of the built index.", show_default=False)]
ConfigOption = Annotated[Path | None, typer.Option("--config", help="Settings file (TOML).", show_default=False)]


def _version(value: bool) -> None:
    if value:
        typer.echo(f"ragbot {__version__}")
        raise typer.Exit


@app.callback()
def main(
    sources: SourcesOption = None,
    index: IndexOption = None,
    config: ConfigOption = None,
    _show_version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")] = False,
) -> None:
    """Answers questions from curated articles, each sentence with its exact quote."""
    _given.clear()
    _given.update(sources=sources, index=index, config=config)


def _settings(**more: Any) -> Settings:
    return Settings.load(_given.get("config"), sources=_given.get("sources"), index=_given.get("index"), **more)


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2, default=str))


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=stderr, transient=not stderr.is_terminal) as progress:
        tasks: dict[str, Any] = {}

        def show(step: str, done: int, total: int) -> None:
            if step not in tasks:
                tasks[step] = progress.add_task(step, total=total)
            progress.update(tasks[step], completed=done, total=total)

        yield show


@app.command()
def serve(
    host: Annotated[str | None, typer.Option("--host", help="Address to listen on.", show_default=False)] = None,
    port: Annotated[int | None, typer.Option("--port", help="Port to listen on.", show_default=False)] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Follow the folder of sources: what changes there is indexed by itself.")] = False,
) -> None:
    """Serve the chat page, and the staff page where 'staff' is set, until it is stopped."""
    settings = _settings(host=host, port=port, watch=watch or None)
    from ragbot import generations

    generations.list_candidates(settings.index)
    from ragbot.web.serving import run_server

    run_server(settings)


@app.command()
def ask(
    question: Annotated[str | None, typer.Argument(help="The question.", show_default=False)] = None,
    batch: Annotated[Path | None, typer.Option("--batch", help="JSONL with {id, question, history?} a line.", show_default=False)] = None,
    out: Annotated[Path | None, typer.Option("--out", help="JSONL to write, a line for each of --batch.", show_default=False)] = None,
    as_json: Json = False,
) -> None:
    """Answer a question with numbered citations."""
    if batch is not None:
        if question is not None or out is None:
            raise RagbotError("With --batch, give --out and no question.", "Example: ragbot ask --batch in.jsonl --out out.jsonl")
        _ask_batch(batch, out, as_json)
        return
    if question is None:
        raise RagbotError("What is the question?", 'Example: ragbot ask "How long does ketamine last?"')
    answer = _answer(question, _settings())
    if as_json:
        _print_json(answer.to_dict())
    else:
        from ragbot.terminal import print_answer

        print_answer(answer, stdout)


def _answer(question: str, settings: Settings) -> Any:
    from ragbot.chatbot import Ragbot, broken_answer

    try:
        return Ragbot.open(settings).ask(question)
    except QuestionError:
        raise
    except RagbotError as error:
        answer = broken_answer(question, settings)
        if answer.status != "emergency":
            raise
        # Help is shown whatever else is broken; the problem is told on the side.
        stderr.print(str(error), style="red", markup=False, highlight=False)
        return answer


def _ask_batch(batch: Path, out: Path, as_json: bool) -> None:
    from ragbot.chatbot import Ragbot

    try:
        lines = batch.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"The questions cannot be read: {error}.", path=batch) from error
    bot = Ragbot.open(_settings())
    failed = answered = 0
    try:
        file = out.open("w", encoding="utf-8")
    except OSError as error:
        raise DatasetError(f"The answers cannot be written: {error.strerror}.", path=out) from error
    with file, _progress() as show:
        for number, line in enumerate(lines, start=1):
            show("answering", number, len(lines))
            if not line.strip():
                continue
            result = _batch_line(bot, line, number)
            failed += "error" in result
            answered += "error" not in result
            file.write(json.dumps(result, ensure_ascii=False) + "\n")
            file.flush()
    if as_json:
        _print_json({"answered": answered, "failed": failed, "out": str(out)})
    else:
        stderr.print(f"{answered} answered, {failed} failed → {out}", markup=False, highlight=False)


def _batch_line(bot: Any, line: str, number: int) -> dict[str, Any]:
    identity: Any = f"line {number}"
    try:
        item = json.loads(line)
        if not isinstance(item, dict) or not isinstance(item.get("question"), str):
            raise ValueError('not an object with "id" and "question"')
        identity = item.get("id", identity)
        return {"id": identity, **bot.ask(item["question"], item.get("history") or ()).to_dict()}
    except (RagbotError, ValueError, TypeError, RecursionError) as error:
        return {"id": identity, "error": f"line {number}: {error}"}


@app.command()
def search(
    query: Annotated[str, typer.Argument(help="What to look for.")],
    count: Annotated[int, typer.Option("-k", help="How many passages.", min=1, max=100)] = 8,
    as_json: Json = False,
) -> None:
    """Rank passages for a query."""
    from ragbot.chatbot import Ragbot

    passages = Ragbot.open(_settings()).search(query, count)
    if as_json:
        _print_json(
            [
                {
                    "rank": rank,
                    "article": passage.source.id,
                    "title": passage.source.title,
                    "heading": passage.chunk.heading,
                    "score": passage.score,
                    "found_by": passage.found_by,
                    "text": passage.chunk.text,
                    "start": passage.chunk.span.start,
                    "end": passage.chunk.span.end,
                }
                for rank, passage in enumerate(passages, start=1)
            ]
        )
        return
    from ragbot.terminal import print_passages

    print_passages(passages, stdout)


@app.command()
def index(
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Embed everything anew.")] = False,
    as_json: Json = False,
) -> None:
    """Bring the index up to date with the sources: only what changed is embedded."""
    from ragbot.library import build_index

    with _progress() as show:
        report = build_index(_settings(), rebuild=rebuild, progress=show)
    if as_json:
        _print_json(
            {
                "generation": report.generation,
                "switched": report.switched,
                "documents": report.documents,
                "chunks": report.chunks,
                "embedded": report.embedded,
                "reused": report.reused,
                "mended": report.mended,
            }
        )
    elif report.switched:
        stdout.print(
            f"{report.generation}: {report.documents} articles, {report.chunks} passages, {report.embedded} of them embedded anew.", highlight=False
        )
    else:
        stdout.print(f"{report.generation}: nothing has changed.", highlight=False)
    if report.mended and not as_json:
        more = f" and {len(report.mended) - 5} more" if len(report.mended) > 5 else ""
        stdout.print(f"Damaged and mended: {', '.join(report.mended[:5])}{more}.", markup=False, highlight=False)


@sources_app.command("list")
def list_sources(as_json: Json = False) -> None:
    """List the articles."""
    from ragbot.library import check_sources
    from ragbot.terminal import print_sources, source_card

    checkup = check_sources(_settings())
    if as_json:
        _print_json([source_card(document) for document in checkup.documents])
    else:
        print_sources(checkup.documents, stdout)
    for problem in checkup.problems:
        stderr.print(str(problem), style="red", markup=False, highlight=False)


@sources_app.command("show")
def show_source(identity: Annotated[str, typer.Argument(metavar="ID", help="The article's id.")], as_json: Json = False) -> None:
    """Show an article: its card and its text."""
    from ragbot.library import read_article
    from ragbot.terminal import print_article, source_card

    document = read_article(_settings(), identity)
    if as_json:
        _print_json({**source_card(document), "text": document.text, "sha256": document.digest})
    else:
        print_article(document, stdout)


@sources_app.command("check")
def check(ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Only these.")] = None, as_json: Json = False) -> None:
    """Check the articles: front matter, references, cautions. Exit code 1 where something is wrong."""
    from ragbot.library import check_sources

    checkup = check_sources(_settings(), tuple(ids or ()))
    if as_json:
        _print_json({"articles": len(checkup.documents), "problems": [str(problem) for problem in checkup.problems]})
    else:
        for problem in checkup.problems:
            stdout.print(str(problem), style="red", markup=False, highlight=False)
        stdout.print(f"{len(checkup.documents)} articles read, {len(checkup.problems)} problems.", highlight=False)
    if checkup.problems:
        raise typer.Exit(1)


@sources_app.command("add")
def add(
    what: Annotated[str, typer.Argument(metavar="PATH_OR_URL", help="A file (Markdown, text, HTML, PDF, DOCX, ODT, EPUB) or an address.")],
    by: Annotated[str | None, typer.Option("--by", help="Who adds it, for the record.", show_default=False)] = None,
    as_json: Json = False,
) -> None:
    """Make a draft of a file or a web page. Publishing it is a person's act of its own."""
    from ragbot.curating import Desk

    desk = Desk(_settings())
    if what.startswith(("http://", "https://")):
        identity = desk.add_url(what, by or _person())
    else:
        path = Path(what)
        try:
            identity = desk.add_file(path.read_bytes(), path.name, by or _person())
        except OSError as error:
            raise SourceError(f"The file cannot be read: {error.strerror}.", path=path) from error
    draft, origin = desk.draft(identity), desk.origin(identity)
    path = desk.drafts_folder / f"{identity}.md"
    if as_json:
        _print_json({"added": str(path), "id": identity, "to_do": str(draft.problem) if draft.problem else None, "warnings": origin.warnings if origin else []})
        return
    for warning in origin.warnings if origin else ():
        stdout.print(f"Look at: {warning}", style="yellow", markup=False, highlight=False)
    if draft.problem:
        stdout.print(f"To do before publishing: {draft.problem}", style="yellow", markup=False, highlight=False)
    stdout.print(f"{path}: added as a draft. Read and mend it, then: ragbot sources publish {identity}", markup=False, highlight=False)


@sources_app.command("publish")
def publish(
    identity: Annotated[str, typer.Argument(metavar="ID", help="The draft's id.")],
    by: Annotated[str | None, typer.Option("--by", help="Who publishes it, for the record.", show_default=False)] = None,
    as_json: Json = False,
) -> None:
    """Publish a draft: the bot answers from it at once."""
    from ragbot.curating import Desk
    from ragbot.curating.missing import Feedback

    settings = _settings()
    Desk(settings).publish(identity, by or _person())
    Feedback(settings).published(identity)
    _index_after("published", identity, as_json)


@sources_app.command("retire")
def retire(
    identity: Annotated[str, typer.Argument(metavar="ID", help="The article's id.")],
    by: Annotated[str | None, typer.Option("--by", help="Who retires it, for the record.", show_default=False)] = None,
    as_json: Json = False,
) -> None:
    """Retire an article and take it out of the index at once."""
    from ragbot.curating import Desk

    Desk(_settings()).retire(identity, by or _person())
    _index_after("retired", identity, as_json)


@sources_app.command("erase")
def erase(
    identity: Annotated[str, typer.Argument(metavar="ID", help="The article's id.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    by: Annotated[str | None, typer.Option("--by", help="Who erases it, for the record.", show_default=False)] = None,
    as_json: Json = False,
) -> None:
    """Delete an article for ever, everywhere it is kept, and search every file for what is left. Exit code 1 where something is."""
    from ragbot.erasing import Erasing
    from ragbot.terminal import print_erasure, print_places

    erasing = Erasing(_settings(), identity)
    if not yes:
        print_places(erasing.places, stderr)
        typer.confirm(f"Delete {identity} for ever? It cannot be undone.", abort=True, err=True)
    with _progress() as show:
        erasure = erasing.run(by or _person(), show)
    if as_json:
        _print_json(erasure.to_dict())
    else:
        print_erasure(erasure, stdout)
    if not erasure.complete:
        raise typer.Exit(1)


@sources_app.command("restore")
def restore(
    identity: Annotated[str, typer.Argument(metavar="ID", help="The article's id.")],
    version: Annotated[str | None, typer.Option("--version", help="sha256 of an earlier version, which becomes the draft.", show_default=False)] = None,
    by: Annotated[str | None, typer.Option("--by", help="Who restores it, for the record.", show_default=False)] = None,
    as_json: Json = False,
) -> None:
    """Publish a retired article again, or make an earlier version the draft."""
    from ragbot.curating import Desk

    Desk(_settings()).restore(identity, by or _person(), version)
    if version is None:
        _index_after("restored", identity, as_json)
    elif as_json:
        _print_json({"restored": identity, "version": version})
    else:
        stdout.print(f"{identity}: the version is its draft now. See: ragbot sources publish {identity}", markup=False, highlight=False)


@sources_app.command("history")
def history(identity: Annotated[str | None, typer.Argument(metavar="[ID]", help="Only this article.")] = None, as_json: Json = False) -> None:
    """Tell who did what to the articles, when, and the sha256 of what."""
    from ragbot.curating import Desk

    acts = Desk(_settings()).history.acts(identity)
    if as_json:
        _print_json([asdict(act) for act in acts])
        return
    for act in acts:
        of = act.after.article or act.after.draft or act.before.draft or act.before.article or ""
        stdout.print(f"{act.at}  {act.action:<10} {act.article}  by {act.by}  {of[:12]}  {act.note}", markup=False, highlight=False, soft_wrap=True)


def _index_after(done: str, identity: str, as_json: bool) -> None:
    from ragbot.library import build_index

    settings = _settings()
    with _progress() as show:
        report = build_index(settings, progress=show)
    if as_json:
        _print_json({done: str(settings.sources / f"{identity}.md"), "generation": report.generation})
    else:
        stdout.print(f"{settings.sources / identity}.md: {done} ({report.generation}).", markup=False, highlight=False)


def _person() -> str:
    """Who sits at this terminal, for the record."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"


@app.command()
def backup(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write, a .tar.gz.")],
    with_index: Annotated[bool, typer.Option("--with-index", help="Take the built index along.")] = False,
    as_json: Json = False,
) -> None:
    """Write sources, drafts, history, counts and settings to one file."""
    from ragbot.backup import write_backup

    report = write_backup(_settings(), path, config=_given.get("config") or named_config(), with_index=with_index)
    _tell_backup(path, report, "written", as_json)


@app.command("restore")
def restore_everything(path: Annotated[Path, typer.Argument(metavar="FILE", help="A file that ragbot backup wrote.")], as_json: Json = False) -> None:
    """Restore a backup into empty folders; then build the index, unless the backup holds it."""
    from ragbot.restoring import restore_backup

    report = restore_backup(_settings(), path, config=_given.get("config") or named_config())
    _tell_backup(path, report, "restored", as_json)


def _tell_backup(path: Path, report: Any, done: str, as_json: bool) -> None:
    if as_json:
        _print_json({done: str(path), **asdict(report)})
    else:
        after = "" if report.with_index or done == "written" else " Now run: ragbot index"
        stdout.print(f"{path}: {report.files} files {done}, sources {report.sources_digest[:12]}.{after}", markup=False, highlight=False)


@staff_app.command("password")
def password(name: Annotated[str, typer.Argument(help="Who is to sign in, as the record will name them.")], as_json: Json = False) -> None:
    """Ask for a password and print the line for ragbot.toml that lets this person use the staff page."""
    from ragbot.web.signing_in import hash_password

    said = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    made = hash_password(said)
    if as_json:
        _print_json({"name": name, "hash": made})
    else:
        # The heading may stand in the file only once, however many people there are.
        stderr.print("Put this line into ragbot.toml, below the one heading [ragbot.staff]:", markup=False, highlight=False)
        stdout.print(f"{json.dumps(name, ensure_ascii=False)} = '{made}'", markup=False, highlight=False, soft_wrap=True)


@staff_app.command("forget")
def forget(as_json: Json = False) -> None:
    """Delete all kept questions. Counts stay, they hold no words."""
    from ragbot.curating.missing import Feedback

    deleted = Feedback(_settings()).delete_questions()
    if as_json:
        _print_json({"deleted": deleted})
    else:
        stdout.print(f"{deleted} questions deleted.", highlight=False)


@app.command("eval")
def evaluate(
    paths: Annotated[list[Path] | None, typer.Argument(metavar="[PATH]...", help="Sets or folders; tests/quality where missing.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for report.html, report.md, report.json.", show_default=False)] = None,
    compare: Annotated[Path | None, typer.Option("--compare", help="Folder of an earlier report.", show_default=False)] = None,
    predictions: Annotated[Path | None, typer.Option("--predictions", help="Folder for what the system said.", show_default=False)] = None,
    cache: Annotated[Path | None, typer.Option("--cache", help="Folder for the vectors of sets with texts of their own.", show_default=False)] = None,
    calibrate: Annotated[bool, typer.Option("--calibrate", help="Fit weights and threshold on answers sets and keep them.")] = False,
    as_json: Json = False,
) -> None:
    """Measure answer quality and safety on evaluation sets."""
    if calibrate:
        _calibrate(paths or [Path("tests/quality/calibration.answers.jsonl")], as_json)
        return
    from ragbot.evaluation import evaluate as run_evaluation
    from ragbot.terminal import print_report

    report = run_evaluation(
        tuple(paths or [Path("tests/quality")]),
        _settings(),
        out=out,
        compare=compare,
        predictions=predictions,
        cache=cache,
        config=_given.get("config"),
    )
    if as_json:
        _print_json(report.to_dict())
    else:
        print_report(report, stdout)
    if not report.holds:
        raise typer.Exit(1)


def _calibrate(paths: Sequence[Path], as_json: bool) -> None:
    from ragbot.answering.calibration import THRESHOLDS
    from ragbot.evaluation import calibrate

    result = calibrate(paths, _settings())
    THRESHOLDS.write_text(result.to_toml(), encoding="utf-8")
    if as_json:
        _print_json(asdict(result))
    else:
        chosen = result.chosen
        stdout.print(
            f"{result.answerable} answerable and {result.unanswerable} other questions: threshold {chosen.threshold:.3f}, "
            f"abstention {chosen.abstention:.2f} at {chosen.wrong_abstention:.2f} wrong abstention. Written to {THRESHOLDS}."
        )


@app.command()
def doctor(as_json: Json = False) -> None:
    """Tell versions, models and digests, the index's state, source problems, settings in force, and what to see to. Exit code 1 where something is wrong."""
    from ragbot.diagnosis import diagnose
    from ragbot.terminal import print_diagnosis

    diagnosis = diagnose(_settings())
    if as_json:
        _print_json(diagnosis.to_dict())
    else:
        print_diagnosis(diagnosis, stdout)
    if diagnosis.problems:
        raise typer.Exit(1)


def hoist_global_options(arguments: Sequence[str]) -> list[str]:
    """The arguments with --sources, --index and --config first, wherever they were given: they hold for every command."""
    first: list[str] = []
    rest: list[str] = []
    waiting = iter(arguments)
    for argument in waiting:
        if argument == "--":
            rest += [argument, *waiting]
        elif argument in GLOBAL_OPTIONS:
            first += [argument, *([value] if (value := next(waiting, None)) is not None else [])]
        elif argument.startswith(tuple(f"{option}=" for option in GLOBAL_OPTIONS)):
            first.append(argument)
        else:
            rest.append(argument)
    return first + rest


def run(arguments: list[str] | None = None) -> int:  # noqa: PLR0911 — an exit code for each way to end
    """Runs a command and gives its exit code. The edge that turns what goes wrong into a calm line."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        outcome = app(hoist_global_options(given), standalone_mode=False)
    except RagbotError as error:
        return _complain(str(error))
    except typer.Exit as finished:
        return finished.exit_code
    except typer.Abort:
        return _complain("Stopped.")
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # noqa: BLE001 — one of the two edges, see ragbot.errors
        # Typer's usage errors know how to show themselves.
        if hasattr(error, "format_message"):
            return _complain(f"{error.format_message()} See: ragbot --help")
        incident = uuid.uuid4().hex[:8]
        _log.exception("incident %s", incident)
        return _complain(f"Something went wrong that should not have: {type(error).__name__} (incident {incident}, see the log).")
    return outcome if isinstance(outcome, int) else 0


def _complain(message: str) -> int:
    # Whatever went wrong, a key or a password that stands in what was to be read is nobody's to read.
    stderr.print(without_secrets(" ".join(message.split())), style="red", markup=False, highlight=False, soft_wrap=True)
    return 2


def entry() -> None:
    """The ``ragbot`` command."""
    sys.exit(run())


