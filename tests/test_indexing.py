from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ragbot import generation, indexing
from ragbot.chunking import split_document
from ragbot.errors import IndexBrokenError, IndexBusyError, StoreError
from ragbot.generation import Generation, open_index
from ragbot.generations import current_generation, list_generations, writing
from ragbot.indexing import IndexReport
from ragbot.manifest import FORMAT, read_manifest
from ragbot.models import Embedder, Tokens, Vectors
from ragbot.reading import read_source

Update = Callable[..., IndexReport]
ARTICLES = {"coffee-grounds", "feeding-tomatoes", "pruning-tomatoes", "watering-tomatoes"}


class CountingEmbedder(Embedder):
    """The real model, and a list of what it was asked to embed."""

    def __init__(self, embedder: Embedder) -> None:
        self.embedder = embedder
        self.digest = embedder.digest
        self.texts: list[str] = []

    def encode(self, texts: Sequence[str], *, progress: Callable[[int], Any] | None = None) -> Vectors:
        self.texts += texts
        return self.embedder.encode(texts, progress=progress)

    def encode_with_tokens(
        self, texts: Sequence[str], *, progress: Callable[[int], Any] | None = None
    ) -> tuple[Vectors, list[Tokens]]:
        self.texts += texts
        return self.embedder.encode_with_tokens(texts, progress=progress)


@pytest.fixture
def counting(embedder: Embedder) -> CountingEmbedder:
    return CountingEmbedder(embedder)


def replace_in(folder: Path, article: str, old: str, new: str) -> None:
    path = folder / f"{article}.md"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def state_of(index: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in index.rglob("*") if path.name != "LOCK"} | {"CURRENT": hash(current_generation(index))}


def test_the_first_build_embeds_every_chunk_of_the_published_articles(bare_index: Path, library: Path) -> None:
    generation = Generation(current_generation(bare_index))
    assert generation.name == "gen-000001"
    assert set(generation.documents) == ARTICLES
    expected = [chunk for name in sorted(ARTICLES) for chunk in split_document(read_source(library / f"{name}.md"))]
    assert list(generation.chunks) == expected
    assert generation.manifest.documents == {name: read_source(library / f"{name}.md").digest for name in ARTICLES}
    generation.verify()


def test_what_did_not_change_is_not_embedded_and_nothing_is_written(
    copied_index: Path, library: Path, counting: CountingEmbedder, index_articles: Update
) -> None:
    before = state_of(copied_index)
    chunks = Generation(current_generation(copied_index)).chunks
    report = index_articles(copied_index, library, embedder=counting)
    assert report == IndexReport("gen-000001", False, 4, len(chunks), 0, len(chunks))
    assert counting.texts == []
    assert state_of(copied_index) == before
    assert Generation(current_generation(copied_index)).chunks == chunks


def test_a_file_that_was_only_touched_did_not_change(
    copied_index: Path, copied_library: Path, counting: CountingEmbedder, index_articles: Update
) -> None:
    for path in copied_library.iterdir():
        os.utime(path, (0, 0))
    assert not index_articles(copied_index, copied_library, embedder=counting).switched
    assert counting.texts == []


def test_of_one_changed_article_only_what_is_new_is_embedded(
    copied_index: Path, copied_library: Path, counting: CountingEmbedder, index_articles: Update
) -> None:
    old = Generation(current_generation(copied_index))
    replace_in(copied_library, "pruning-tomatoes", "They heal badly in the rain.", "They heal slowly in the rain.")
    report = index_articles(copied_index, copied_library, embedder=counting)
    new = Generation(current_generation(copied_index))
    assert (report.generation, report.switched, report.embedded) == ("gen-000002", True, 1)
    assert report.reused == report.chunks - 1
    # The chunk it stands in, and the sentence itself.
    assert len(counting.texts) == 2
    assert all("They heal slowly in the rain." in text for text in counting.texts)
    assert [chunk.id for chunk in new.chunks] == [chunk.id for chunk in old.chunks]
    same = [row for row, (one, other) in enumerate(zip(old.chunks, new.chunks, strict=True)) if one.embedded == other.embedded]
    assert len(same) == len(new.chunks) - 1
    assert np.array_equal(old.chunk_vectors[same], new.chunk_vectors[same])
    new.verify()


def test_a_changed_card_makes_a_new_generation_and_embeds_nothing(
    copied_index: Path, copied_library: Path, counting: CountingEmbedder, index_articles: Update
) -> None:
    replace_in(copied_library, "pruning-tomatoes", "url: https://example.org/garden/pruning-tomatoes", "url: https://example.org/pruning")
    report = index_articles(copied_index, copied_library, embedder=counting)
    assert (report.switched, report.embedded, counting.texts) == (True, 0, [])
    assert Generation(current_generation(copied_index)).documents["pruning-tomatoes"].source.url == "https://example.org/pruning"


def found_anywhere(generation: Generation, article: str, questions: Vectors) -> bool:
    nearest = [chunk for vector in questions for chunk, _ in generation.search(vector, len(generation.chunks))]
    kept = generation.vector_store.get()
    return (
        article in generation.documents
        or any(chunk.source_id == article for chunk in (*generation.chunks, *nearest))
        or any(metadata["source"] == article for metadata in kept["metadatas"])
    )


@pytest.mark.parametrize("way", ["its file is gone", "it is retired", "it is a draft again"])
def test_a_removed_article_cannot_be_retrieved(
    way: str, copied_index: Path, copied_library: Path, counting: CountingEmbedder, index_articles: Update
) -> None:
    old = Generation(current_generation(copied_index))
    own = np.stack([vector for chunk, vector in zip(old.chunks, old.chunk_vectors, strict=True) if chunk.source_id == "pruning-tomatoes"])
    assert found_anywhere(old, "pruning-tomatoes", own)
    if way == "its file is gone":
        (copied_library / "pruning-tomatoes.md").unlink()
    else:
        replace_in(copied_library, "pruning-tomatoes", "status: published", "status: retired" if way == "it is retired" else "status: draft")
    report = index_articles(copied_index, copied_library, embedder=counting)
    new = Generation(current_generation(copied_index))
    assert (report.switched, report.documents, counting.texts) == (True, 3, [])
    assert not found_anywhere(new, "pruning-tomatoes", own)
    assert not list((new.folder / "articles").glob("pruning-tomatoes*"))


def test_rebuilding_embeds_everything_anew(copied_index: Path, library: Path, counting: CountingEmbedder, index_articles: Update) -> None:
    report = index_articles(copied_index, library, embedder=counting, rebuild=True)
    assert (report.generation, report.reused) == ("gen-000002", 0)
    assert report.embedded == report.chunks
    assert len(counting.texts) == len(set(counting.texts)) > report.chunks


def test_vectors_of_another_model_are_never_reused(
    copied_index: Path, library: Path, counting: CountingEmbedder, index_articles: Update
) -> None:
    counting.digest = "another model"
    report = index_articles(copied_index, library, embedder=counting)
    assert (report.switched, report.reused) == (True, 0)
    assert read_manifest(current_generation(copied_index)).embedder == "another model"


def test_another_chunker_or_policy_makes_a_new_generation_and_reuses_the_vectors(
    copied_index: Path, library: Path, counting: CountingEmbedder, index_articles: Update
) -> None:
    assert index_articles(copied_index, library, embedder=counting, chunker=99).switched
    assert index_articles(copied_index, library, embedder=counting, chunker=99, policy="another policy").switched
    assert counting.texts == []


def test_the_classifier_is_handed_its_arrays_only_where_the_same_model_made_them(
    copied_index: Path, library: Path, counting: CountingEmbedder, index_articles: Update
) -> None:
    handed: list[Mapping[str, Any]] = []

    def train(known: Mapping[str, Any]) -> Mapping[str, Any]:
        handed.append(known)
        return {"weights": np.ones(3)}

    index_articles(copied_index, library, policy="one", train_guard=train)
    index_articles(copied_index, library, policy="two", train_guard=train)
    counting.digest = "another model"
    index_articles(copied_index, library, policy="two", train_guard=train, embedder=counting)
    assert [list(known) for known in handed] == [[], ["weights"], []]
    assert Generation(current_generation(copied_index)).guard["weights"].tolist() == [1, 1, 1]


def test_a_library_without_a_published_article_gives_an_index_that_finds_nothing(
    tmp_path: Path, copied_library: Path, embedder: Embedder, index_articles: Update
) -> None:
    for name in ARTICLES:
        (copied_library / f"{name}.md").unlink()
    report = index_articles(tmp_path / "index", copied_library)
    assert (report.switched, report.documents, report.chunks) == (True, 0, 0)
    generation = Generation(current_generation(tmp_path / "index"))
    assert generation.search(embedder.encode(["water"])[0], 3) == []
    assert not index_articles(tmp_path / "index", copied_library).switched


def test_progress_is_told_up_to_the_end(tmp_path: Path, copied_library: Path, index_articles: Update) -> None:
    told: list[tuple[str, int, int]] = []
    (copied_library / "watering-tomatoes.md").unlink()
    index_articles(tmp_path / "index", copied_library, progress=lambda *step: told.append(step))
    steps = {name: [(done, total) for _, done, total in group] for name, group in itertools.groupby(told, key=lambda step: step[0])}
    assert list(steps) == ["embedding", "writing"]
    for counts in steps.values():
        assert counts[0][0] == 0
        assert counts[-1][0] == counts[-1][1] > 0
        assert counts == sorted(counts)


def test_a_second_writer_is_refused(copied_index: Path, library: Path, index_articles: Update) -> None:
    with writing(copied_index), pytest.raises(IndexBusyError, match="being written"):
        index_articles(copied_index, library)


def trained(known: Mapping[str, Any]) -> Mapping[str, Any]:
    """A classifier in name."""
    return {"weights": np.ones(3)}


@pytest.fixture
def guarded_index(tmp_path: Path, library: Path, index_articles: Update) -> Path:
    """An index with a classifier."""
    index_articles(tmp_path / "guarded", library, train_guard=trained)
    return tmp_path / "guarded"


# What is damaged, how many articles are embedded anew, and whether the classifier is trained anew.
MENDED: dict[str, tuple[int, bool]] = {
    "articles/pruning-tomatoes.json": (1, False),
    "articles/pruning-tomatoes.vectors": (1, False),
    "articles/pruning-tomatoes.pieces": (1, False),
    "chroma/chroma.sqlite3": (0, False),
    "guard.npz": (0, True),
    "manifest.json": (4, True),
}


@pytest.mark.parametrize("how", ["cut", "gone", "a bit"])
@pytest.mark.parametrize("name", MENDED)
def test_of_a_damaged_index_only_what_is_broken_is_made_anew(
    name: str, how: str, guarded_index: Path, library: Path, counting: CountingEmbedder, index_articles: Update
) -> None:
    path = current_generation(guarded_index) / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes(data if how == "a bit" else data[: len(data) // 2])
    handed: list[Mapping[str, Any]] = []
    report = index_articles(guarded_index, library, embedder=counting, train_guard=lambda known: (handed.append(known), trained(known))[1])
    articles, retrained = MENDED[name]
    built = Generation(current_generation(guarded_index))
    built.verify()
    assert (report.generation, report.switched) == ("gen-000002", True)
    assert report.mended == (() if name == "manifest.json" else (name,))
    wanted = {"pruning-tomatoes"} if articles == 1 else ARTICLES if articles else set()
    assert report.embedded == sum(chunk.source_id in wanted for chunk in built.chunks)
    assert bool(counting.texts) is bool(wanted)
    assert bool(handed) is retrained
    assert not (guarded_index / "gen-000001").exists() or name == "manifest.json", "what is damaged is set aside"
    assert not index_articles(guarded_index, library, embedder=counting, train_guard=trained).switched


@pytest.mark.parametrize("words", [None, "", "gen-000009\n", "gen-000003 6d62f3bf2152a564", "\x00\xff", "../sources"], ids=repr)
def test_current_is_written_again(words: str | None, guarded_index: Path, library: Path, counting: CountingEmbedder, index_articles: Update) -> None:
    current = guarded_index / "CURRENT"
    written = current.read_bytes()
    if words is None:
        current.unlink()
    else:
        current.write_bytes(words.encode("latin-1"))
    report = index_articles(guarded_index, library, embedder=counting, train_guard=trained)
    assert (report.generation, report.switched, report.mended, counting.texts) == ("gen-000001", True, ("CURRENT",), [])
    assert current.read_bytes() == written


def test_of_the_format_before_only_the_classifier_is_taken_over(guarded_index: Path, library: Path, counting: CountingEmbedder, index_articles: Update) -> None:
    path = current_generation(guarded_index) / "manifest.json"
    values = json.loads(path.read_text(encoding="utf-8")) | {"format": FORMAT - 1, "files": {}}
    values.pop("sha256")
    path.write_text(json.dumps(values), encoding="utf-8")
    handed: list[Mapping[str, Any]] = []
    report = index_articles(guarded_index, library, embedder=counting, train_guard=lambda known: (handed.append(known), trained(known))[1])
    assert (report.switched, report.reused, report.mended, handed) == (True, 0, (), [])
    assert Generation(current_generation(guarded_index)).guard["weights"].tolist() == [1, 1, 1]


def words_anywhere(folder: Path, *words: str) -> list[str]:
    """The files of a folder that hold one of the words in their bytes, or in their names."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path.name for path in files if any(word.encode() in path.read_bytes() or word in path.name for word in words)]


@pytest.mark.parametrize("most_gaps", [0.0, 1.0], ids=["written whole", "written onto a copy"])
def test_a_retired_article_leaves_no_words_in_the_new_generation(
    most_gaps: float, copied_index: Path, copied_library: Path, index_articles: Update, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generation, "MOST_GAPS", most_gaps)
    article = split_document(read_source(copied_library / "pruning-tomatoes.md"))
    others = "".join(path.read_text(encoding="utf-8") for path in copied_library.glob("*.md") if path.stem != "pruning-tomatoes")
    words = ["pruning-tomatoes", *(sentence.text for chunk in article for sentence in chunk.sentences if sentence.text not in others)]
    assert len(words) > 5
    assert words_anywhere(current_generation(copied_index), *words)
    replace_in(copied_library, "pruning-tomatoes", "status: published", "status: retired")
    assert index_articles(copied_index, copied_library).generation == "gen-000002"
    assert words_anywhere(current_generation(copied_index), *words) == []
    opened = Generation(current_generation(copied_index))
    opened.verify(sample=1000)
    assert (opened.gaps > 0) is bool(most_gaps)


def test_chroma_holds_no_words_at_all(bare_index: Path) -> None:
    folder = current_generation(bare_index)
    opened = Generation(folder)
    words = [sentence.text for chunk in opened.chunks for sentence in chunk.sentences]
    assert words_anywhere(folder / "chroma", *words) == []
    assert set(opened.vector_store.get()["documents"]) == {chunk.plain for chunk in opened.chunks}


def test_what_does_not_find_what_it_holds_is_never_switched_to(
    copied_index: Path, library: Path, index_articles: Update, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = generation.write_generation

    def write_without_the_vectors(folder: Path, *content: Any) -> None:
        write(folder, *content)
        shutil.rmtree(folder / "chroma")

    monkeypatch.setattr(indexing, "write_generation", write_without_the_vectors)
    with pytest.raises(IndexBrokenError, match=r"does not find what it holds.*The old index keeps serving"):
        index_articles(copied_index, library, chunker=99, elsewhere=True)
    opened, problems = open_index([current_generation(copied_index)])
    assert (opened.name, problems) == ("gen-000001", [])
    assert len(list_generations(copied_index)) == 1


def test_a_full_disk_leaves_the_old_index_and_the_next_build_sweeps_up(
    copied_index: Path, library: Path, index_articles: Update, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any, **options: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(indexing, "write_generation", full)
        with pytest.raises(StoreError, match="No space left on device"):
            index_articles(copied_index, library, chunker=99)
    opened, problems = open_index([current_generation(copied_index)])
    assert (opened.name, problems) == ("gen-000001", [])
    assert index_articles(copied_index, library, chunker=99).switched
    assert sorted(path.name for path in copied_index.iterdir()) == ["CURRENT", "LOCK", "gen-000001", "gen-000002"]


def test_a_reader_keeps_its_generation_while_a_new_one_is_built(
    copied_index: Path, copied_library: Path, embedder: Embedder, index_articles: Update
) -> None:
    reader = Generation(current_generation(copied_index))
    question = embedder.encode(["When are side shoots removed?"])[0]
    before = reader.search(question, 3)
    (copied_library / "pruning-tomatoes.md").unlink()
    index_articles(copied_index, copied_library)
    assert reader.search(question, 3) == before
    fresh = Generation(current_generation(copied_index))
    assert fresh.name != reader.name
    assert not {chunk.id for chunk, _ in fresh.search(question, 3)} & {chunk.id for chunk, _ in before if chunk.source_id == "pruning-tomatoes"}


# Builds an index over and over, each time with one article changed, and kills the build with SIGKILL: half of the times before
# a chosen touch of the disk, half of the times after a chosen time. The vectors come from a digest of the words, so that no
# model has to be loaded; everything else is real.
KILLED = """
import hashlib, json, os, select, shutil, signal, sys, time
from pathlib import Path
import numpy as np
import chromadb, langchain_chroma
from ragbot import chunking
from ragbot.generations import current_generation, list_generations, writing
from ragbot.indexing import Verifier, readable_generation, update_index
from ragbot.models import Tokens
from ragbot.reading import read_sources
from ragbot.manifest import Manifest
from ragbot.generation import open_index

class Digests:
    digest = "digests"
    def encode(self, texts, *, progress=None):
        rows = [np.random.default_rng(int(hashlib.sha256(text.encode()).hexdigest(), 16)).normal(size=32) for text in texts]
        return np.array([row / np.linalg.norm(row) for row in rows], dtype=np.float32).reshape(len(texts), 32)
    def encode_with_tokens(self, texts, *, progress=None):
        vectors = self.encode(texts)
        return vectors, [Tokens(("piece",), row[None].astype(np.float16)) for row in vectors]

index, sources, points = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
article = sources / "pruning-tomatoes.md"
original = article.read_text()
left = None

def build(words):
    article.write_text(original + f"Plants like {words} best.\\n")
    documents = [document for document in read_sources(sources)[0] if document.source.status == "published"]
    manifest = Manifest("digests", 1, "policy", {document.source.id: document.digest for document in documents})
    with writing(index), Verifier() as verifier:
        update_index(index, readable_generation(index), documents, chunking.split_document, manifest, Digests(), verifier, train_guard=lambda known: {})

def hook(event, arguments):
    global left
    if left is not None and arguments and str(index) in str(arguments[0]):
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

def run(job):
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, json.dumps(job()).encode())
        finally:
            os._exit(0)
    os.close(writing)
    return child, reading

def finish(child, reading):
    said = os.fdopen(reading, "rb").read()
    os.waitpid(child, 0)
    return json.loads(said) if said else None

def first():
    build("0")

def count():
    global left
    left, started = 10**6, time.monotonic()
    build("1")
    return 10**6 - left, time.monotonic() - started

def look():
    opened, problems = open_index([current_generation(index)])
    opened.verify()
    words = [document.text.rsplit("Plants like ", 1)[1].split()[0] for document in opened.documents.values() if "Plants like" in document.text]
    kept = opened.vector_store.get(include=["documents"])["documents"]
    stored = [text.rsplit("Plants like ", 1)[1].split()[0] for text in kept if "Plants like" in text]
    return [*words, *stored, opened.manifest.documents["pruning-tomatoes"]]

sys.addaudithook(hook)
finish(*run(first))
touches, seconds = finish(*run(count))
print(json.dumps(["1", False, finish(*run(look))]), flush=True)
for point in range(points):
    new = str(point + 2)
    def job():
        global left
        if point % 2 == 0:
            left = touches * point // points
        build(new)
        return "done"
    child, reading = run(job)
    if point % 2:
        select.select([reading], [], [], seconds * point / points)
        os.kill(child, signal.SIGKILL)
    killed = finish(child, reading) is None
    print(json.dumps([new, killed, finish(*run(look))]), flush=True)
"""


@pytest.mark.slow
def test_killed_at_any_point_the_index_is_exactly_the_old_or_the_new(tmp_path: Path, copied_library: Path) -> None:
    points = 100
    command = [sys.executable, "-c", KILLED, str(tmp_path / "index"), str(copied_library), str(points)]
    outcome = subprocess.run(command, capture_output=True, text=True, timeout=1500, check=False)
    assert outcome.returncode == 0, outcome.stderr
    lines = [json.loads(line) for line in outcome.stdout.splitlines()]
    assert len(lines) == points + 1
    killed_in_time = sum(killed for _, killed, _ in lines)
    print(f"{killed_in_time} of {points} builds were killed, the others were done before")
    assert killed_in_time >= points // 2, "too few builds were killed to show anything"
    visible, digest = "1", lines[0][2][2]
    for new, _, (words, stored, found) in lines:
        assert words == stored, "the texts of one generation and the vectors of another"
        assert words in (visible, new)
        assert (found == digest) == (words == visible)
        visible, digest = words, found


@pytest.mark.parametrize("damage", ["vectors", "an article"])
def test_of_a_broken_index_only_what_is_sound_is_built_upon(
    damage: str, copied_index: Path, copied_library: Path, counting: CountingEmbedder, index_articles: Update, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of four articles, one is too much to be written onto a copy.
    monkeypatch.setattr(generation, "MOST_GAPS", 1.0)
    folder = current_generation(copied_index)
    if damage == "vectors":
        (folder / "chroma" / "chroma.sqlite3").write_bytes(b"garbage" * 1000)
    else:
        (folder / "articles" / "pruning-tomatoes.json").unlink()
    (copied_library / "moon-planting.md").unlink()
    replace_in(copied_library, "pruning-tomatoes", "They heal badly in the rain.", "They heal slowly in the rain.")
    report = index_articles(copied_index, copied_library, embedder=counting)
    built = Generation(current_generation(copied_index))
    own = sum(chunk.source_id == "pruning-tomatoes" for chunk in built.chunks)
    assert (report.switched, report.embedded) == (True, 1 if damage == "vectors" else own)
    assert built.gaps == 0, "the vectors are written whole"
    built.verify(sample=1000)
