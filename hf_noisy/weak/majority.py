"""Majority vote, and conversion of soft labels to hard labels."""

from __future__ import annotations

import numpy as np

from hf_noisy.weak.votes import as_table, check_votes


def majority_vote(votes: np.ndarray, num_classes: int) -> np.ndarray:
    """Gives each example the class that most of its sources vote for; tied classes share the probability evenly.

    Args:
        votes: (rows, sources), -1 abstains.
        num_classes: number of classes.

    Returns:
        Soft labels, float32 (rows, classes). A row on which every source abstains is all zero.

    Raises:
        ValueError: a vote outside the classes; the message names its row and source.

    >>> majority_vote(np.array([[0, 0, 1], [0, 1, -1], [-1, -1, -1]]), num_classes=2)
    array([[1. , 0. ],
           [0.5, 0.5],
           [0. , 0. ]], dtype=float32)
    """
    votes = check_votes(votes, num_classes)
    rows, sources = np.nonzero(votes >= 0)
    counts = np.bincount(rows * num_classes + votes[rows, sources], minlength=len(votes) * num_classes)
    counts = counts.reshape(len(votes), num_classes)
    winners = (counts == counts.max(axis=1, keepdims=True)) & (counts > 0)
    return (winners / np.maximum(winners.sum(axis=1, keepdims=True), 1)).astype(np.float32)


def hard_labels(probabilities: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """Returns each example's most probable class. Ties are broken at random; an all-zero row stays unlabeled (-1).

    Args:
        probabilities: soft labels (rows, classes), not negative.
        seed: seed of the tie-breaking.

    Returns:
        Class ids, int64 (rows,).

    Raises:
        ValueError: not two-dimensional, negative or not finite.

    >>> hard_labels(np.array([[0.2, 0.8], [0.0, 0.0]]))
    array([ 1, -1])
    """
    probabilities = as_table("probabilities", probabilities)
    if probabilities.ndim != 2:
        raise ValueError(f"probabilities of shape {probabilities.shape}: expected (rows, classes).")
    if probabilities.dtype.kind not in "iufb":
        raise ValueError(
            f"row 0 has probabilities {probabilities[0].tolist()}: expected numbers. Labels that are classes are hard already."
        )
    wrong = ~(np.isfinite(probabilities) & (probabilities >= 0)).all(axis=1)
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(
            f"row {row} has probabilities {probabilities[row].tolist()}: expected finite numbers >= 0. "
            "Apply a softmax to logits first."
        )
    draws = np.random.default_rng(seed).random(probabilities.shape)
    best = probabilities == probabilities.max(axis=1, keepdims=True)
    return np.where(probabilities.any(axis=1), np.where(best, draws, -1.0).argmax(axis=1), -1)
