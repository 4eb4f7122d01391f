"""How well the labels of texts fit those of similar texts, as pure functions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class NearestRows:
    """The nearest neighbours of each text, by the angle between vectors."""

    rows: np.ndarray  # (rows, neighbours) row numbers, the nearest first
    distances: np.ndarray  # (rows, neighbours) between unit vectors, in [0, 2]


def nearest_rows(vectors: np.ndarray, neighbours: int) -> NearestRows:
    """Compares each row with all others.

    Args:
        vectors: (rows, width); their length does not count.
        neighbours: below the number of rows.
    """
    from sklearn.neighbors import NearestNeighbors

    units = unit_rows(vectors)
    distances, rows = NearestNeighbors(n_neighbors=neighbours, algorithm="brute").fit(units).kneighbors()
    return NearestRows(rows, distances)


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """(rows, width) each row at length 1; zeros stay."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)


def label_agreement(near: NearestRows, labels: np.ndarray, score: str) -> np.ndarray:
    """(rows,) how well each label fits those of its nearest neighbours, as `Neighbours` defines it; larger is better.

    Where all labels are alike, the cut statistic is 0.

    Args:
        near: of the same rows.
        labels: (rows, classes), each row of sum 1.
        score: "cut_statistic" or "votes".

    >>> angles = np.array([0, 10, 20, 180, 190, 200]) * np.pi / 180
    >>> near = nearest_rows(np.stack([np.cos(angles), np.sin(angles)], 1), neighbours=2)
    >>> label_agreement(near, np.eye(2)[[0, 0, 1, 1, 1, 1]], score="votes").round(2)
    array([0.53, 0.5 , 0.  , 1.  , 1.  , 1.  ])
    """
    weights = 1 / (1 + near.distances)  # (rows, neighbours)
    same = np.einsum("nc,nkc->nk", labels, labels[near.rows])
    total = weights.sum(1)
    if score == "votes":
        return (weights * same).sum(1) / total
    p = labels @ labels.mean(0)
    varies = p < 1 - 1e-6
    cut = (weights * (1 - same)).sum(1)
    deviation = np.sqrt(np.where(varies, p * (1 - p) * (weights**2).sum(1), 1))
    return np.where(varies, ((1 - p) * total - cut) / deviation, 0.0)


def top_share_by_group(agreement: np.ndarray, groups: np.ndarray, share: float, seed: int) -> np.ndarray:
    """(rows,) 1 for the most coherent `share` of each group, at least one row of it, else 0; ties by lot.

    >>> top_share_by_group(np.array([3.0, 1.0, 2.0, 0.0]), np.array([0, 0, 0, 1]), share=0.6, seed=0)
    array([1., 0., 1., 1.])
    """
    order = np.lexsort((np.random.default_rng(seed).random(len(agreement)), -agreement))
    chosen = np.zeros(len(agreement))
    for group in np.unique(groups):
        mine = order[groups[order] == group]
        chosen[mine[: max(1, round(share * len(mine)))]] = 1
    return chosen


def rank_in_group(agreement: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """(rows,) the share of the rows of its group that are no more coherent than a row, itself among them.

    >>> rank_in_group(np.array([3.0, 1.0, 1.0, 0.0]), np.array([0, 0, 0, 1]))
    array([1.        , 0.66666667, 0.66666667, 1.        ])
    """
    shares = np.empty(len(agreement))
    for group in np.unique(groups):
        mine = agreement[groups == group]
        shares[groups == group] = np.searchsorted(np.sort(mine), mine, side="right") / len(mine)
    return shares
