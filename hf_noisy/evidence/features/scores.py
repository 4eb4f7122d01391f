"""How well text features predict the labels."""

from __future__ import annotations

import numpy as np

from hf_noisy.evidence.features.frozen import out_of_fold_probabilities
from hf_noisy.evidence.features.neighbours import label_agreement, nearest_rows

_SAMPLE = 5_000  # maximum number of rows used for a score
_FOLDS = 5


def mean_cut_statistic(vectors: np.ndarray, given: np.ndarray, neighbours: int, seed: int = 0) -> float:
    """Computes the mean cut statistic of the labels, on at most 5,000 rows.

    It is about 0 if the labels of similar texts agree no more often than those of any texts.

    Args:
        vectors: (rows, width)
        given: (rows, classes) labels; a zero row has no label. At least two rows have one.
        neighbours: number of neighbours per text.
        seed: seed of the sample of rows.
    """
    labelled = np.flatnonzero(given.sum(1) > 0)
    if len(labelled) > _SAMPLE:
        labelled = np.random.default_rng(seed).choice(labelled, _SAMPLE, replace=False)
    near = nearest_rows(vectors[labelled], min(neighbours, len(labelled) - 1))
    return float(label_agreement(near, given[labelled], "cut_statistic").mean())


def cv_gain_z(vectors: np.ndarray, given: np.ndarray, seed: int = 0) -> float:
    """Computes the cross-validated accuracy gain of the vectors over the majority class, in standard errors.

    It is about 0 or below if the vectors do not predict the labels; nothing can be inferred from them then. It is NaN
    if there are too few labels for cross-validation, or only one class. At most 5,000 rows are used.

    Args:
        vectors: (rows, width)
        given: (rows, classes) labels; a zero row has no label.
        seed: seed of the folds and of the sample of rows.
    """
    labelled = np.flatnonzero(given.sum(1) > 0)
    if len(labelled) > _SAMPLE:
        labelled = np.random.default_rng(seed).choice(labelled, _SAMPLE, replace=False)
    labels = given[labelled].argmax(1)
    shares = np.bincount(labels, minlength=given.shape[1]) / max(len(labels), 1)
    if len(labels) < 2 * _FOLDS or shares.max() == 1:
        return float("nan")
    found = out_of_fold_probabilities(vectors[labelled], labels, given.shape[1], _FOLDS, seed).argmax(1)
    error = np.sqrt(shares.max() * (1 - shares.max()) / len(labels))
    return float(((found == labels).mean() - shares.max()) / error)
