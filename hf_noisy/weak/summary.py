"""Coverage, overlaps, conflicts and accuracy of each source of votes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hf_noisy.weak.votes import check_votes, votes_of

if TYPE_CHECKING:
    import pandas
    from datasets import Dataset


def summarize_votes(
    votes: np.ndarray | Dataset, *, names: Sequence[str] | None = None, gold: np.ndarray | None = None
) -> pandas.DataFrame:
    """Computes the coverage, overlap and conflict of each source, and its accuracy if gold labels are given.

    Args:
        votes: (rows, sources), -1 abstains; or a dataset with a column `weak_labels`.
        names: names of the sources, used as the index of the table; by default `source_0`, `source_1`, ...
        gold: true classes (rows,), -1 where unknown. They are used for the accuracy only.

    Returns:
        A table with one row per source. `coverage`, `overlap` (another source votes too) and `conflict` (another source
        disagrees) are shares of all rows. With `gold`, `accuracy` is the share of correct votes among the votes on rows
        whose gold class is known (NaN if there are none).

    Raises:
        ValueError: the number of names differs from that of sources, or the length of `gold` from the number of rows.

    Source: Snorkel's `LFAnalysis`.

    >>> summarize_votes(np.array([[0, 0], [1, 0], [1, -1], [-1, -1]]), names=["a", "b"], gold=np.array([0, 1, 0, 1]))
       coverage  overlap  conflict  accuracy
    a      0.75      0.5      0.25  0.666667
    b      0.50      0.5      0.25  0.500000
    """
    import datasets
    import pandas
    from snorkel.labeling import LFAnalysis

    votes = check_votes(votes_of(votes) if isinstance(votes, datasets.Dataset) else votes)
    rows, sources = votes.shape
    names = [f"source_{source}" for source in range(sources)] if names is None else list(names)
    if len(names) != sources:
        raise ValueError(f"{len(names)} names for {sources} sources: expected one name a column of votes.")
    if rows == 0:
        raise ValueError("votes has 0 rows: expected at least one to summarize.")
    analysis = LFAnalysis(votes.astype(np.float64))  # floats: scipy warns on Snorkel's diagonal matrix of integers
    table = {
        "coverage": analysis.lf_coverages(),
        "overlap": analysis.lf_overlaps(),
        "conflict": analysis.lf_conflicts(),
    }
    if gold is not None:
        table["accuracy"] = _accuracies(votes, np.asarray(gold))
    return pandas.DataFrame(table, index=names)


def _accuracies(votes: np.ndarray, gold: np.ndarray) -> np.ndarray:
    from snorkel.labeling import LFAnalysis

    if gold.shape != votes.shape[:1]:
        raise ValueError(
            f"gold of shape {gold.shape} for {len(votes)} rows of votes: expected one class a row, -1 where unknown."
        )
    if gold.dtype.kind not in "iu":
        raise ValueError(f"gold of type {gold.dtype}: expected integers, -1 where unknown. Use gold.astype(int).")
    known = gold >= 0
    voted = (votes[known] >= 0).any(axis=0)
    accuracies = np.full(votes.shape[1], np.nan)  # Snorkel returns 0 for a source without votes
    if voted.any():
        accuracies[voted] = LFAnalysis(votes[known][:, voted]).lf_empirical_accuracies(gold[known])
    return accuracies
