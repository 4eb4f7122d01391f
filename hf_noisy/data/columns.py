"""Columns of a dataset, read and added as they are stored, and the names of the columns used here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets.fingerprint import generate_random_fingerprint
from datasets.table import InMemoryTable

LABEL_COLUMNS = ("labels", "label", "label_ids")  # where labels are looked for, in this order
INDEX = "index"
VOTES = "weak_labels"


def columns_of(dataset: Any) -> list[str]:
    """The columns of a `datasets.Dataset`, or the keys of the first row of anything else."""
    if isinstance(dataset, datasets.Dataset):
        return list(dataset.column_names)
    first = dataset[0]
    if not isinstance(first, Mapping):
        raise TypeError(
            f"the dataset yields {type(first).__name__}: expected dictionaries such as a tokenizer's output."
        )
    return list(first)


def cells_of(dataset: Any, column: str, where: str) -> list[Any]:
    """A column of a list-like dataset."""
    cells = []
    for row in range(len(dataset)):
        item = dataset[row]
        if column not in item:
            raise ValueError(
                f"{where}, row {row}: has {', '.join(map(str, item))} and no {column!r}: expected the same keys in every "
                "row. Write None where there is no label, -1 where a source abstains."
            )
        cells.append(item[column])
    return cells


def arrow_column(dataset: datasets.Dataset, column: str) -> pa.Array:
    """A column as it is stored, whatever its format or transform shows."""
    return dataset.with_format("arrow").select_columns([column])[:][column].combine_chunks()  # the others may be large


def is_list_type(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def list_table(stored: pa.Array, width: int) -> np.ndarray | None:
    """(rows, width) of a column of lists, without a Python object a row; None where its rows are not all such."""
    if not is_list_type(stored.type) or stored.flatten().null_count:
        return None
    lengths = np.asarray(pc.list_value_length(stored).fill_null(-1))
    return None if (lengths != width).any() else np.asarray(stored.flatten()).reshape(len(stored), width)


_NO_ROW = {"i": -100, "f": 0.0, "u": 0, "b": False}  # stored where a filter left a row out; never read


def stored_column(dataset: datasets.Dataset, column: str) -> pa.Array:
    """(rows,) a column in row order, whatever the dataset's format or transform shows.

    A shuffled or filtered dataset is read whole and then put in order, which is far faster than row by row.
    """
    stored = dataset.data.column(column)
    order = row_order(dataset)
    if order is not None:
        stored = stored.take(pa.array(order))
    return stored.combine_chunks()


def row_order(dataset: datasets.Dataset) -> np.ndarray | None:
    """(rows,) which stored row each row is; None where they are stored in row order."""
    return None if dataset._indices is None else np.asarray(dataset._indices.column(0)).astype(np.int64)


def with_columns(dataset: datasets.Dataset, columns: Mapping[str, np.ndarray]) -> datasets.Dataset:
    """`dataset` and new columns, (rows,) or (rows, width); its own are not copied, though it be shuffled or filtered.

    `Dataset.add_column` first writes a shuffled dataset anew, row by row. Here the new columns are stored in the order of
    the old ones. Rows that occur twice leave no other way.
    """
    order, size = row_order(dataset), len(dataset.data)
    if order is not None and _distinct(order, size):
        scattered = {name: _scattered(values, order, size) for name, values in columns.items()}
        whole = datasets.Dataset(dataset.data, info=dataset.info.copy(), fingerprint=dataset._fingerprint)
        added = _added(whole, scattered)
        found = datasets.Dataset(
            added.data,
            info=added.info,
            split=dataset.split,
            indices_table=dataset._indices,
            fingerprint=added._fingerprint,
        )
    else:
        found = _added(dataset.with_format(None), columns)
    shown = dataset.format["columns"]
    return found.with_format(dataset.format["type"], columns=[*shown, *columns], **dataset.format["format_kwargs"])


def _distinct(order: np.ndarray, size: int) -> bool:
    """Whether no row occurs twice."""
    taken = np.zeros(size, dtype=bool)
    taken[order] = True
    return int(taken.sum()) == len(order)


def _scattered(values: np.ndarray, order: np.ndarray, size: int) -> np.ndarray:
    """(size, ...) row k of `values` at place `order[k]`."""
    stored = np.full((size, *values.shape[1:]), _NO_ROW[values.dtype.kind], dtype=values.dtype)
    stored[order] = values
    return stored


def _added(dataset: datasets.Dataset, columns: Mapping[str, np.ndarray]) -> datasets.Dataset:
    for name, values in columns.items():
        dataset = dataset.add_column(name, values if values.ndim == 1 else lists_of(values))
    return dataset


def dataset_of(columns: Mapping[str, Any]) -> datasets.Dataset:
    """A dataset of arrays, (rows,) or (rows, width), as `Dataset.from_dict` makes it, but with no Python object a row.

    >>> dataset_of({"index": np.arange(2), "weight": np.ones((2, 3), dtype=np.float32)})[1]
    {'index': 1, 'weight': [1.0, 1.0, 1.0]}
    """
    table = pa.table({name: _as_column(values) for name, values in columns.items()})
    # or `datasets` would read all of it for a name
    return datasets.Dataset(InMemoryTable(table), fingerprint=generate_random_fingerprint())


def _as_column(values: Any) -> Any:
    if not isinstance(values, np.ndarray):
        return values
    return pa.array(values) if values.ndim == 1 else lists_of(values) if values.ndim == 2 else values.tolist()


def lists_of(values: np.ndarray) -> pa.Array:
    """(rows, width) as a column of lists, without a Python object a row."""
    offsets = np.arange(0, values.size + 1, values.shape[1], dtype=np.int32)
    return pa.ListArray.from_arrays(offsets, np.ascontiguousarray(values).ravel())
