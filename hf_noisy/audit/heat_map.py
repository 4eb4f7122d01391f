"""A transition matrix as the report draws it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hf_noisy.audit import numbers

_NUMBERED = 14  # classes up to which cells hold their numbers
_NAME = 22  # characters of a class name beside the map; the rest is in the tooltip


@dataclass(frozen=True)
class Cell:
    """One pair of classes."""

    row: int
    column: int
    probability: float
    text: str
    title: str


@dataclass(frozen=True)
class HeatMap:
    """A transition matrix."""

    names: list[tuple[str, str]]  # as drawn, and in full
    cells: list[Cell]
    numbered: bool
    slips: list[tuple[str, str, str]]  # true class, given label, share: the largest off the diagonal


def heat_map(matrix: np.ndarray, class_names: Sequence[str], most: int = 6) -> HeatMap:
    """The cells of `matrix` (classes, classes), and its largest slips."""
    classes = range(len(class_names))
    cells = [
        Cell(
            i,
            j,
            round(float(matrix[i, j]), 3),
            numbers.percent_words(float(matrix[i, j])),
            f"true class {class_names[i]}, given label {class_names[j]}: {numbers.percent_words(float(matrix[i, j]))} of 100",
        )
        for i in classes
        for j in classes
    ]
    slips = sorted((cell for cell in cells if cell.row != cell.column), key=lambda cell: -matrix[cell.row, cell.column])
    return HeatMap(
        [(_short(name), name) for name in class_names],
        cells,
        len(class_names) <= _NUMBERED,
        [
            (class_names[cell.row], class_names[cell.column], cell.text)
            for cell in slips[:most]
            if matrix[cell.row, cell.column] >= 0.005
        ],
    )


def _short(name: str) -> str:
    return name if len(name) <= _NAME else name[: _NAME - 1] + "…"
