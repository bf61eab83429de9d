"""How well the words of one text are met by those of another: each word piece beside the nearest one.

After ColBERT's late interaction (Khattab and Zaharia, SIGIR 2020) and BERTScore (Zhang et al., ICLR 2020), with one difference:
what counts is the worst-met pieces. A question or a claim fails on the one thing that the other text does not hold.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ragbot.models import Tokens, TokenVectors, Vectors
from ragbot.terms import STOP_WORDS

# How much the worst-met pieces outweigh the others. On 185 claims of K-QA (MIT licence) the area under the curve of support was
# .79 for the plain mean's half, .80 at 5, .81 to .82 at 10, .77 to .79 for the single worst piece.
SHARPNESS = 10.0


def align(asked: TokenVectors, held: Sequence[TokenVectors]) -> Vectors:
    """For each asked piece the cosine of the nearest held one; zeros where nothing is held."""
    pieces = [one for one in held if len(one)]
    if not pieces or not len(asked):
        return np.zeros(len(asked), dtype=np.float32)
    every = np.concatenate(pieces).astype(np.float32)
    best: Vectors = (asked.astype(np.float32) @ every.T).max(axis=1)
    return best


def weakest(met: Vectors) -> float:
    """A soft minimum of what ``align`` gives, about 0 to 1; 0 where there is nothing."""
    if not len(met):
        return 0.0
    return float(-np.log(np.exp(-SHARPNESS * met).mean()) / SHARPNESS)


def telling(tokens: Tokens) -> np.typing.NDArray[np.bool_]:
    """Which pieces say what a text is about: no stop words and no punctuation; all of them where none does."""
    mask = np.array([piece not in STOP_WORDS and piece[-1].isalnum() for piece in tokens.pieces], dtype=bool)
    return mask if mask.any() else np.ones(len(tokens.pieces), dtype=bool)
