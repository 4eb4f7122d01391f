"""Reads and checks the column `weak_labels` of a training set: the votes of several sources."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import datasets
import numpy as np
import torch
from torch import Tensor

from hf_noisy.data.columns import VOTES, cells_of, columns_of, list_table, stored_column
from hf_noisy.data.label_reading import form_of


def read_votes(dataset: Any, classes: int, *, where: str) -> Tensor | None:
    """Return the checked votes of the column `weak_labels`, (rows, sources) int16, or None without this column."""
    if VOTES not in columns_of(dataset):
        return None
    stored = stored_column(dataset, VOTES) if isinstance(dataset, datasets.Dataset) else None
    votes = None if stored is None or not len(stored) else list_table(stored, len(stored[0].as_py() or ""))
    if votes is None or votes.dtype.kind not in "iu":
        votes = _vote_rows(cells_of(dataset, VOTES, where) if stored is None else stored.to_pylist(), where)
    return torch.from_numpy(check_votes(votes, classes, where=where))


def check_votes(votes: np.ndarray, classes: int, *, where: str) -> np.ndarray:
    """Return (rows, sources) votes as int16. Raise an error that names the first vote outside the classes."""
    votes = np.asarray(votes)
    if votes.ndim != 2 or votes.dtype.kind not in "iu":
        raise ValueError(
            f"{where}: {VOTES} has shape {votes.shape} and type {votes.dtype}: expected (rows, sources) integers, -1 to "
            "abstain. Write them with hf_noisy.apply_labeling_functions."
        )
    wrong = np.argwhere((votes < -1) | (votes >= classes))
    if len(wrong):
        row, source = wrong[0]
        raise ValueError(
            f"{where}, row {row}: source {source} votes {votes[row, source]}: expected -1 (abstain) or a class in "
            f"[0, {classes}). Mend that labeling function, or load the model with more classes."
        )
    return votes.astype(np.int16)


def _vote_rows(rows: Sequence[Any], where: str) -> np.ndarray:
    """Stack lists of votes to (rows, sources). Raise an error about the first row that is no list of that length."""
    table: list[np.ndarray] = []
    for row, votes in enumerate(rows):
        array = np.asarray(votes if form_of(votes) == "row" or np.shape(votes) == (1,) else None)
        if array.ndim != 1 or array.dtype.kind not in "iu":
            raise ValueError(
                f"{where}, row {row}: {VOTES} is {votes!r}: expected a list of integers, one vote a source. "
                "Write -1 where a source abstains."
            )
        if table and len(array) != len(table[0]):
            raise ValueError(
                f"{where}, row {row}: {VOTES} is {votes!r}: expected {len(table[0])} votes as in the rows before, one a "
                "source. Write -1 where a source abstains."
            )
        table.append(array)
    return np.stack(table)
