"""A label column as its distinct values, each with what it means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hf_noisy.data.reading.table import Table, cells
from hf_noisy.data.tables.cells import Cell, meaning_of


@dataclass(frozen=True)
class LabelOptions:
    """How cells of labels are understood.

    Args:
        exact: whether spellings of a class that differ in case, outer spaces, quotes or final marks are kept apart.
        na_is_class: whether NA, null, None and the other words that pandas takes for missing are names of classes.
        minus_one_is_class: whether -1 and -100 are classes. Without it no label.
    """

    exact: bool = False
    na_is_class: bool = False
    minus_one_is_class: bool = False


@dataclass
class Cells:
    """A label column with its distinct values, so that each is looked at once."""

    table: Table
    column: str
    codes: np.ndarray  # (rows,) int64, the number of the distinct value
    values: list[Any]
    meanings: list[Cell]
    counts: np.ndarray  # (values,) rows of each value

    def first_row(self, value: int) -> str:
        """Return the first row with a value, for errors, and what it holds."""
        row = int(np.flatnonzero(self.codes == value)[0])
        return f"{self.table.row(row)}: {self.column} is {self.values[value]!r}"


def is_class(cell: Cell) -> bool:
    """Whether a cell is one class."""
    return cell.kind in ("number", "fraction", "truth", "word")


def cells_of_column(table: Table, column: str, options: LabelOptions) -> Cells:
    """Look at the distinct values of a column."""
    codes, values = _distinct(table.column(column))
    names = table.class_names.get(column)
    if names is not None:
        meanings = [_declared_cell(value, names) for value in values]
    else:
        meanings = [_understood(meaning_of(value), options) for value in values]
    return Cells(table, column, codes, values, meanings, np.bincount(codes, minlength=len(values)))


def _distinct(column: Any) -> tuple[np.ndarray, list[Any]]:
    if not isinstance(column, list) and not pa.types.is_nested(column.type):
        if isinstance(column, pa.Array):
            column = pa.chunked_array([column])
        encoded = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
        if pa.types.is_null(encoded.type):
            return np.zeros(len(encoded), dtype=np.int64), [None]
        found = pc.dictionary_encode(encoded, null_encoding="encode")
        return np.asarray(found.indices).astype(np.int64), found.dictionary.to_pylist()
    numbers: dict[Any, int] = {}
    values: list[Any] = []
    codes = np.empty(len(column), dtype=np.int64)
    for row, cell in enumerate(cells(column)):
        key = (type(cell).__name__, repr(cell) if isinstance(cell, list | dict | np.ndarray) or cell != cell else cell)
        if key not in numbers:
            numbers[key] = len(values)
            values.append(cell)
        codes[row] = numbers[key]
    return codes, values


def _declared_cell(value: Any, names: Sequence[str]) -> Cell:
    if value is None or value in (-1, -100):
        return Cell("missing")
    return Cell("word", names[value]) if 0 <= value < len(names) else Cell("other", value)


def _understood(cell: Cell, options: LabelOptions) -> Cell:
    if cell.kind == "abstain" and options.minus_one_is_class:
        return Cell("number", cell.value)
    if cell.kind == "missing" and cell.value and options.na_is_class:
        return Cell("word", cell.value)
    return cell
