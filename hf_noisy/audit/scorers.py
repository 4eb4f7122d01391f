"""What speaks against a label: one number a row from each scorer, and one wrongness out of all of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hf_noisy.coherence import coherences
from hf_noisy.domains import check_fraction

NEIGHBOURS = 20  # of a row, as in `Neighbours`


def disbelief(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(rows,) 1 - P(given label | text), of a model that never saw the row: self-confidence, turned round.

    >>> disbelief(np.array([[0.9, 0.1], [0.8, 0.2]]), np.array([0, 1]))
    array([0.1, 0.8])
    """
    return 1 - probabilities[np.arange(len(labels)), labels]


def incoherence(vectors: np.ndarray, labels: np.ndarray, classes: int, neighbours: int = NEIGHBOURS) -> np.ndarray:
    """(rows,) the cut statistic of Muhlenbach et al. (2004), as Lang et al. (NeurIPS 2022) use it, turned round.

    How many of the nearest neighbours have another label, measured by how many would if labels were drawn by lot: a label
    of a common class needs more like neighbours than one of a rare class. Where a rule gives one class too often, this
    sees what the plain share of other labels does not.

    Args:
        vectors: (rows, width) of a frozen encoder.
        labels: (rows,) class ids.
        classes: how many there are.
        neighbours: of a row; all others where there are fewer.
    """
    count = min(neighbours, len(labels) - 1)
    if count < 1:
        return np.zeros(len(labels))
    return -coherences(vectors, np.eye(classes)[labels], count, "cut_statistic")


def contradiction(votes: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(rows,) the share of a row's votes that are for another class; 0 where it has none.

    >>> contradiction(np.array([[0, 1, -1], [1, 1, 1]]), np.array([0, 1]))
    array([0.5, 0. ])
    """
    cast = votes >= 0
    against = (cast & (votes != labels[:, None])).sum(1)
    return against / np.maximum(cast.sum(1), 1)


def ranks(values: np.ndarray) -> np.ndarray:
    """(rows,) in (0, 1]: the share of the rows that are no larger, equal ones sharing their mean place.

    >>> ranks(np.array([3.0, 1.0, 1.0, 2.0])).tolist()
    [1.0, 0.375, 0.375, 0.75]
    """
    from scipy.stats import rankdata

    return rankdata(values) / len(values)


def wrongness(scores: Mapping[str, np.ndarray], weights: Mapping[str, float], rate: float) -> np.ndarray:
    """(rows,) in [0, 1]: the weighted mean of the scores' ranks, bent so that as many rows reach 0.5 as are wrong by `rate`.

    Ranks, since scorers are on scales of their own and none is calibrated on labels that follow a rule.

    Args:
        scores: name -> (rows,), larger is more suspect.
        weights: of the scorers; those that are not named here have none.
        rate: share of the labels that is taken for wrong, in [0, 1).

    Raises:
        ValueError: no score with a weight, or a rate outside [0, 1).

    >>> wrongness({"a": np.array([0.0, 3.0, 1.0, 2.0])}, {"a": 1.0}, rate=0.25).round(3).tolist()
    [0.167, 1.0, 0.333, 0.5]
    """
    check_fraction("rate", rate, "[0, 1)")
    used = {name: weight for name, weight in weights.items() if name in scores and weight > 0}
    if not used:
        raise ValueError(
            f"scores {sorted(scores)} with weights {dict(weights)}: expected one score or more with a weight."
        )
    place = ranks(np.sum([weight * ranks(scores[name]) for name, weight in used.items()], axis=0))
    right = 1 - rate
    above = 0.5 + 0.5 * (place - right) / max(rate, 1e-12)
    return np.where(place <= right, 0.5 * place / right, above).clip(0, 1)
