"""The confident joint of cleanlab as an estimator."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import ArrayLike

from hf_noisy.evidence.inputs import check_probs
from hf_noisy.evidence.matrices.estimate import RESAMPLES, NoiseEstimate, Solution, with_interval
from hf_noisy.evidence.matrices.matrices import row_shares


def confident_joint(probs: ArrayLike, labels: ArrayLike, *, resamples: int = RESAMPLES, seed: int = 0) -> NoiseEstimate:
    """Counts a row as another class if its probability of that class reaches the mean over the rows given that class.

    Computed by cleanlab's `compute_confident_joint`, calibrated to the counts of the given labels.

    Source: Northcutt et al., "Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR 2021.

    Args:
        probs: (rows, classes) out-of-fold probabilities of the given label.
        labels: (rows,) class ids; a row with a negative id has no label and is left out.
        resamples: number of bootstrap resamples of the rows, for the interval.
        seed: seed of the resamples.

    Raises:
        ImportError: cleanlab is not installed.
        ValueError, TypeError: bad probabilities or labels.

    Robust if probabilities are badly calibrated but well ordered. The rate is too low with many classes and few rows.
    """
    try:
        with warnings.catch_warnings():  # the first import of cleanlab silences all warnings of the process
            from cleanlab.count import compute_confident_joint
    except ImportError as error:
        raise ImportError("confident_joint needs cleanlab: pip install hf_noisy[benchmark]") from error
    probs, labels = check_probs(probs, labels)

    def solve(weights: np.ndarray) -> Solution:
        rows = np.repeat(np.arange(len(labels)), weights.astype(int))
        joint = compute_confident_joint(labels[rows], probs[rows], calibrate=True).astype(float)  # (given, true)
        return row_shares(joint.T), joint.sum(0) / joint.sum()

    return with_interval(solve, len(labels), resamples, seed)
