"""Agreement of labels with the labels of similar texts, as pure functions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hf_noisy.common.progress import progress_bar

_BLOCK = 16_384  # rows whose neighbours are searched between two updates of the bar


@dataclass(frozen=True)
class NearestRows:
    """The nearest neighbours of each text by the angle between vectors (cosine)."""

    rows: np.ndarray  # (rows, neighbours) row numbers, the nearest first
    distances: np.ndarray  # (rows, neighbours) between unit vectors, in [0, 2]


def nearest_rows(vectors: np.ndarray, neighbours: int) -> NearestRows:
    """Finds the nearest neighbours of each row among all other rows.

    Args:
        vectors: (rows, width); their lengths are ignored.
        neighbours: number of neighbours per row, below the number of rows.
    """
    from sklearn.neighbors import NearestNeighbors

    units = unit_rows(vectors)
    search = NearestNeighbors(n_neighbors=neighbours + 1, algorithm="brute").fit(units)  # one more: the row itself
    rows = np.empty((len(units), neighbours), dtype=np.int64)
    distances = np.empty(rows.shape)
    # no small last block: scikit-learn breaks ties between equal rows in another way if there are few rows
    blocks = np.split(np.arange(len(units)), range(_BLOCK, len(units) - _BLOCK + 1, _BLOCK))
    for block in progress_bar("Searching neighbours", blocks, unit="block"):
        near_distances, near = search.kneighbors(units[block])
        other = near != block[:, None]
        other[other.all(1), 0] = False  # more equal rows than neighbours, so the row itself was not found
        rows[block], distances[block] = (
            near[other].reshape(-1, neighbours),
            near_distances[other].reshape(-1, neighbours),
        )
    return NearestRows(rows, distances)


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """Scales each row of (rows, width) to length 1; zero rows stay zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)


def label_agreement(near: NearestRows, labels: np.ndarray, score: str) -> np.ndarray:
    """Scores how well each label agrees with those of its nearest neighbours, as `Neighbours` defines it: (rows,).

    Larger is better. If all labels are equal, the cut statistic is 0.

    Args:
        near: nearest neighbours of the same rows.
        labels: (rows, classes); each row sums to 1.
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
    """Selects the `share` of each group with the highest agreement, at least one row: (rows,) 1 if selected, else 0.

    Ties are broken at random.

    >>> top_share_by_group(np.array([3.0, 1.0, 2.0, 0.0]), np.array([0, 0, 0, 1]), share=0.6, seed=0)
    array([1., 0., 1., 1.])
    """
    order = np.lexsort((np.random.default_rng(seed).random(len(agreement)), -agreement))
    chosen = np.zeros(len(agreement))
    for group in np.unique(groups):
        members = order[groups[order] == group]
        chosen[members[: max(1, round(share * len(members)))]] = 1
    return chosen


def rank_in_group(agreement: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Computes the share of rows in each row's group whose agreement is not higher: (rows,). A row counts itself.

    >>> rank_in_group(np.array([3.0, 1.0, 1.0, 0.0]), np.array([0, 0, 0, 1]))
    array([1.        , 0.66666667, 0.66666667, 1.        ])
    """
    shares = np.empty(len(agreement))
    for group in np.unique(groups):
        members = agreement[groups == group]
        shares[groups == group] = np.searchsorted(np.sort(members), members, side="right") / len(members)
    return shares
