"""What checking an index costs: `python tests/bench_index.py [FOLDER]`, with FOLDER for about 3 GB of a made-up library.

For the index in ./index, and for a made-up one of 1,000 articles of the same size (their vectors drawn at random): how much there is to
check, how long looking through every file takes, how long opening takes, in a process that has seen none of it and in one that has, and
how long one changed article takes from reading the index to a verified next generation, embedding aside. Medians of five; the files are
in the memory of the machine, as after a build.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from ragbot import digests, generations
from ragbot.embedded import EmbeddedArticle
from ragbot.generation import Content, Generation, write_generation
from ragbot.indexing import Verifier, readable_generation
from ragbot.manifest import Manifest
from ragbot.records import Chunk

ARTICLES, TURNS = 1000, 5


def median(work: Callable[[], object], before: Callable[[], object] = lambda: None) -> float:
    seconds = []
    for _ in range(TURNS):
        before()
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def renamed(model: Generation, identity: str, number: int, rng: np.random.Generator) -> EmbeddedArticle:
    """An article like one of the starter library's, under another id, with vectors and pieces of its own."""
    article = model.articles[identity]
    name = f"{identity}-{number}"
    source = replace(article.document.source, id=name)
    chunks = tuple(replace(chunk, id=f"{name}#{row}", source_id=name) if isinstance(chunk, Chunk) else chunk for row, chunk in enumerate(article.chunks))

    def drawn(rows: int, width: int) -> np.ndarray:
        vectors = rng.normal(size=(rows, width)).astype(np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    width = article.chunk_vectors.shape[1]
    document = replace(article.document, source=source, digest=f"{number:064}")
    return EmbeddedArticle(document, chunks, drawn(len(chunks), width), drawn(len(article.sentence_vectors), width), article.tokens())


def make_library(index: Path, model: Generation) -> Manifest:
    rng = np.random.default_rng(0)
    names = sorted(model.articles)
    articles = [renamed(model, names[number % len(names)], number, rng) for number in range(ARTICLES)]
    manifest = replace(model.manifest, documents={one.document.source.id: one.document.digest for one in articles})
    with generations.writing(index):
        folder = generations.begin_generation(index)
        write_generation(folder, manifest, Content(tuple(articles), guard=model.guard))
        generations.switch_to(index, folder)
    return manifest


def change_one(index: Path, model: Generation, manifest: Manifest, turn: int) -> Manifest:
    """Takes the index over with one changed article, as `ragbot index` does, without reading sources and embedding."""
    rng = np.random.default_rng(turn)
    identity = sorted(manifest.documents)[turn]
    one = renamed(model, identity.rsplit("-", 1)[0], int(identity.rsplit("-", 1)[1]), rng)
    one = replace(one, document=replace(one.document, digest=f"{turn + ARTICLES:064}"))
    changed = replace(manifest, documents={**manifest.documents, identity: one.document.digest})
    with generations.writing(index), Verifier() as verifier:
        previous = readable_generation(index)
        folder = generations.begin_generation(index)
        write_generation(folder, changed, Content((one,), previous, previous.guard if previous else {}))
        verifier.verify(folder, [identity])
        generations.switch_to(index, folder)
    return changed


def tell(name: str, index: Path) -> None:
    folder = generations.current_generation(index)
    forget = digests._WHOLE.clear  # noqa: SLF001
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    files = Generation(folder).files
    print(f"{name}: {len(sizes)} files, {sum(sizes) / 1e6:.0f} MB, {len(Generation(folder).chunks)} passages")
    print(f"  looking through every file   {median(lambda: files.find_damage(files.digests), forget):6.2f} s")
    print(f"  opening, never seen before   {median(lambda: Generation(folder), forget):6.2f} s")
    print(f"  opening, seen before         {median(lambda: Generation(folder)):6.2f} s")
    print(f"  Chroma's copy and a query    {median(lambda: Generation(folder).verify(sample=32)):6.2f} s (with opening, seen before)")


def main() -> None:
    starter = Path("index")
    tell("starter library", starter)
    model = Generation(generations.current_generation(starter))
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as folder:
        index = Path(folder) / "index"
        manifest = make_library(index, model)
        tell(f"{ARTICLES} articles", index)
        seconds = []
        for turn in range(TURNS):
            digests._WHOLE.clear()  # noqa: SLF001
            started = time.perf_counter()
            manifest = change_one(index, model, manifest, turn)
            seconds.append(time.perf_counter() - started)
        print(f"  one changed article          {statistics.median(seconds):6.2f} s")
        shutil.rmtree(index)


if __name__ == "__main__":
    main()
