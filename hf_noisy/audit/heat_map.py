"""Data of the report's heat map of a transition matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hf_noisy.audit import numbers
from hf_noisy.common.scripts import isolated

_MAX_NUMBERED = 14  # maximum number of classes with which cells show their numbers
_NAME_LENGTH = 22  # maximum characters of a class name beside the map; the tooltip has the full name


@dataclass(frozen=True)
class Cell:
    """The entry of one pair of classes."""

    row: int
    column: int
    probability: float
    text: str
    title: str


@dataclass(frozen=True)
class HeatMap:
    """A transition matrix as a heat map."""

    names: list[tuple[str, str]]  # class names as drawn, and in full
    cells: list[Cell]
    numbered: bool
    confusions: list[tuple[str, str, str]]  # largest entries off the diagonal: true class, given label, share


def heat_map(matrix: np.ndarray, class_names: Sequence[str], most: int = 6) -> HeatMap:
    """Returns the cells of `matrix` (classes, classes), and up to `most` of the largest entries off the diagonal."""
    classes = range(len(class_names))
    cells = [
        Cell(
            i,
            j,
            round(float(matrix[i, j]), 3),
            numbers.percent_words(float(matrix[i, j])),
            f"true class {isolated(class_names[i])}, given label {isolated(class_names[j])}: {numbers.percent_words(float(matrix[i, j]))} of 100",
        )
        for i in classes
        for j in classes
    ]
    confusions = sorted(
        (cell for cell in cells if cell.row != cell.column), key=lambda cell: -matrix[cell.row, cell.column]
    )
    return HeatMap(
        [(_short(name), name) for name in class_names],
        cells,
        len(class_names) <= _MAX_NUMBERED,
        [
            (class_names[cell.row], class_names[cell.column], cell.text)
            for cell in confusions[:most]
            if matrix[cell.row, cell.column] >= 0.005
        ],
    )


def _short(name: str) -> str:
    return name if len(name) <= _NAME_LENGTH else name[: _NAME_LENGTH - 1] + "…"
