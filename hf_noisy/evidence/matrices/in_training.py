"""Estimates from a model's predictions on its own training examples, for methods that estimate during training."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from hf_noisy.evidence.matrices.anchors import PERCENTILE, anchor_matrix
from hf_noisy.evidence.matrices.matrices import noise_rate, prior_of, row_shares

IN_TRAINING = ("anchor_points", "dual_t")


def estimated_matrix(estimator: str, probs: Tensor, given: Tensor) -> np.ndarray:
    """Estimates T (classes, classes) by `anchor_points` or `dual_t`, without checks and interval.

    The predictions are in-sample. The more of the labels the model has memorised, the less noise is found, so estimate
    early.

    Args:
        estimator: one of `IN_TRAINING`.
        probs: (rows, classes) the model's predictions on the training set.
        given: (rows, classes) labels of the training set; zero rows abstain.
    """
    has_label = (given.sum(-1) > 0).cpu().numpy()
    predicted_probs, labels = (table.double().cpu().numpy()[has_label] for table in (probs, given))
    # with many classes, an anchor at PERCENTILE may belong to another class
    percentile = max(PERCENTILE, 100 - 50 / predicted_probs.shape[1])
    matrix = anchor_matrix(
        predicted_probs, predicted_probs.argsort(0, kind="stable"), np.ones(len(predicted_probs)), percentile
    )
    matrix = matrix / matrix.sum(1, keepdims=True)
    if estimator == "anchor_points":
        return matrix
    predicted = np.eye(predicted_probs.shape[1])[predicted_probs.argmax(1)]
    return matrix @ row_shares(predicted.T @ labels)


def estimated_rate(estimator: str, probs: Tensor, given: Tensor) -> float:
    """Estimates the share of wrong labels; the prior of the true class follows from T and the label frequencies."""
    matrix = estimated_matrix(estimator, probs, given)
    shares = (given.sum(0) / given.sum()).double().cpu().numpy()
    return noise_rate(matrix, prior_of(matrix, shares))
