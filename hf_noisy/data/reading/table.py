"""A table as it was read: columns, where they come from, and what the reader had to decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

Column = Any  # a pyarrow.ChunkedArray, or a list of Python values where the cells are of several types


@dataclass(frozen=True)
class Table:
    """Columns, and the name of their origin for errors."""

    where: str
    rows: int
    columns: Mapping[str, Column]
    class_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # of a ClassLabel or a categorical
    notes: tuple[str, ...] = ()  # what the reader took, a line each
    places: np.ndarray | None = None  # (rows,) number of each row in the file, if rows of the file were left out
    parts: tuple[tuple[str, int], ...] = ()  # (file, its rows) if the table was read from several files

    def column(self, name: str) -> Column:
        """Return the cells of a column. They are all None if the table has no such column."""
        return self.columns.get(name, pa.nulls(self.rows))

    def place(self, number: int) -> int:
        """Return the number of a row in its file, from 0."""
        return number if self.places is None else int(self.places[number])

    def row(self, number: int, ids: str | None = "id") -> str:
        """Return the name of a row for errors: its file, and its id or number."""
        where, inside = self.where, number
        for part, rows in self.parts:
            where = part
            if inside < rows:
                break
            inside -= rows
        row_id = (
            cells(self.columns[ids], [number])[0] if ids is not None and ids in self.columns else self.place(number)
        )
        return f"{where}, row {str(row_id)!r}"

    def with_notes(self, *notes: str) -> Table:
        """Return the table with further notes."""
        return replace(self, notes=(*self.notes, *notes))


def cells(column: Column, numbers: Sequence[int] | None = None) -> list[Any]:
    """Return cells of a column as Python values: those of the rows `numbers`, or all."""
    if isinstance(column, list):
        return column if numbers is None else [column[number] for number in numbers]
    return (column if numbers is None else column.take(pa.array(numbers, pa.int64()))).to_pylist()


def column_of(values: Sequence[Any]) -> Column:
    """Return Python values as a column: an array if they are of one type, else the list itself.

    >>> column_of([1, None, 2]).type, column_of(["a", 1])
    (DataType(int64), ['a', 1])
    """
    values = list(values)
    kinds = {type(value) for value in values if value is not None}
    if len(kinds - {int, float}) > 1 or (len(kinds) > 1 and kinds != {int, float}):
        return values
    try:
        return pa.chunked_array([pa.array(values)])
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError, UnicodeError, TypeError):
        return values


def table_of_arrow(where: str, found: pa.Table) -> Table:
    """Convert a `pyarrow.Table`. A dictionary column declares its values as classes, and an index of pandas is left out."""
    columns: dict[str, Column] = {}
    class_names: dict[str, tuple[str, ...]] = {}
    for name, column in zip(found.column_names, found.columns, strict=True):
        if name.startswith("__index_level_"):
            continue
        if pa.types.is_dictionary(column.type):
            column = column.unify_dictionaries()
            values = column.chunk(0).dictionary.to_pylist() if column.num_chunks else []
            if values and all(isinstance(value, str) for value in values):
                class_names[name] = tuple(values)
                column = pa.chunked_array([chunk.indices for chunk in column.chunks])
            else:
                column = column.cast(column.type.value_type)
        elif pa.types.is_string_view(column.type):  # polars; few functions of Arrow take it
            column = column.cast(pa.large_string())
        columns[str(name)] = column
    return Table(where, found.num_rows, columns, class_names)


def joined(where: str, tables: Sequence[Table]) -> Table:
    """Join the rows of several tables. A column that a table lacks is empty there.

    ClassLabels that differ between the tables become names.
    """
    if len(tables) == 1:
        return tables[0]
    names = list(dict.fromkeys(name for table in tables for name in table.columns))
    columns: dict[str, Column] = {}
    class_names: dict[str, tuple[str, ...]] = {}
    for name in names:
        holders = [table for table in tables if name in table.columns]
        named = {table.class_names.get(name) for table in holders}
        if len(named) == 1 and (one := named.pop()) is not None:
            class_names[name] = one
            pieces = [table.column(name) for table in tables]
        else:
            pieces = [_as_names(table, name) for table in tables]
        columns[name] = _joined_column(pieces)
    parts = tuple((table.where, table.rows) for table in tables)
    notes = tuple(dict.fromkeys(note for table in tables for note in table.notes))
    places = None
    if any(table.places is not None for table in tables):
        ends = np.cumsum([0, *(_read_rows(table) for table in tables)])
        places = np.concatenate(
            [
                start + (np.arange(table.rows) if table.places is None else table.places)
                for start, table in zip(ends, tables, strict=False)
            ]
        )
    return Table(where, sum(table.rows for table in tables), columns, class_names, notes, places, parts)


def _read_rows(table: Table) -> int:
    return table.rows if table.places is None or not table.rows else int(table.places[-1]) + 1


def _as_names(table: Table, name: str) -> Column:
    known = table.class_names.get(name)
    if known is None:
        return table.column(name)
    return [known[k] if k is not None and 0 <= k < len(known) else None for k in cells(table.column(name))]


def _joined_column(pieces: Sequence[Column]) -> Column:
    arrays = [piece for piece in pieces if isinstance(piece, pa.ChunkedArray) and not pa.types.is_null(piece.type)]
    kinds = {array.type for array in arrays}
    if len(kinds) == 1 and not any(isinstance(piece, list) for piece in pieces):
        kind = kinds.pop()
        return pa.chunked_array(
            [
                chunk
                for piece in pieces
                for chunk in (piece.cast(kind).chunks if not isinstance(piece, pa.Array) else [piece.cast(kind)])
            ],
            type=kind,
        )
    return column_of([cell for piece in pieces for cell in cells(piece)])
