"""Checks the vectors that a user passes to a method, one for each training row."""

from __future__ import annotations

from collections.abc import Sized


def check_row_vectors(vectors: Sized, rows: int) -> None:
    """Raises ValueError unless there is one vector for each training row.

    >>> check_row_vectors([[0.0]], 2)
    Traceback (most recent call last):
    ValueError: vectors has 1 rows: expected 2, one a training row in row order, clean rows that are trained on last.
    """
    if len(vectors) != rows:
        raise ValueError(
            f"vectors has {len(vectors)} rows: expected {rows}, one a training row in row order, clean rows "
            "that are trained on last."
        )
