"""Measures the import formats on a folder of real files: python tests/bench_reading.py FOLDER

FOLDER holds article_extraction/ (index.jsonl.gz, pages/), documents/files/, html5_tree.jsonl and blns.jsonl; each is left out where missing.
Token F1 as in the article extraction benchmark of Zyte, averaged over pages, on bags of words.
"""

from __future__ import annotations

import gzip
import json
import re
import sys
import time
from collections import Counter
from pathlib import Path

from ragbot.errors import SourceError
from ragbot.reading.html import read_html
from ragbot.reading.isolating import read_foreign


def token_f1(said: str, expected: str) -> float:
    """The harmonic mean of precision and recall of words, counted with their number."""
    one, other = (Counter(re.findall(r"\w+", text)) for text in (said, expected))
    shared = sum((one & other).values())
    return 2 * shared / (sum(one.values()) + sum(other.values())) if shared else float(not one and not other)


def articles(folder: Path) -> None:
    """F1 of every page and their mean."""
    scores = []
    for line in gzip.open(folder / "index.jsonl.gz", "rt", encoding="utf-8"):
        row = json.loads(line)
        try:
            text = read_html(gzip.open(folder / row["path"]).read(), "page.html").tidied().text
        except SourceError:
            text = ""
        scores.append((token_f1(text, row["text"]), row["path"][-20:]))
    print(f"article_extraction: mean F1 {sum(score for score, _ in scores) / len(scores):.4f} over {len(scores)}; worst {sorted(scores)[:4]}")


def documents(folder: Path) -> None:
    """How many documents are read, and how many are refused with a clear message; anything else ends this script."""
    read, refused, slowest = 0, [], 0.0
    for path in sorted((folder / "files").iterdir()):
        started = time.perf_counter()
        try:
            extract = read_foreign(path.read_bytes(), path.name)
        except SourceError as error:
            refused.append(str(error))
            continue
        slowest = max(slowest, time.perf_counter() - started)
        read += 1
        reference = folder / "reference" / f"{path.name}.md"
        if reference.exists():
            print(f"  {token_f1(extract.text, reference.read_text(encoding='utf-8')):.3f} {path.name} {extract.warnings[:1]}")
    print(f"documents: {read} read, {len(refused)} refused, slowest {slowest:.1f} s")
    for problem in refused:
        print("  refused:", problem)


def fragments(path: Path, key: str) -> None:
    """Malformed pages and hostile strings."""
    read = refused = 0
    for line in path.open(encoding="utf-8"):
        text = str(json.loads(line).get(key) or "")
        for data in (text.encode("utf-8", "surrogatepass"), f"<html><body><p>{text}</p></body></html>".encode("utf-8", "surrogatepass")):
            try:
                read_html(data, "page.html").tidied()
                read += 1
            except SourceError:
                refused += 1
    print(f"{path.name}: {read} read, {refused} refused, none crashed")


if __name__ == "__main__":
    given = Path(sys.argv[1])
    if (given / "article_extraction").is_dir():
        articles(given / "article_extraction")
    if (given / "documents").is_dir():
        documents(given / "documents")
    for name, field in (("html5_tree.jsonl", "html"), ("blns.jsonl", "text")):
        if (given / name).is_file():
            fragments(given / name, field)
