"""Checks of tables of numbers and of probability distributions."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def check_table(name: str, values: ArrayLike) -> np.ndarray:
    """Return a float64 copy of a two-dimensional table of finite numbers. An error names the first bad row."""
    try:
        found = np.asarray(values)
    except ValueError as error:
        raise ValueError(f"{name}: expected rows of equal length, got {values!r}.") from error
    if found.ndim != 2 or found.dtype.kind not in "biuf":
        raise ValueError(
            f"{name} of shape {found.shape} and type {found.dtype}: expected two dimensions of numbers. Give a dense "
            "array."
        )
    bad = np.flatnonzero(~np.isfinite(found).all(-1))
    if len(bad):
        raise ValueError(f"{name}[{bad[0]}] holds NaN or infinity: expected finite numbers. Mend or drop the row.")
    return found.astype(np.float64)


def check_distributions(name: str, table: np.ndarray, tolerance: float) -> None:
    """Raise an error that names the row unless every row is non-negative and sums to 1 within `tolerance`."""
    negative = np.argwhere(table < 0)
    if len(negative):
        row, column = negative[0]
        raise ValueError(f"{name}[{row}, {column}]={table[row, column]:g}: expected a probability, at least 0.")
    totals = table.sum(-1)
    bad = np.flatnonzero(np.abs(totals - 1) > tolerance)
    if len(bad):
        raise ValueError(f"{name}[{bad[0]}] sums to {totals[bad[0]]:.8g}: expected 1. Divide each row by its sum.")
