"""Text features as encoder vectors, word features, or both side by side."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hf_noisy.evidence.features.neighbours import unit_rows


def features_of(kind: str, encoded: Callable[[], np.ndarray], words: Callable[[], np.ndarray]) -> np.ndarray:
    """Returns the text features of the given kind, (rows, width). Only the required vectors are computed.

    Args:
        kind: "encoder", "words" or "both" (`hf_noisy.evidence.choice.choose_features`).
        encoded, words: functions that return the encoder vectors and the word features, each (rows, width).
    """
    if kind == "encoder":
        return encoded()
    return words() if kind == "words" else side_by_side(encoded(), words())


def side_by_side(vectors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Concatenates two feature sets of the same texts: (rows, width + words). Unit lengths give both the same weight.

    >>> side_by_side(np.array([[3.0, 4.0]]), np.array([[2.0]])).tolist()
    [[0.6, 0.8, 1.0]]
    """
    return np.concatenate([unit_rows(vectors), unit_rows(words)], axis=1)
