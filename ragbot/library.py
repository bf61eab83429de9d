"""Composes the way of the articles: sources/ → reading → chunking → indexing → index/."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from ragbot import chunking, generations
from ragbot.errors import RagbotError, SourceError
from ragbot.guardrails.policies import REVIEWED_POLICY, Policy
from ragbot.indexing import IndexReport, Progress, Verifier, readable_generation, update_index
from ragbot.manifest import Manifest
from ragbot.models import Embedder
from ragbot.reading import list_source_files, read_source, read_sources
from ragbot.records import Chunk, Document
from ragbot.settings import Settings

RETRACTIONS = "retractions.csv"


def open_policy(settings: Settings) -> Policy:
    """The policy in force."""
    return Policy(settings.policy or REVIEWED_POLICY)


def build_index(
    settings: Settings,
    *,
    rebuild: bool = False,
    whole: bool = False,
    progress: Progress = lambda step, done, total: None,
    embedder: Embedder | None = None,
) -> IndexReport:
    """Brings the index up to date with the published articles and the policy.

    Args:
        rebuild: embed everything anew, whatever is there.
        whole: leave no trace in the vectors of what was taken out, see ``update_index``.
        embedder: a loaded embedding model to share; one is loaded where None.

    Raises:
        SourceError: an article cannot be read; the first problem, the last good index keeps serving.
        PolicyError, ModelError, StoreError: see there.
    """
    policy = open_policy(settings)
    embedder = embedder or Embedder(settings.embedding_model)

    # The articles are read while the index is held, so that of two builds the later one has read the later state.
    with generations.writing(settings.index), Verifier() as verifier:
        previous = readable_generation(settings.index)
        read_before = previous.documents if previous is not None and previous.manifest.chunker == chunking.VERSION else {}
        documents, problems = read_sources(settings.sources, read_before)
        if problems:
            raise problems[0]
        published = [document for document in documents if document.source.status == "published"]
        manifest = Manifest(
            embedder=embedder.digest,
            chunker=chunking.VERSION,
            policy=policy.digest,
            documents={document.source.id: document.digest for document in published},
        )
        taken_over = None if rebuild else previous
        return update_index(
            settings.index,
            taken_over,
            published,
            distinct_chunks,
            manifest,
            embedder,
            verifier,
            progress=progress,
            whole=whole,
        )


def distinct_chunks(document: Document) -> tuple[Chunk, ...]:
    """The chunks of a document, each once: the same words under the same heading, a hundred times over, say nothing more, and so many
    vectors at one place break the graph that the search walks, for all other articles too."""
    return tuple({chunk.embedded: chunk for chunk in reversed(chunking.split_document(document))}.values())[::-1]


@dataclass(frozen=True, slots=True)
class Checkup:
    """The articles of a folder and every problem in them."""

    documents: tuple[Document, ...]
    problems: tuple[RagbotError, ...]


def check_sources(settings: Settings, ids: Sequence[str] = (), known: Mapping[str, Document] = MappingProxyType({})) -> Checkup:
    """Reads the articles, or those named, and looks for what the readers cannot see one by one: reference keys in the text
    that the front matter does not hold, references that are never cited, cautions whose claim does not stand in the text.

    Args:
        known: articles by id that were read before; those whose files did not change are not read again.

    Raises:
        SourceError: a named article does not exist.
    """
    documents, problems = read_sources(settings.sources, known)
    files = {path.stem: path for path in list_source_files(settings.sources)}
    for unknown in (name for name in ids if name not in files):
        raise SourceError(f"There is no article {unknown!r}.", "See: ragbot sources list", path=settings.sources)
    retracted = read_retractions(settings.sources / RETRACTIONS)
    for document in documents:
        path = files[document.source.id]
        problems += [SourceError(message, hint, path=path) for message, hint in article_problems(document)]
        problems += [
            SourceError(f"The reference {reference.key!r} was retracted ({reference.doi}).", "Take out what rests on it.", path=path)
            for reference in document.source.references
            if reference.doi is not None and reference.doi.casefold() in retracted
        ]
    if ids:
        documents = [document for document in documents if document.source.id in ids]
        problems = [problem for problem in problems if getattr(problem, "path", None) in {files[name] for name in ids}]
    return Checkup(tuple(documents), tuple(problems))


def read_retractions(path: Path) -> frozenset[str]:
    """The DOIs of retracted publications, in lower case; none where there is no such file.

    Args:
        path: a CSV file with a column ``doi``, or ``OriginalPaperDOI`` as Retraction Watch's list has it.

    Raises:
        SourceError: the file cannot be read, or has neither column.
    """
    if not path.exists():
        return frozenset()
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            column = next((name for name in rows.fieldnames or () if name.strip().casefold() in ("doi", "originalpaperdoi")), None)
            if column is None:
                raise SourceError("The list of retractions has no column 'doi'.", "Name the column in its first line.", path=path, line=1)
            found = [(row[column] or "").strip().casefold() for row in rows]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"The list of retractions cannot be read: {error}.", "Save it as CSV in UTF-8.", path=path) from error
    return frozenset(doi.removeprefix("https://doi.org/") for doi in found if doi)


# A page that lists a library asks again and again about articles that did not change.
@lru_cache(maxsize=2000)
def article_problems(document: Document) -> tuple[tuple[str, str], ...]:
    """What is wrong inside an article, each with a hint: no quotable sentence, reference keys and cautions that lead nowhere."""
    chunks: Sequence[Chunk] = chunking.split_document(document)
    if not chunks:
        return (("The article has no sentence that can be quoted.", "Write its text below the front matter."),)
    found: list[tuple[str, str]] = []
    known = {reference.key for reference in document.source.references}
    cited = chunking.reference_keys(document)
    found += [(f"The text cites [{key}], which the references do not hold.", "Add it to 'references'.") for key in sorted(cited - known)]
    found += [(f"The reference {key!r} is cited nowhere in the text.", "Cite it or take it out.") for key in sorted(known - cited)]
    words = " ".join(" ".join(chunk.plain.split()) for chunk in chunks).casefold()
    for caution in document.source.cautions:
        if " ".join(caution.claim.split()).casefold().rstrip(".") not in words:
            found.append((f"The claim of a caution does not stand in the text: {caution.claim!r}.", "Copy the article's own words."))
    return tuple(found)


def read_article(settings: Settings, identity: str) -> Document:
    """One article by its id, whatever its status.

    Raises:
        SourceError: there is none, or it cannot be read.
    """
    files = {path.stem: path for path in list_source_files(settings.sources)}
    if identity not in files:
        raise SourceError(f"There is no article {identity!r}.", "See: ragbot sources list", path=settings.sources)
    return read_source(files[identity])
