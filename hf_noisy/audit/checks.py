"""Checks of the inputs of an audit. Each error names the first wrong value."""

from __future__ import annotations

from collections.abc import Sized

import numpy as np


def check_length(name: str, values: Sized | None, rows: int) -> None:
    """Raises a ValueError unless `values` is None or has one entry per row."""
    if values is not None and len(values) != rows:
        raise ValueError(f"{name} has {len(values)} entries: expected {rows}, one for each of ids.")


def check_finite(name: str, values: np.ndarray) -> np.ndarray:
    """Returns `values` (rows,), or raises a ValueError if one of them is infinite or NaN."""
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        raise ValueError(
            f"{name}[{wrong[0]}]={values[wrong[0]]}: expected a finite number. Leave {name} out if unknown."
        )
    return values


def check_range(name: str, values: np.ndarray) -> None:
    """Raises a ValueError unless all of `values` (rows,) are in [0, 1]."""
    wrong = np.flatnonzero(~((values >= 0) & (values <= 1)))
    if len(wrong):
        raise ValueError(f"{name}[{wrong[0]}]={values[wrong[0]]}: expected a number in [0, 1].")


def check_share(name: str, value: float) -> None:
    """Raises a ValueError unless `value` is in [0, 1]."""
    if not 0 <= value <= 1:
        raise ValueError(f"{name}={value}: expected a share in [0, 1].")


def check_classes(name: str, values: np.ndarray, classes: int, *, least: int = 0) -> None:
    """Raises a ValueError unless all of `values` (rows,) are from `least` to `classes` - 1."""
    wrong = np.flatnonzero((values < least) | (values >= classes))
    if len(wrong):
        abstains = ", or -1 to abstain" if least == -1 else ". Leave rows out that have no label"
        raise ValueError(
            f"{name}[{wrong[0]}]={values[wrong[0]]}: expected a class id from 0 to {classes - 1}{abstains}."
        )


def check_known_or_none(name: str, matrix: np.ndarray | None, classes: int) -> None:
    """Raises a ValueError unless the matrix is None or has one row per class."""
    if matrix is not None and len(matrix) != classes:
        raise ValueError(
            f"{name} of shape {matrix.shape}: expected ({classes}, {classes}), one row for each class name."
        )
