"""Estimates from what a model says of the examples that it is being trained on, as methods take them on the way."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from hf_noisy.evidence.matrices.anchors import PERCENTILE, anchor_matrix
from hf_noisy.evidence.matrices.matrices import noise_rate, prior_of, row_shares

IN_TRAINING = ("anchor_points", "dual_t")


def estimated_matrix(estimator: str, probs: Tensor, given: Tensor) -> np.ndarray:
    """(classes, classes) T by `anchor_points` or `dual_t`, without checks and interval.

    In-sample, so the more a model has learned the labels by heart, the less noise it finds: early is better.

    Args:
        estimator: of `IN_TRAINING`.
        probs: (rows, classes) what the model says of the training set.
        given: (rows, classes) its labels; zero rows abstain.
    """
    covered = (given.sum(-1) > 0).cpu().numpy()
    said, labels = (table.double().cpu().numpy()[covered] for table in (probs, given))
    percentile = max(PERCENTILE, 100 - 50 / said.shape[1])  # or an anchor would be of another class, of many classes
    matrix = anchor_matrix(said, said.argsort(0, kind="stable"), np.ones(len(said)), percentile)
    matrix = matrix / matrix.sum(1, keepdims=True)
    if estimator == "anchor_points":
        return matrix
    predicted = np.eye(said.shape[1])[said.argmax(1)]
    return matrix @ row_shares(predicted.T @ labels)


def estimated_rate(estimator: str, probs: Tensor, given: Tensor) -> float:
    """The share of wrong labels that the matrix implies, with the true classes as common as it and the labels say."""
    matrix = estimated_matrix(estimator, probs, given)
    shares = (given.sum(0) / given.sum()).double().cpu().numpy()
    return noise_rate(matrix, prior_of(matrix, shares))
