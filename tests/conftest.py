"""What the tests share: a small invented library on tomatoes, an index and a bot over it, and the bot over the real articles.

``library`` and ``index`` are folders for reading only; a test that changes one copies it first (``copied_library``, or
``shutil.copytree``). The embedding model and Chroma are the real ones. No socket leaves this machine.
"""

from __future__ import annotations

import ipaddress
import os
import shutil
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import hypothesis
import pytest

from ragbot import chunking, generations
from ragbot.chatbot import Ragbot
from ragbot.errors import IndexMissingError
from ragbot.generation import Generation
from ragbot.indexing import GuardTrainer, IndexReport, Verifier, readable_generation, update_index
from ragbot.library import build_index
from ragbot.manifest import Manifest
from ragbot.models import Embedder
from ragbot.reading import read_sources
from ragbot.records import Answer, Citation, Label, Ruling, Statement, Status
from ragbot.settings import Settings

ROOT = Path(__file__).parent.parent
DATA = Path(__file__).parent / "data"
LOOPBACK = ("localhost", "::1", "0.0.0.0", "::", "")

# The first example of a run loads models and compiles patterns, so a deadline would fail at random.
hypothesis.settings.register_profile("ragbot", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("ragbot")


class NetworkBlockedError(RuntimeError):
    """A test tried to reach another machine. Not an OSError, so that no code takes it for a host that is down."""


def _is_local(host: Any) -> bool:
    name = host.decode() if isinstance(host, bytes) else str(host or "")
    return name in LOOPBACK or name.startswith("127.")


def _is_address(host: Any) -> bool:
    """Whether a host needs no lookup; connecting to it is guarded by itself."""
    try:
        ipaddress.ip_address(host.decode() if isinstance(host, bytes) else host)
    except ValueError:
        return False
    return True


@pytest.fixture(autouse=True, scope="session")
def _no_network() -> Iterator[None]:
    """Blocks connections and name lookups that are not for the loopback address."""

    def guard(name: str) -> Callable[..., Any]:
        original = getattr(socket.socket, name)

        def guarded(self: socket.socket, *arguments: Any) -> Any:
            address = arguments[-1]
            if self.family != socket.AF_UNIX and not _is_local(address[0]):
                raise NetworkBlockedError(f"{name} to {address!r}")
            return original(self, *arguments)

        return guarded

    def look_up(host: Any, *arguments: Any, **options: Any) -> Any:
        if not _is_local(host) and not _is_address(host):
            raise NetworkBlockedError(f"getaddrinfo for {host!r}")
        return getaddrinfo(host, *arguments, **options)

    getaddrinfo = socket.getaddrinfo
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex", "sendto"):
            patch.setattr(socket.socket, name, guard(name))
        patch.setattr(socket, "getaddrinfo", look_up)
        yield


@pytest.fixture(autouse=True, scope="session")
def _no_settings_from_outside() -> Iterator[None]:
    """Takes every RAGBOT_… out of the environment, so that a developer's own settings change no test."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("RAGBOT_")]:
            patch.delenv(name)
        yield


@pytest.fixture(scope="session")
def library() -> Path:
    """The small library: four published articles, one of them with a caution, a retired one and a draft. For reading only."""
    return DATA / "library"


@pytest.fixture
def copied_library(library: Path, tmp_path: Path) -> Path:
    """A copy of the small library that a test may change."""
    return Path(shutil.copytree(library, tmp_path / "sources"))


@pytest.fixture(scope="session")
def broken() -> Path:
    """The articles that have to be turned away, one problem each."""
    return DATA / "broken"


@pytest.fixture
def settings(library: Path, tmp_path: Path) -> Callable[..., Settings]:
    """Makes settings: ``settings(port=8000)`` over the small library and an index folder of the test's own, not built yet."""

    def make(**overrides: Any) -> Settings:
        return Settings(**({"sources": library, "index": tmp_path / "index"} | overrides))

    return make


@pytest.fixture(scope="session")
def embedder() -> Embedder:
    """The real embedding model, loaded once."""
    return Embedder()


@pytest.fixture(scope="session")
def index_articles(embedder: Embedder) -> Callable[..., IndexReport]:
    """Brings an index up to date with a folder of articles, without training a classifier: ``index_articles(index, sources)``.

    ``embedder``, ``policy``, ``chunker`` and ``train_guard`` stand in for the real ones; the rest goes to ``update_index``.
    Unless it is told ``elsewhere=True``, it verifies what it built in this process, because a fresh one takes seconds to start.
    """

    class VerifierHere(Verifier):
        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def verify(self, folder: Path, articles: Sequence[str]) -> None:
            generation = Generation(folder)
            generation.verify(articles=articles)
            generation.close()

    def run(
        index: Path,
        sources: Path,
        *,
        embedder: Embedder = embedder,
        policy: str = "no policy",
        chunker: int = chunking.VERSION,
        train_guard: GuardTrainer = lambda known: {},
        elsewhere: bool = False,
        rebuild: bool = False,
        **options: Any,
    ) -> IndexReport:
        with generations.writing(index), (Verifier() if elsewhere else VerifierHere()) as verifier:
            previous = None if rebuild else readable_generation(index)
            documents = [document for document in read_sources(sources)[0] if document.source.status == "published"]
            manifest = Manifest(embedder.digest, chunker, policy, {document.source.id: document.digest for document in documents})
            return update_index(index, previous, documents, chunking.split_document, manifest, embedder, verifier, train_guard=train_guard, **options)

    return run


@pytest.fixture(scope="session")
def bare_index(library: Path, index_articles: Callable[..., IndexReport], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The index of the small library without a classifier, which takes a few seconds to build. For reading only."""
    folder = tmp_path_factory.mktemp("bare") / "index"
    index_articles(folder, library, elsewhere=True)
    return folder


@pytest.fixture
def copied_index(bare_index: Path, tmp_path: Path) -> Path:
    """A copy of the bare index that a test may change or break."""
    return Path(shutil.copytree(bare_index, tmp_path / "index"))


@pytest.fixture(scope="session")
def index(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The index of the small library with the reviewed policy. For reading only."""
    return _build(library, tmp_path_factory.mktemp("small") / "index")


@pytest.fixture(scope="session")
def bot(library: Path, index: Path) -> Ragbot:
    """The bot over the small library."""
    return Ragbot.open(Settings(sources=library, index=index))


@pytest.fixture(scope="session")
def starter_index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The index of the real articles in sources/. For reading only."""
    return _build(ROOT / "sources", tmp_path_factory.mktemp("starter") / "index")


@pytest.fixture(scope="session")
def starter(starter_index: Path) -> Ragbot:
    """The bot over the real articles."""
    return Ragbot.open(Settings(sources=ROOT / "sources", index=starter_index))


def _build(sources: Path, index: Path) -> Path:
    """Builds an index, with what a copy of ./index can lend: the vectors of the same words, and a trained classifier.

    ./index itself is never written. Where it is up to date, nothing is left to build.
    """
    try:
        current = generations.current_generation(ROOT / "index")
    except IndexMissingError:
        pass
    else:
        shutil.copytree(current, index / current.name)
        (index / "CURRENT").write_text(current.name + "\n", encoding="ascii")
    build_index(Settings(sources=sources, index=index))
    # Nothing of the lender stays, or a broken index would fall back on another library.
    for folder in generations.list_generations(index)[1:]:
        shutil.rmtree(folder)
    return index


# What is known to fall short, each with its reason; not strict, because some of it depends on the machine.
KNOWN_GAPS = {
    "test_raw_html_and_comments_are_never_quoted": "HTML that opens in one block and closes in another, in tables and in image texts is still read",
    "test_what_stands_beside_raw_html_is_still_read[One.\\n\\n<div hidden>": "an HTML block around Markdown hides nothing yet",
    "test_reference_keys_belong_to_the_sentence_before_them[| a": "reference keys in tables are not read",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for part, reason in KNOWN_GAPS.items():
            if part in item.nodeid:
                item.add_marker(pytest.mark.xfail(reason=reason, strict=False))


def _pdf(pages: Sequence[Sequence[tuple[str, float, float, float]] | bytes], *, extra: str = "", info: str = "") -> bytes:
    """A PDF written by hand. Each page is raw operators, or lines (words, left, height, size); ``F1`` is Helvetica, ``F2`` bold.

    Args:
        extra: objects' worth of entries for the trailer, such as ``/Encrypt 9 0 R``.
        info: entries of the document's information dictionary, such as ``/Title (A title)``.
    """
    objects: list[bytes] = [b"<< /Type /Catalog /Pages 2 0 R >>", b"", b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    objects += [b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold >>", f"<< {info} >>".encode("latin-1")]
    kids = []
    for page in pages:
        if isinstance(page, bytes):
            content = page
        else:
            lines = []
            for words, left, height, size in page:
                escaped = words.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
                lines.append(f"BT /{'F2' if size > 15 else 'F1'} {size} Tf {left} {height} Td ({escaped}) Tj ET")
            content = "\n".join(lines).encode("latin-1")
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content))
        kids.append(len(objects) + 1)
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents %d 0 R /Resources << /Font << /F1 3 0 R /F2 4 0 R >> >> >>" % len(objects)
        )
    objects[1] = f"<< /Type /Pages /Count {len(kids)} /Kids [{' '.join(f'{kid} 0 R' for kid in kids)}] >>".encode()
    out, places = bytearray(b"%PDF-1.4\n"), []
    for number, body in enumerate(objects, start=1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R /Info 5 0 R {extra} >>\nstartxref\n{table}\n%%EOF\n".encode()
    return bytes(out)


@pytest.fixture(scope="session")
def make_pdf() -> Callable[..., bytes]:
    """Writes PDFs by hand: ``make_pdf([[("Words", 72, 700, 11)], b"raw operators"], info="/Title (T)")``."""
    return _pdf


@pytest.fixture(scope="session")
def answer_to() -> Callable[..., Answer]:
    """Makes an answer without a bot: ``answer_to("A question?", "article")`` cites that article; without one, it abstains."""

    def make(question: str, article: str = "", *, status: Status = "abstained", label: Label = "informational") -> Answer:
        ruling = Ruling("classifier", label, 0.9, "")
        if not article:
            return Answer(question, status, ruling)
        citation = Citation(1, article, "A title", "https://example.org", "", "Words.", 0, 6)
        return Answer(question, "answered", ruling, (Statement("Words.", (1,), 1.0),), (citation,))

    return make
