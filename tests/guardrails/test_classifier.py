"""The classifier: what it learns from few examples, that training is reproducible, and what it says of a message."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ragbot.chatbot import Ragbot
from ragbot.guardrails import classifier as module
from ragbot.guardrails.classifier import Classifier, train
from ragbot.guardrails.policies import LABELS, Example
from ragbot.models import Embedder
from ragbot.records import Label

FEW: dict[Label, tuple[str, ...]] = {
    "informational": ("What is ketamine?", "How long does an infusion take?", "how does the nasal spray work", "Who was studied?"),
    "crisis": ("I want to die", "i am going to end my life", "nobody would miss me if I was gone", "she says she will kill herself"),
    "out_of_scope": ("Will it rain tomorrow?", "a recipe for pea soup", "who won the match", "fix my python code"),
}


@pytest.fixture(scope="module")
def few() -> list[Example]:
    return [Example(text=text, label=label, kind="test", by="test") for label, texts in FEW.items() for text in texts]


@pytest.fixture(scope="module")
def trained(few: list[Example], embedder: Embedder) -> dict[str, Any]:
    return train(few, embedder, {})


def test_training_twice_gives_the_same_weights_bit_for_bit(few: list[Example], trained: dict[str, Any], embedder: Embedder) -> None:
    again = train(few, embedder, {})
    assert again.keys() == trained.keys()
    assert all(np.array_equal(again[name], trained[name]) for name in trained)


def test_what_was_learned_is_kept_while_the_examples_stay(
    few: list[Example], trained: dict[str, Any], embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "fit", lambda *_: pytest.fail("trained again"))
    assert train(few, embedder, trained).keys() == trained.keys()


def test_another_example_is_learned(few: list[Example], trained: dict[str, Any], embedder: Embedder) -> None:
    more = [*few, Example(text="a wholly new one", label="informational", kind="test", by="test")]
    assert len(train(more, embedder, trained)["texts"]) == len(few) + 1


def test_without_examples_nothing_is_learned(embedder: Embedder) -> None:
    assert train([], embedder, {}) == {}


def test_a_message_is_judged_by_its_meaning(trained: dict[str, Any], embedder: Embedder) -> None:
    judgements = Classifier(trained, embedder).judge(["i do not want to live any more", "what will the weather be like on sunday"])
    assert [max(one.probabilities, key=one.probabilities.__getitem__) for one in judgements] == ["crisis", "out_of_scope"]
    for one in judgements:
        assert sum(one.probabilities.values()) == pytest.approx(1)
        assert set(one.probabilities) == set(LABELS)
        assert one.nearest[0].split(": ", 1)[1] in [text for texts in FEW.values() for text in texts]


def test_judging_alone_or_among_others_is_the_same(starter: Ragbot) -> None:
    judge = starter.engines.current().guard._classifier.judge  # type: ignore[union-attr]
    texts = ["how long does it last", "i took too many", "a much longer message about the nasal spray, the clinic, and the drive home that follows"]
    together = judge(texts)
    for text, one in zip(texts, together, strict=True):
        alone = judge([text])[0]
        assert alone.probabilities == pytest.approx(one.probabilities, abs=2e-3)
