"""Reads what is in memory: datasets, data frames, lists of dictionaries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from hf_noisy.data.reading.json_files import table_of_columns, table_of_rows
from hf_noisy.data.reading.options import SPLIT_NAMES, listed, split_of
from hf_noisy.data.reading.table import Column, Table, column_of, table_of_arrow


def table_of_dataset(where: str, dataset: Any) -> Table:
    """Convert a `datasets.Dataset` to a table. Its ClassLabels give the class names."""
    from datasets import ClassLabel

    from hf_noisy.data.columns import stored_column

    names = {key: tuple(feature.names) for key, feature in dataset.features.items() if isinstance(feature, ClassLabel)}
    columns = {
        name: stored_column(dataset, name) for name in dataset.column_names if not name.startswith("__index_level_")
    }
    whole = {
        name: column if isinstance(column, pa.ChunkedArray) else pa.chunked_array([column])
        for name, column in columns.items()
    }
    found = table_of_arrow(where, pa.table(whole)) if whole else Table(where, len(dataset), {})
    return Table(where, len(dataset), found.columns, {**found.class_names, **names})


def table_of_frame(where: str, frame: Any) -> Table:
    """Convert a data frame of pandas, column by column, since one may hold cells of several types.

    The index is left out.
    """
    import pandas

    repeated = frame.columns[frame.columns.duplicated()].tolist()
    if repeated:
        raise ValueError(f"{where}: has the column {repeated[0]!r} more than once: expected a name each. Rename one.")
    columns: dict[str, Column] = {}
    names: dict[str, tuple[str, ...]] = {}
    for key in frame.columns:
        series, name = frame[key], str(key)
        if isinstance(series.dtype, pandas.CategoricalDtype):
            categories = series.cat.categories.tolist()
            if categories and all(isinstance(value, str) for value in categories):
                names[name] = tuple(categories)
                codes = series.cat.codes.to_numpy().astype("int64")
                columns[name] = pa.chunked_array([pa.array(codes, mask=codes < 0)])
                continue
            series = series.astype(object)
        if series.dtype == object:
            columns[name] = column_of([None if _is_missing(cell) else cell for cell in series])
        else:
            columns[name] = pa.chunked_array([pa.Array.from_pandas(series)])
    return Table(where, len(frame), columns, names)


def tables_in_memory(source: Any) -> dict[str | None, Table] | None:
    """Return the tables of an object in memory by split, or one under None; None if the object holds no rows.

    Raises:
        TypeError: a stream, or rows that are no dictionaries.
        ValueError: columns of different lengths, or unknown splits beside known ones.
    """
    import datasets
    import pandas

    if isinstance(source, datasets.IterableDataset | datasets.IterableDatasetDict):
        raise TypeError("source is a stream: its rows are needed as a whole. Load it with streaming=False.")
    if isinstance(source, datasets.Dataset):
        return {None: table_of_dataset("the dataset", source)}
    if isinstance(source, pandas.DataFrame):
        return {None: table_of_frame("the data frame", source)}
    if hasattr(source, "collect") and hasattr(source, "lazy"):  # a lazy frame of polars
        source = source.collect()
    if hasattr(source, "__arrow_c_stream__"):  # polars, pyarrow, DuckDB and others
        return {None: table_of_arrow("the data frame", pa.table(source))}
    if isinstance(source, Mapping) and source:
        return _of_mapping(source)
    if isinstance(source, Sequence) and not isinstance(source, str | bytes):
        return {None: _of_sequence(source)}
    return None


def _of_mapping(source: Mapping[Any, Any]) -> dict[str | None, Table] | None:
    splits = {key: split_of(str(key)) for key in source}
    held = {key: tables_in_memory(value) for key, value in source.items() if splits[key] and not _is_cells(value)}
    if not any(splits.values()) or not held or any(value is None for value in held.values()):
        if all(_is_cells(value) for value in source.values()):
            return {None: table_of_columns("the columns", source)}
        return None
    found: dict[str | None, Table] = {}
    for key, tables in held.items():
        split = splits[key]
        if split in found:
            raise ValueError(f"splits {listed(map(str, source))}: two of them are {split}: expected one each.")
        table = next(iter((tables or {}).values()))
        found[split] = replace(table, where=f"{table.where}, split {key}")
    return found


def _is_cells(value: Any) -> bool:
    """Whether a value is a column: a sequence that does not consist of rows."""
    if hasattr(value, "tolist") and not hasattr(value, "columns"):
        return True
    return isinstance(value, list | tuple) and not (value and all(isinstance(cell, Mapping) for cell in value))


def _of_sequence(rows: Sequence[Any]) -> Table:
    wrong = next((number for number, row in enumerate(rows) if not isinstance(row, Mapping)), None)
    if wrong is not None:
        raise TypeError(
            f"row {wrong} is {str(rows[wrong])[:60]!r}: expected a dictionary of column and cell in every row. "
            f"Of files pass a mapping of {', '.join(SPLIT_NAMES)} to files, or one pattern such as 'part-*.csv'."
        )
    return table_of_rows("the rows", rows)


def _is_missing(cell: Any) -> bool:
    return cell is None or (not isinstance(cell, list | tuple | dict) and not hasattr(cell, "shape") and cell != cell)
