"""Transition matrices: checks, and quantities derived from them by Bayes' rule.

K is the number of classes. A transition matrix T is (K, K); row i is P(given label = j | true class = i).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from hf_noisy.data.distributions import check_distributions, check_table

_TOLERANCE = 1e-3  # of a row's sum: the rounding error of half precision or of three printed digits
_PRIOR_STEPS = 200  # EM steps; each is one (K, K) product


def check_matrix(matrix: ArrayLike, classes: int | None = None) -> np.ndarray:
    """Checks that a matrix is a transition matrix, and returns it as float64 (K, K) with rows that sum to 1 exactly.

    Args:
        matrix: (K, K), row i = P(given label = j | true class = i); rows sum to 1 within 1e-3.
        classes: required number of classes; None for any number, at least 2.

    Raises:
        ValueError: not square, not finite, a negative entry, a row that does not sum to 1, another number of classes.

    >>> check_matrix([[0.9, 0.1], [0.2, 0.8]], classes=2)
    array([[0.9, 0.1],
           [0.2, 0.8]])
    >>> check_matrix([[0.9, 0.2], [0.2, 0.8]])
    Traceback (most recent call last):
    ValueError: matrix[0] sums to 1.1: expected 1. Divide each row by its sum.
    """
    found = check_table("matrix", matrix)
    if found.shape[0] != found.shape[1]:
        raise ValueError(f"matrix of shape {found.shape}: expected (classes, classes), a row for each true class.")
    if len(found) < 2:
        raise ValueError(f"matrix of shape {found.shape}: expected at least 2 classes. One class cannot be mistaken.")
    if classes is not None and len(found) != classes:
        raise ValueError(
            f"matrix of {len(found)} classes: expected {classes}. Give a row and a column for each class, in the order "
            "of the class ids."
        )
    check_distributions("matrix", found, _TOLERANCE)
    return found / found.sum(1, keepdims=True)


def check_invertible(matrix: ArrayLike, limit: float = 100.0) -> np.ndarray:
    """Checks as `check_matrix`, and that inverting the matrix multiplies errors by at most `limit`.

    Args:
        matrix: (K, K), a transition matrix.
        limit: largest condition number (ratio of the largest to the smallest singular value) that is accepted.

    Raises:
        ValueError: as `check_matrix`, or a condition number above the limit; the message gives it.

    >>> check_invertible([[0.51, 0.49], [0.49, 0.51]], limit=10)
    Traceback (most recent call last):
    ValueError: matrix has condition number 50: expected at most 10. Some classes are given the same labels, so ...
    """
    found = check_matrix(matrix)
    condition = float(np.linalg.cond(found))
    if not condition <= limit:
        raise ValueError(
            f"matrix has condition number {condition:.4g}: expected at most {limit:g}. Some classes are given the same "
            "labels, so inverting it multiplies every error of the estimate. Use forward correction, which inverts "
            "nothing, or mix the matrix with the identity."
        )
    return found


def row_shares(counts: np.ndarray) -> np.ndarray:
    """Divides each row of the counts (K, K) by its sum; a class without counts gets the row of the identity (no noise).

    >>> row_shares(np.array([[3.0, 1.0], [0.0, 0.0]]))
    array([[0.75, 0.25],
           [0.  , 1.  ]])
    """
    totals = counts.sum(1, keepdims=True)
    return np.where(totals > 0, counts / np.where(totals > 0, totals, 1), np.eye(len(counts)))


def noise_rate(matrix: np.ndarray, prior: np.ndarray) -> float:
    """Computes the share of wrong labels: sum over i of prior_i (1 - T_ii).

    >>> round(noise_rate(np.array([[0.9, 0.1], [0.5, 0.5]]), np.array([0.75, 0.25])), 3)
    0.2
    """
    return float(np.clip(prior @ (1 - np.diag(matrix)), 0, 1))


def clean_posterior(matrix: ArrayLike, prior: ArrayLike) -> np.ndarray:
    """Computes P(true class = i | given label = j) by Bayes' rule, as (K given, K true).

    Args:
        matrix: (K, K), a transition matrix.
        prior: (K,) prior of the true class; sums to 1 within 1e-3.

    Returns:
        Row j for given label j. A label that is never given has the prior.

    Raises:
        ValueError: not a transition matrix, or not a prior of its classes.

    >>> clean_posterior([[0.8, 0.2], [0.4, 0.6]], [0.5, 0.5]).round(3)
    array([[0.667, 0.333],
           [0.25 , 0.75 ]])
    """
    transition = check_matrix(matrix)
    shares = check_table("prior", np.asarray(prior)[None])
    if shares.shape[1] != len(transition):
        raise ValueError(f"prior of {shares.shape[1]} classes: expected {len(transition)}, as the matrix has.")
    check_distributions("prior", shares, _TOLERANCE)
    joint = (shares.T * transition).T
    totals = joint.sum(1, keepdims=True)
    return np.where(totals > 0, joint / np.where(totals > 0, totals, 1), shares / shares.sum())


def prior_of(matrix: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Estimates the prior of the true class from the shares of the given labels (shares = prior T).

    The estimate is the one of maximum likelihood. Expectation-maximisation starts from the shares themselves. The
    result is always a distribution; that of T^-1 may not be. The shares are returned if T allows none of the given
    labels for any class with a share.

    Args:
        matrix: (..., K, K) transition matrices.
        shares: (..., K) shares of the given labels.

    Returns:
        (..., K).

    >>> prior_of(np.array([[0.8, 0.2], [0.4, 0.6]]), np.array([0.7, 0.3])).round(3)
    array([0.75, 0.25])
    """
    prior = shares
    for _ in range(_PRIOR_STEPS):
        expected = np.einsum("...k,...kj->...j", prior, matrix)
        ratios = np.where(expected > 0, shares / np.where(expected > 0, expected, 1), 0)
        likelier = prior * np.einsum("...kj,...j->...k", matrix, ratios)
        totals = likelier.sum(-1, keepdims=True)
        prior = np.where(totals > 0, likelier / np.where(totals > 0, totals, 1), prior)
    return prior


def total_variation(first: ArrayLike, second: ArrayLike) -> float:
    """Computes the mean total variation distance between the rows of two matrices, from 0 to 1.

    It is half the sum of the absolute differences of a row, averaged over rows.

    >>> round(total_variation([[0.9, 0.1], [0.2, 0.8]], [[1, 0], [0, 1]]), 3)
    0.15
    """
    return float(0.5 * np.abs(np.asarray(first, float) - np.asarray(second, float)).sum(-1).mean())
