"""How well text features predict the labels."""

from __future__ import annotations

import numpy as np

from hf_noisy.evidence.features.neighbours import label_agreement, nearest_rows

_SAMPLE = 5_000  # maximum number of rows used for a score


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
