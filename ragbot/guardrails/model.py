"""The guardrails' model: a message, and the turns it goes on from, → probabilities of labels and of how much help is called for.

Trained once (``tests/training/``), shipped as int8 ONNX in ``weights/``, the same for every library; ``docs/guard-model.md`` is
its card. The only file that knows onnxruntime and tokenizers. A file that is missing or altered is an error, never a guess.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ragbot.errors import ModelError
from ragbot.guardrails.normalising import plain, rejoined, unmasked
from ragbot.records import Help, Label, Turn

SHIPPED_MODEL = Path(__file__).parent / "weights"
MODEL_LABELS: tuple[Label, ...] = (
    "crisis",
    "medical_emergency",
    "personal_decision",
    "illicit",
    "sensitive_topic",
    "out_of_scope",
    "injection",
    "informational",
    "small_talk",
    "about",
)
MODEL_HELP: tuple[Help, ...] = ("block", "line", "none")
# As in training: this many word pieces at a time, of which the turns before take at most CONTEXT.
MOST_TOKENS = 256
CONTEXT_TOKENS = 80
# Windows of a longer message share this many word pieces, so that no sentence is only seen cut in two.
OVERLAP = 32
CLASSIFIER_TOKEN, SEPARATOR_TOKEN = 101, 102
CONTEXT_TURNS = 2
# A bot's turn is cut in its middle, as in training: how it begins tells the kind of answer, how it ends tells what was offered.
LONGEST_ANSWER, ANSWER_START, ANSWER_END = 160, 60, 90
# What one window of a long message says is enough for these; for the others the windows are averaged.
ANYWHERE: frozenset[Label] = frozenset({"crisis", "medical_emergency", "injection", "illicit"})

Tokens = tuple[list[int], int]


@dataclass(frozen=True, slots=True)
class Judgement:
    """The probability of each label and of each strength of help, between 0 and 1.

    Over the windows of a message of more than 250 word pieces the highest probability counts for danger and misuse, so that
    theirs need not add up to 1.
    """

    probabilities: Mapping[Label, float]
    help: Mapping[Help, float]

    @property
    def reason(self) -> str:
        """The two likeliest labels with their probabilities, as a reader of a report wants them."""
        first, second = sorted(self.probabilities, key=lambda label: -self.probabilities[label])[:2]
        return f"model: {first} {self.probabilities[first]:.2f}, {second} {self.probabilities[second]:.2f}"


def context_of(turns: Sequence[Turn]) -> str:
    """What was said before, as the model was trained to read it; empty without turns."""
    parts = []
    for turn in turns[-CONTEXT_TURNS:]:
        parts.append(f"user: {turn.question.strip()}")
        answer = turn.answer.strip()
        if answer:
            short = answer if len(answer) <= LONGEST_ANSWER else f"{answer[:ANSWER_START]} … {answer[-ANSWER_END:]}"
            parts.append(f"bot: {short}")
    return " ".join(parts)


class GuardModel:
    """Judges messages. Safe to share between threads.

    Raises:
        ModelError: a file is missing, altered, or cannot be read.
    """

    def __init__(self, folder: Path = SHIPPED_MODEL) -> None:
        files = _checked(folder)
        import onnxruntime
        from tokenizers import Tokenizer

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = min(2, os.cpu_count() or 1)
        # Threads that go on spinning would take the cores from the embedding model that runs next.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(files["guard.onnx"], options, providers=["CPUExecutionProvider"])
            self._tokenizer = Tokenizer.from_buffer(files["tokenizer.json"])
        except Exception as error:
            raise ModelError(f"The guardrails' model in {str(folder)!r} cannot be loaded: {error}.", "Reinstall ragbot.") from error

    def judge(self, messages: Sequence[tuple[str, str]]) -> list[Judgement]:
        """A judgement of each message with its context (see ``context_of``; empty where there is none), in the same order."""
        rows: list[Tokens] = []
        owners: list[int] = []
        for number, (text, context) in enumerate(messages):
            made = self._rows(text, context)
            rows += made
            owners += [number] * len(made)
        labels, helps = self._run(rows)
        owner = np.array(owners)
        return [_merged(labels[owner == number], helps[owner == number]) for number in range(len(messages))]

    def _rows(self, text: str, context: str) -> list[Tokens]:
        ids: list[int] = self._tokenizer.encode(readable(text), add_special_tokens=False).ids
        room = MOST_TOKENS - 2
        if len(ids) > room:
            count = -(-(len(ids) - OVERLAP) // (room - OVERLAP))
            size = -(-(len(ids) + (count - 1) * OVERLAP) // count)
            starts = [round(step * (len(ids) - size) / (count - 1)) for step in range(count)]
            return [_framed(ids[start : start + size]) for start in starts]
        before: list[int] = self._tokenizer.encode(context, add_special_tokens=False).ids if context else []
        room = MOST_TOKENS - len(ids) - 4
        return [_framed(ids, before[-min(room, CONTEXT_TOKENS) :] if before and room > 8 else [])]

    def _run(self, rows: Sequence[Tokens]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        # One by one: int8 activations are scaled by all that runs together, so that in a batch a message's ruling would depend on its
        # neighbours; and nothing is padded.
        made = [self._session.run(["labels", "help"], _inputs(row)) for row in rows]
        return np.concatenate([labels for labels, _ in made]), np.concatenate([helps for _, helps in made])


@lru_cache(maxsize=1)
def shipped_model() -> GuardModel:
    """The model that the package brings, loaded once."""
    return GuardModel()


def readable(text: str) -> str:
    """A message as the model reads it: as typed, but without disguises where it hides behind look-alike letters or digits."""
    letters = [letter for letter in text if letter.isalpha()]
    latin = sum(letter.isascii() for letter in letters)
    # Whole words of Cyrillic or Greek are no disguise.
    return rejoined(text) if 2 * latin < len(letters) or unmasked(text) == plain(text) else unmasked(text)


def _framed(ids: list[int], before: Sequence[int] = ()) -> Tokens:
    first = [CLASSIFIER_TOKEN, *ids, SEPARATOR_TOKEN]
    return ([*first, *before, SEPARATOR_TOKEN], len(first)) if before else (first, len(first))


def _inputs(row: Tokens) -> dict[str, NDArray[np.int64]]:
    ids, first = row
    segments = [0] * first + [1] * (len(ids) - first)
    return {
        "input_ids": np.array([ids], dtype=np.int64),
        "attention_mask": np.ones((1, len(ids)), dtype=np.int64),
        "token_type_ids": np.array([segments], dtype=np.int64),
    }


def _merged(labels: NDArray[np.float32], helps: NDArray[np.float32]) -> Judgement:
    highest, mean = labels.max(axis=0), labels.mean(axis=0)
    probabilities = {label: float(highest[column] if label in ANYWHERE else mean[column]) for column, label in enumerate(MODEL_LABELS)}
    # The window that calls for most help speaks for the message.
    strongest = helps[int(np.argmin(helps[:, -1]))]
    return Judgement(probabilities, {one: float(strongest[column]) for column, one in enumerate(MODEL_HELP)})


def _checked(folder: Path) -> dict[str, bytes]:
    """The files of the model, each with the digest that its manifest gives."""
    hint = "Reinstall ragbot: without its model the guardrails do not answer."
    try:
        manifest: Any = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        files = {name: (folder / name).read_bytes() for name in ("guard.onnx", "tokenizer.json")}
        wanted = manifest["sha256"]
        labels = (tuple(manifest["labels"]), tuple(manifest["help"]))
    except OSError as error:
        raise ModelError(f"The guardrails' model in {str(folder)!r} cannot be read: {error.strerror or error}.", hint) from error
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{str(folder / 'manifest.json')!r} is no manifest of a guardrail model: {error}.", hint) from error
    for name, data in files.items():
        if hashlib.sha256(data).hexdigest() != wanted.get(name):
            raise ModelError(f"{str(folder / name)!r} is not the file that was shipped: its sha256 differs.", hint)
    if labels != (MODEL_LABELS, MODEL_HELP):
        raise ModelError(f"The guardrails' model in {str(folder)!r} tells other labels than this version of ragbot knows.", hint)
    return files
