"""Estimators that read T off the rows with the most confident predictions: anchor points and Dual-T."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from hf_noisy.evidence.inputs import check_probs
from hf_noisy.evidence.matrices.estimate import RESAMPLES, NoiseEstimate, Solution, with_interval
from hf_noisy.evidence.matrices.matrices import prior_of, row_shares

PERCENTILE = 97.0  # Patrini et al.


def anchor_points(
    probs: ArrayLike,
    labels: ArrayLike,
    *,
    percentile: float = PERCENTILE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> NoiseEstimate:
    """Takes one row per class that surely belongs to it; the predicted probabilities of its label are a row of T.

    Source: Patrini et al., "Making Deep Neural Networks Robust to Label Noise: a Loss Correction Approach", CVPR 2017.

    Args:
        probs: (rows, classes) out-of-fold probabilities of the given label.
        labels: (rows,) class ids; a row with a negative id has no label and is left out.
        percentile: percentile of the probability of class i, in (0, 100]. The row at this percentile is the anchor of
            i. 100 takes the row with the largest probability, which assumes no outliers. With more than 33 equally
            frequent classes, the anchor of i at 97 would be a row of another class: use 100 - 50 / classes or more.
        resamples: number of bootstrap resamples of the rows, for the interval.
        seed: seed of the resamples.

    Raises:
        ValueError, TypeError: bad probabilities, labels or percentile.

    The estimate depends on the probabilities of a single row per class, and needs rows that surely belong to a class.
    Prefer `confident_joint`, which counts many rows.
    """
    probs, labels = check_probs(probs, labels)
    check_percentile(percentile)
    order = probs.argsort(0, kind="stable")

    def solve(weights: np.ndarray) -> Solution:
        matrix = anchor_matrix(probs, order, weights, percentile)
        return matrix, prior_of(matrix, _label_shares(labels, weights, len(matrix)))

    return with_interval(solve, len(labels), resamples, seed)


def dual_t(
    probs: ArrayLike,
    labels: ArrayLike,
    *,
    percentile: float = PERCENTILE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> NoiseEstimate:
    """Factorises T into two matrices: from true to predicted classes, and from predicted classes to given labels.

    T = A C. A is the matrix of `anchor_points`, read as P(predicted class | true class). C_lj = P(given label = j |
    predicted class = l) is counted.

    Source: Yao et al., "Dual T: Reducing Estimation Error for Transition Matrix in Label-noise Learning", NeurIPS 2020.

    Args:
        probs: (rows, classes) out-of-fold probabilities of the given label.
        labels: (rows,) class ids; a row with a negative id has no label and is left out.
        percentile: percentile of the anchors, as in `anchor_points`.
        resamples: number of bootstrap resamples of the rows, for the interval.
        seed: seed of the resamples.

    Raises:
        ValueError, TypeError: bad probabilities, labels or percentile.

    Made for overconfident networks, whose A is near the identity. If the probabilities are calibrated, as those of a
    linear head, both factors contain the noise and the rate is too high: 0.28 instead of 0.2. A class that is never
    predicted is counted as free of noise.
    """
    probs, labels = check_probs(probs, labels)
    check_percentile(percentile)
    order, predicted, classes = probs.argsort(0, kind="stable"), probs.argmax(1), probs.shape[1]

    def solve(weights: np.ndarray) -> Solution:
        counts = np.bincount(predicted * classes + labels, weights, minlength=classes**2).reshape(classes, classes)
        matrix = anchor_matrix(probs, order, weights, percentile) @ row_shares(counts)
        return matrix, prior_of(matrix, _label_shares(labels, weights, classes))

    return with_interval(solve, len(labels), resamples, seed)


def anchor_matrix(probs: np.ndarray, order: np.ndarray, weights: np.ndarray, percentile: float) -> np.ndarray:
    """Returns the rows of `probs` at the given percentile of each column; rows are counted by their weights.

    Args:
        probs: (rows, classes).
        order: (rows, classes) row indices that sort each column.
        weights: (rows,) how often each row counts.
        percentile: in (0, 100].

    >>> probs = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
    >>> anchor_matrix(probs, probs.argsort(0), np.ones(3), 100)
    array([[0.9, 0.1],
           [0.2, 0.8]])
    """
    reached = weights[order].cumsum(0) >= weights.sum() * percentile / 100 - 1e-9
    anchors = order[reached.argmax(0), np.arange(probs.shape[1])]
    return probs[anchors]


def _label_shares(labels: np.ndarray, weights: np.ndarray, classes: int) -> np.ndarray:
    return np.bincount(labels, weights, minlength=classes) / weights.sum()


def check_percentile(percentile: float) -> None:
    if not 0 < percentile <= 100:
        raise ValueError(f"percentile={percentile!r}: expected a number in (0, 100]. Patrini et al. take 97.")
