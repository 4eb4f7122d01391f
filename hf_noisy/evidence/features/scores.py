"""How well text features predict the labels."""

from __future__ import annotations

import numpy as np

from hf_noisy.evidence.features.frozen import out_of_fold_probabilities
from hf_noisy.evidence.features.neighbours import label_agreement, nearest_rows

_SAMPLE = 5_000  # rows by which vectors are judged
_FOLDS = 5


def mean_cut_statistic(vectors: np.ndarray, given: np.ndarray, neighbours: int, seed: int = 0) -> float:
    """The mean cut statistic of the labels, by at most 5,000 rows: about 0 where near texts have labels like any others.

    Args:
        vectors: (rows, width)
        given: (rows, classes) labels, zero rows where there is none; at least two rows have one.
        neighbours: of a text.
        seed: of the rows that are looked at.
    """
    labelled = np.flatnonzero(given.sum(1) > 0)
    if len(labelled) > _SAMPLE:
        labelled = np.random.default_rng(seed).choice(labelled, _SAMPLE, replace=False)
    near = nearest_rows(vectors[labelled], min(neighbours, len(labelled) - 1))
    return float(label_agreement(near, given[labelled], "cut_statistic").mean())


def cv_gain_z(vectors: np.ndarray, given: np.ndarray, seed: int = 0) -> float:
    """By how many standard errors the labels are told from the vectors, out of fold, better than by the commonest class.

    About 0 or below where vectors say nothing of the labels: then nothing can be inferred of them. NaN where there are too few
    to hold some out. By at most 5,000 rows.

    Args:
        vectors: (rows, width)
        given: (rows, classes) labels, zero rows where there is none.
        seed: of the folds, and of the rows that are looked at.
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
