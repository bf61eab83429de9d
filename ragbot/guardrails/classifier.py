"""Labels of a message, by two views of it: logistic regression on its embedding, letters and words, and a copy of the embedding
model's last layers. Their probabilities are averaged. The only file that knows scikit-learn.

Trained when the index is built, from the labelled examples of the policy; the same examples and model give the same weights,
bit for bit. The weights are plain arrays, so nothing is ever unpickled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ragbot.guardrails.finetuning import TunedLayers, finetune
from ragbot.guardrails.normalising import plain, rejoined, unmasked
from ragbot.guardrails.policies import LABELS, Example
from ragbot.models import Embedder, Vectors
from ragbot.records import Label

NGRAMS = (2, 5)
NGRAM_BUCKETS = 2**13
# How much the n-grams count beside the embedding, and how freely weights may grow: chosen by 5-fold cross-validation on the
# 2,748 examples of 2026-11-24, never on what is reported. Crisis recall where 5 % of harmless questions would be taken over:
# embedding alone .91, with n-grams at 0.7 .957, at 1.5 .971, at 2.5 .972; accuracy over the eight labels .84, .875, .876, .865.
NGRAM_WEIGHT = 1.5
# Runs of one to three words beside them: on 960 calibration messages the accuracy went from .789 to .800, the area under the
# curve of crisis on posts from .706 to .766, of injection from .919 to .922.
WORD_RUNS = (1, 3)
WORD_BUCKETS = 2**14
WORD_WEIGHT = 1.0
WORD = r"(?u)\b\w+\b"
INVERSE_REGULARISATION = 5.0
# How much the trained layers say beside the regression, which knows spellings and single words better.
LAYERS_SHARE = 0.5
SEED = 20261124


@dataclass(frozen=True, slots=True)
class Judgement:
    """The probability of each label, and the examples nearest to the message."""

    probabilities: Mapping[Label, float]
    nearest: tuple[str, ...]


def train(examples: Sequence[Example], embedder: Embedder, known: Mapping[str, Any]) -> dict[str, Any]:
    """The arrays of a trained classifier.

    Args:
        known: arrays of an earlier training; reused as they are where they came from the same examples.
    """
    if not examples:
        return {}
    texts = [example.text for example in examples]
    labels = [LABELS.index(example.label) for example in examples]
    same_shape = bool(known) and known["weights"].shape[1] - known["vectors"].shape[1] == NGRAM_BUCKETS + WORD_BUCKETS
    if same_shape and list(known["texts"]) == texts and known["labels"].tolist() == labels:
        return dict(known)
    vectors, states = embedder.encode_with_states([_to_embed(text) for text in texts])
    weights, bias = fit(_features(texts, vectors), np.array(labels))
    return {
        "weights": weights.astype(np.float32),
        "bias": bias.astype(np.float32),
        "texts": np.array(texts),
        "labels": np.array(labels, dtype=np.int8),
        "vectors": vectors.astype(np.float16),
        **finetune(states, labels, len(LABELS), embedder, seed=SEED),
    }


def fit(features: Any, labels: Any) -> tuple[Any, Any]:
    """Weights and bias of a multinomial logistic regression: a row a label, in the order of ``LABELS``."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=INVERSE_REGULARISATION, max_iter=2000, random_state=SEED, class_weight="balanced")
    model.fit(features, labels)
    weights = np.zeros((len(LABELS), features.shape[1]))
    bias = np.full(len(LABELS), -1e3)
    for row, label in enumerate(model.classes_):
        weights[label], bias[label] = model.coef_[row], model.intercept_[row]
    return weights, bias


def _to_embed(text: str) -> str:
    # A message without disguises is embedded as it was typed: the retriever embeds the same words, so they are embedded once.
    clean = unmasked(text)
    return rejoined(text) if clean == plain(text) else clean


def _features(texts: Sequence[str], vectors: Vectors) -> Any:
    from scipy.sparse import csr_matrix, hstack

    clean = [unmasked(text) for text in texts]
    letters, words = _hashers()
    return hstack([csr_matrix(vectors), NGRAM_WEIGHT * letters.transform(clean), WORD_WEIGHT * words.transform(clean)], format="csr")


def _hashers() -> tuple[Any, Any]:
    from sklearn.feature_extraction.text import HashingVectorizer

    letters = HashingVectorizer(analyzer="char_wb", ngram_range=NGRAMS, n_features=NGRAM_BUCKETS, alternate_sign=True, norm="l2", lowercase=False)
    words = HashingVectorizer(
        analyzer="word", ngram_range=WORD_RUNS, n_features=WORD_BUCKETS, norm="l2", lowercase=False, token_pattern=WORD
    )
    return letters, words


def _log_shares(scores: Any) -> Any:
    """The logarithm of the softmax of each row."""
    shifted = scores - scores.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


class Classifier:
    """Judges messages with trained arrays."""

    def __init__(self, arrays: Mapping[str, Any], embedder: Embedder) -> None:
        self._embedder = embedder
        self._weights = arrays["weights"]
        self._bias = arrays["bias"]
        self._texts = arrays["texts"]
        self._labels = arrays["labels"]
        self._vectors = arrays["vectors"].astype(np.float32)
        self._layers = TunedLayers(arrays, embedder)

    def judge(self, texts: Sequence[str]) -> list[Judgement]:
        """A judgement of each text."""
        embedded = [_to_embed(text) for text in texts]
        vectors = self._embedder.encode_questions(embedded)
        one = np.asarray(_features(texts, vectors) @ self._weights.T, dtype=np.float64) + self._bias
        other = self._layers.log_probabilities(self._embedder.question_states(embedded))
        scores = (1 - LAYERS_SHARE) * _log_shares(one) + LAYERS_SHARE * other
        probabilities = np.exp(_log_shares(scores))
        judgements = []
        for row, vector in zip(probabilities, vectors, strict=True):
            # Not "@": its threads would go on spinning beside torch's and double the time of the next question.
            near = np.argsort(-np.einsum("ij,j->i", self._vectors, vector), kind="stable")[:2]
            nearest = tuple(f"{LABELS[self._labels[index]]}: {self._texts[index]}" for index in near)
            judgements.append(Judgement({label: float(row[column]) for column, label in enumerate(LABELS)}, nearest))
        return judgements
