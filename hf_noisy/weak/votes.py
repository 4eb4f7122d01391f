"""Votes as integer arrays of shape (rows, sources), where -1 abstains: functions to read and check them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hf_noisy.common.checks import nearest

if TYPE_CHECKING:
    from datasets import Dataset


LARGEST_VOTE = np.iinfo(np.int16).max  # votes are stored as int16: at most 32,768 classes, two bytes per vote


def votes_feature() -> Any:
    """Returns the `datasets` feature of a column of votes: a list of int16 per row."""
    from datasets import List, Value

    return List(Value("int16"))


def count_voting_sources(votes: Any) -> int:
    """Counts the sources that vote at all, given (rows, sources) votes, array or tensor; 1 for labels only (None)."""
    return 1 if votes is None else int((votes >= 0).any(0).sum())


def votes_of(dataset: Dataset, column: str = "weak_labels") -> np.ndarray:
    """Reads a column of votes into one integer array (rows, sources).

    Raises:
        ValueError: the column does not exist, or its rows differ in length.

    >>> import datasets
    >>> votes_of(datasets.Dataset.from_dict({"weak_labels": [[1, -1], [0, 0]]}))
    array([[ 1, -1],
           [ 0,  0]])
    """
    if column not in dataset.column_names:
        raise ValueError(
            f"no column {column!r} of votes: expected one that apply_labeling_functions added. "
            f"{nearest(column, dataset.column_names)}"
        )
    rows = dataset.with_format(None)[column][:]
    try:
        votes = np.asarray(rows or np.empty((0, 0), dtype=np.int64))
    except ValueError:  # rows of different lengths
        votes = np.empty(0)
    if votes.ndim == 2 and votes.dtype.kind == "i":
        return votes.astype(np.int64)
    for number, row in enumerate(rows):
        if not isinstance(row, list) or any(type(vote) is not int for vote in row):
            raise ValueError(
                f"row {number} of column {column!r} is {row!r}: expected a list of integers, one vote a source. Write -1 where "
                "a source abstains."
            )
    lengths = {len(row) for row in rows}
    if len(lengths) > 1:
        raise ValueError(
            f"rows of column {column!r} have {sorted(lengths)} votes: expected as many in every row, one a source. "
            "Write -1 where a source abstains."
        )
    return votes


def covered(votes: np.ndarray) -> np.ndarray:
    """Marks the examples on which at least one source votes: a boolean array (rows,).

    >>> covered(np.array([[-1, 2], [-1, -1]]))
    array([ True, False])
    """
    return np.any(check_votes(votes) >= 0, axis=1)


def as_table(name: str, rows: Any) -> np.ndarray:
    try:
        return np.asarray(rows)
    except ValueError as error:
        raise ValueError(
            f"{name}: rows of {sorted({len(row) for row in rows})} entries: expected as many in every row. Give a table."
        ) from error


def check_votes(votes: np.ndarray, num_classes: int | None = None) -> np.ndarray:
    votes = as_table("votes", votes)
    if votes.ndim != 2 or votes.shape[1] == 0:
        raise ValueError(f"votes of shape {votes.shape}: expected (rows, sources). For one source use votes[:, None].")
    if not np.issubdtype(votes.dtype, np.integer):
        raise TypeError(
            f"votes of type {votes.dtype}: expected integers, -1 where a source abstains. Use votes.astype(int)."
        )
    if num_classes is not None and (not isinstance(num_classes, int | np.integer) or num_classes < 2):
        raise ValueError(f"num_classes={num_classes!r}: expected 2 or more, as a whole number.")
    votes = votes.astype(np.int64)  # sums of int16 would overflow
    outside = np.argwhere((votes < -1) | (votes >= (num_classes or np.inf)))
    if len(outside):
        row, source = outside[0].tolist()
        expected = "a class >= 0" if num_classes is None else f"a class from 0 to {num_classes - 1}"
        raise ValueError(
            f"row {row}, source {source} votes {votes[row, source]}: expected {expected}, or -1 to abstain. "
            "Check num_classes, and write -1 where the source has nothing to say."
        )
    return votes
