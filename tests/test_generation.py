from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ragbot.embedded import EmbeddedArticle
from ragbot.errors import IndexBrokenError, IndexMismatchError
from ragbot.generation import Content, Generation, open_index, write_generation
from ragbot.generations import current_generation
from ragbot.manifest import FORMAT, Manifest, read_manifest
from ragbot.models import Embedder
from ragbot.records import Chunk, Document, Sentence, Source, Span

# Chroma writes a segment of vectors to the disk from 1,000 on; below that they are in its database alone.
MANY = 1100
MANIFEST = Manifest("model", 1, "policy", {"many": "0" * 64})


def whole(document: Document, chunks: Sequence[Chunk], vectors: np.ndarray, count: int) -> EmbeddedArticle:
    """An article whose chunks and sentences have the same vectors."""
    return EmbeddedArticle(document, tuple(chunks), vectors, vectors, pieces(count))


def pieces(count: int) -> list[np.ndarray]:
    """One word piece for each of as many sentences, and for each of their labels."""
    return [np.ones((1, 32), dtype=np.float16)] * (2 * count)


def write_many(folder: Path, count: int = MANY, seed: int = 0) -> Path:
    """A generation of many one-sentence chunks with vectors drawn at random."""
    vectors = np.random.default_rng(seed).normal(size=(count, 32)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    text = " ".join(f"Sentence {number:05}." for number in range(count))
    source = Source("many", "Many", "", "", "https://example.org/", status="published")
    chunks = []
    for number in range(count):
        span = Span(number * 16, number * 16 + 15)
        chunks.append(Chunk(f"many#{number}", "many", "Many", "", span, span.of(text), (Sentence(span, span.of(text)),)))
    folder.mkdir(parents=True)
    guard = {"weights": np.eye(3, dtype=np.float32)}
    write_generation(folder, MANIFEST, Content((whole(Document(source, text, "0" * 64), chunks, vectors, count),), guard=guard))
    return folder


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound generation that is large enough for Chroma to keep its vectors in files. For reading only."""
    return write_many(tmp_path_factory.mktemp("many") / "gen-000002")


@pytest.fixture
def damaged(many: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may damage."""
    return Path(shutil.copytree(many, tmp_path / "gen-000002"))


@pytest.fixture
def sound(bare_index: Path, tmp_path: Path) -> Path:
    """An older generation that is sound."""
    return Path(shutil.copytree(current_generation(bare_index), tmp_path / "gen-000001"))


def segment(folder: Path) -> Path:
    return next(path for path in (folder / "chroma").iterdir() if path.is_dir())


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def fill_with_garbage(path: Path) -> None:
    path.write_bytes(np.random.default_rng(1).bytes(path.stat().st_size))


def drop_a_row(path: Path, bytes_each: int) -> None:
    path.write_bytes(path.read_bytes()[: -32 * bytes_each])


def edit_manifest(folder: Path, old: str, new: str) -> None:
    path = folder / "manifest.json"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def flip(path: Path, old: bytes, new: bytes) -> None:
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new))


def swap(one: Path, other: Path) -> None:
    held = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(held)


VECTOR_DAMAGES: dict[str, Callable[[Path], object]] = {
    "the vector file is cut": lambda folder: cut(segment(folder) / "data_level0.bin"),
    "the vector file is garbage": lambda folder: fill_with_garbage(segment(folder) / "data_level0.bin"),
    "the vector file is empty": lambda folder: (segment(folder) / "data_level0.bin").write_bytes(b""),
    "the vector file is gone": lambda folder: (segment(folder) / "data_level0.bin").unlink(),
    "the vectors' header is garbage": lambda folder: fill_with_garbage(segment(folder) / "header.bin"),
    "the vectors' ids are garbage": lambda folder: fill_with_garbage(segment(folder) / "index_metadata.pickle"),
}
DAMAGES = VECTOR_DAMAGES | {
    "the vectors' ids are gone": lambda folder: (segment(folder) / "index_metadata.pickle").unlink(),
    "the HNSW segment is gone": lambda folder: shutil.rmtree(segment(folder)),
    "the database is garbage": lambda folder: fill_with_garbage(folder / "chroma" / "chroma.sqlite3"),
    "the database is cut": lambda folder: cut(folder / "chroma" / "chroma.sqlite3"),
    "the database is empty": lambda folder: (folder / "chroma" / "chroma.sqlite3").write_bytes(b""),
    "the database is another file": lambda folder: (folder / "chroma" / "chroma.sqlite3").write_text("hello"),
    "the database is gone": lambda folder: (folder / "chroma" / "chroma.sqlite3").unlink(),
    "Chroma's folder is gone": lambda folder: shutil.rmtree(folder / "chroma"),
    "an article's vectors are cut": lambda folder: cut(folder / "articles" / "many.vectors"),
    "an article's vectors are garbage": lambda folder: fill_with_garbage(folder / "articles" / "many.vectors"),
    "an article's vectors are gone": lambda folder: (folder / "articles" / "many.vectors").unlink(),
    "a vector is missing": lambda folder: drop_a_row(folder / "articles" / "many.vectors", 4),
    "the word pieces are cut": lambda folder: cut(folder / "articles" / "many.pieces"),
    "the word pieces are gone": lambda folder: (folder / "articles" / "many.pieces").unlink(),
    "a word piece is missing": lambda folder: drop_a_row(folder / "articles" / "many.pieces", 2),
    "the texts are cut": lambda folder: cut(folder / "articles" / "many.json"),
    "the texts are of another kind": lambda folder: (folder / "articles" / "many.json").write_text('{"document": {}}'),
    "the texts are gone": lambda folder: (folder / "articles" / "many.json").unlink(),
    "all articles are gone": lambda folder: shutil.rmtree(folder / "articles"),
    "the manifest is cut": lambda folder: cut(folder / "manifest.json"),
    "the manifest is a list": lambda folder: (folder / "manifest.json").write_text("[]"),
    "the manifest is gone": lambda folder: (folder / "manifest.json").unlink(),
    "the classifier is cut": lambda folder: cut(folder / "guard.npz"),
    "the classifier is gone": lambda folder: (folder / "guard.npz").unlink(),
    "a digit of the manifest is another": lambda folder: edit_manifest(folder, '"chunker": 1', '"chunker": 2'),
    "a digit of the text is another": lambda folder: flip(folder / "articles" / "many.json", b"Sentence 00988.", b"Sentence 00889."),
    "the classifier and the texts have changed places": lambda folder: swap(folder / "guard.npz", folder / "articles" / "many.json"),
}


# Damaged vectors may end the process that reads them, so each of those is opened in a process of its own.
OPEN = """
import json, os, sys
from pathlib import Path
import chromadb, langchain_chroma
from ragbot.generation import open_index

def look(number):
    folder = Path(sys.argv[1], str(number))
    opened, problems = open_index([folder / "gen-000002", folder / "gen-000001"])
    return json.dumps({"opened": opened.name, "problems": problems})

for number in range(int(sys.argv[2])):
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, look(number).encode())
        os._exit(0)
    os.close(writing)
    told = os.fdopen(reading, "rb").read().decode()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(told or json.dumps({"died": status}), flush=True)
for number in range(int(sys.argv[2]), int(sys.argv[3])):
    print(look(number), flush=True)
"""


@pytest.fixture(scope="module")
def outcomes(many: Path, bare_index: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What becomes of each damage: what is opened and what is told, or the signal that ended the process."""
    base = tmp_path_factory.mktemp("damages")
    for number, damage in enumerate(DAMAGES.values()):
        damage(Path(shutil.copytree(many, base / str(number) / "gen-000002")))
        shutil.copytree(current_generation(bare_index), base / str(number) / "gen-000001")
    command = [sys.executable, "-c", OPEN, str(base), str(len(VECTOR_DAMAGES)), str(len(DAMAGES))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return dict(zip(DAMAGES, map(json.loads, done.stdout.splitlines()), strict=True))


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_found_and_the_generation_before_is_opened(damage: str, outcomes: dict[str, dict[str, Any]]) -> None:
    outcome = outcomes[damage]
    assert "died" not in outcome, f"reading it ended the process: {outcome}"
    assert outcome["opened"] == "gen-000001"
    assert len(outcome["problems"]) == 1
    assert "'gen-000002'" in outcome["problems"][0]
    assert outcome["problems"][0].endswith("ragbot index")


def test_a_sound_generation_is_opened_without_a_word(many: Path, sound: Path) -> None:
    opened, problems = open_index([many, sound])
    assert (opened.folder, problems) == (many, [])
    opened.verify()
    opened.close()


def test_where_none_is_sound_the_first_problem_is_told(damaged: Path, sound: Path) -> None:
    (damaged / "manifest.json").unlink()
    shutil.rmtree(sound / "articles")
    with pytest.raises(IndexBrokenError, match="'gen-000002'"):
        open_index([damaged, sound])


def change_manifest(folder: Path, **values: object) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | values), encoding="utf-8")


def test_the_format_of_another_version_is_no_damage_but_a_mismatch(damaged: Path, sound: Path) -> None:
    change_manifest(damaged, format=FORMAT + 1)
    with pytest.raises(IndexMismatchError, match=r"another ragbot.*ragbot index"):
        Generation(damaged)
    opened, problems = open_index([damaged, sound])
    assert opened.name == "gen-000001"
    assert "another ragbot" in problems[0]
    opened.close()


def test_verifying_asks_by_query_and_does_not_count(many: Path) -> None:
    """As many vectors as there should be, and none of them is the right one."""
    generation = Generation(many)
    other = np.random.default_rng(7).normal(size=generation.chunk_vectors.shape).astype(np.float32)
    generation.chunk_vectors = other / np.linalg.norm(other, axis=1, keepdims=True)
    with pytest.raises(IndexBrokenError, match="'gen-000002' is broken: 'many#0' is not found by its own vector"):
        generation.verify()
    generation.close()


def test_the_manifest_comes_back_as_it_was_written(many: Path) -> None:
    assert read_manifest(many) == MANIFEST
    written = json.loads((many / "manifest.json").read_text(encoding="utf-8"))
    assert {"created", "gaps", "files", "sha256"} | set(asdict(MANIFEST)) == set(written)
    there = {path.relative_to(many).as_posix() for path in many.rglob("*") if path.is_file()}
    assert set(written["files"]) == there - {"manifest.json"}, "every file is known by its digest"


def test_documents_and_chunks_come_back_as_they_were(bare_index: Path, library: Path) -> None:
    generation = Generation(current_generation(bare_index))
    assert set(generation.documents) == {"coffee-grounds", "feeding-tomatoes", "pruning-tomatoes", "watering-tomatoes"}
    for chunk in generation.chunks:
        document = generation.documents[chunk.source_id]
        assert document.text[chunk.span.start : chunk.span.end] == chunk.text
        assert document.text in (library / f"{chunk.source_id}.md").read_text(encoding="utf-8")
    assert generation.documents["feeding-tomatoes"].source.cautions[0].see == "coffee-grounds"


def test_every_sentence_has_its_own_vector(bare_index: Path, embedder: Embedder) -> None:
    generation = Generation(current_generation(bare_index))
    assert len({chunk.id for chunk in generation.chunks}) == len(generation.chunks)
    for chunk in generation.chunks[::4]:
        expected = embedder.encode([sentence.text for sentence in chunk.sentences])
        assert np.allclose(generation.vectors_of(chunk), expected, atol=1e-5)


def test_the_nearest_chunks_come_first_with_their_cosine(bare_index: Path, embedder: Embedder) -> None:
    generation = Generation(current_generation(bare_index))
    question = embedder.encode(["Why do my tomatoes crack?"])[0]
    found = generation.search(question, 5)
    assert len(found) == 5
    assert found[0][0].heading == "Why do tomatoes crack?"
    cosines = [cosine for _, cosine in found]
    assert cosines == sorted(cosines, reverse=True)
    exact = {chunk.id: float(cosine) for chunk, cosine in zip(generation.chunks, generation.chunk_vectors @ question, strict=True)}
    assert cosines == pytest.approx([exact[chunk.id] for chunk, _ in found], abs=1e-4)
    assert cosines == pytest.approx(sorted(exact.values(), reverse=True)[:5], abs=1e-4)


def test_more_than_there_are_cannot_be_found(bare_index: Path, embedder: Embedder) -> None:
    generation = Generation(current_generation(bare_index))
    found = generation.search(embedder.encode(["water"])[0], 10_000)
    assert sorted(chunk.id for chunk, _ in found) == sorted(chunk.id for chunk in generation.chunks)


def test_what_stands_twice_is_sound(tmp_path: Path) -> None:
    """Two chunks with the same words have the same vector, and either may be found first."""
    folder = write_many(tmp_path / "gen-000001", 40)
    vectors = Generation(folder).chunk_vectors
    twins = np.concatenate([vectors[:20], vectors[:20]])
    generation = Generation(folder)
    (tmp_path / "twins").mkdir()
    write_generation(tmp_path / "twins", MANIFEST, Content((whole(generation.documents["many"], generation.chunks, twins, 40),)))
    Generation(tmp_path / "twins").verify()


def test_a_generation_without_articles_is_sound_and_finds_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    write_generation(tmp_path / "empty", Manifest("model", 1, "policy", {}), Content(()))
    generation = Generation(tmp_path / "empty")
    generation.verify()
    assert generation.search(np.ones(32, dtype=np.float32), 5) == []


def test_the_arrays_of_the_classifier_come_back(tmp_path: Path, many: Path) -> None:
    generation = Generation(many)
    assert list(generation.guard) == ["weights"]
    guard = {"weights": np.eye(3, dtype=np.float32), "texts": np.array(["one", "two"])}
    (tmp_path / "guarded").mkdir()
    write_generation(tmp_path / "guarded", MANIFEST, Content((), generation, guard))
    read = Generation(tmp_path / "guarded").guard
    assert list(read) == ["weights", "texts"]
    assert np.array_equal(read["weights"], guard["weights"])
    assert read["texts"].tolist() == ["one", "two"]


def plain_article(identity: str, count: int, seed: int) -> EmbeddedArticle:
    """An article of as many one-sentence chunks, its vectors drawn at random."""
    vectors = np.random.default_rng(seed).normal(size=(count, 32)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    text = " ".join(f"Sentence {number:05}." for number in range(count))
    spans = [Span(number * 16, number * 16 + 15) for number in range(count)]
    chunks = [Chunk(f"{identity}#{row}", identity, identity, "", span, span.of(text), (Sentence(span, span.of(text)),)) for row, span in enumerate(spans)]
    return whole(Document(Source(identity, identity, "", "", "https://example.org/", status="published"), text, f"{seed}"), chunks, vectors, count)


@pytest.mark.parametrize("size", [10, 300], ids=["vectors in the database", "vectors in files"])
def test_what_changes_is_written_into_a_copy_until_too_much_has_changed(tmp_path: Path, size: int) -> None:
    """Each generation finds exactly its own articles, whether it was written whole or onto a copy of the one before."""
    articles = {f"a{number}": plain_article(f"a{number}", size, number) for number in range(10)}
    previous: Generation | None = None
    gaps = []
    for turn in range(8):
        changed = {f"a{turn}": plain_article(f"a{turn}", size + turn, 100 + turn)} if previous is not None else articles
        if turn == 5:
            del articles["a9"]
        articles |= changed
        manifest = Manifest("model", 1, "policy", {identity: one.document.digest for identity, one in articles.items()})
        folder = tmp_path / f"gen-{turn:06}"
        folder.mkdir()
        write_generation(folder, manifest, Content(tuple(changed.values()), previous))
        generation = Generation(folder)
        generation.verify(sample=10**6)
        gaps.append(generation.gaps)
        assert {chunk.id for chunk in generation.chunks} == set(generation.vector_store.get()["ids"])
        gone = np.stack([one for identity in changed for one in previous.articles[identity].chunk_vectors]) if previous is not None else []
        for vector in gone:
            assert generation.search(vector, 1)[0][1] < 0.999
        previous = generation
    # Each turn takes one article's vectors out, and at more than a fifth of them the graph is built anew.
    assert gaps[:2] == [0, size]
    assert 0 in gaps[2:]
    assert max(gaps) <= 0.2 * 10 * (size + 10)


def test_a_generation_that_nobody_uses_any_more_closes_its_client(bare_index: Path, embedder: Embedder, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[str] = []
    generation = Generation(current_generation(bare_index))
    generation.search(embedder.encode(["water"])[0], 1)
    client = generation._vectors._chroma
    close = client.close
    copies = set(Path(tempfile.gettempdir()).glob("ragbot-index-*"))
    monkeypatch.setattr(type(client), "close", lambda self: (closed.append("yes"), close())[1])
    del client
    other = Generation(current_generation(bare_index))
    other.search(embedder.encode(["water"])[0], 1)
    del other
    assert closed == ["yes"]
    assert copies <= set(Path(tempfile.gettempdir()).glob("ragbot-index-*")), "the copy that is in use was taken away"
    generation.close()
