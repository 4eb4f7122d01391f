"""Reading and adding stored columns of a dataset, and the names of the columns that this package uses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets.fingerprint import generate_random_fingerprint
from datasets.table import InMemoryTable

LABEL_COLUMNS = ("labels", "label", "label_ids")  # the first of these that exists holds the labels
ROW = "hf_noisy_row"  # the number of a row, in batches; no model has an input of that name
VOTES = "weak_labels"


def columns_of(dataset: Any) -> list[str]:
    """Return the columns of a `datasets.Dataset`, or the keys of the first row of any other dataset."""
    if isinstance(dataset, datasets.Dataset):
        return list(dataset.column_names)
    first = dataset[0]
    if not isinstance(first, Mapping):
        raise TypeError(
            f"the dataset yields {type(first).__name__}: expected dictionaries such as a tokenizer's output."
        )
    return list(first)


def cells_of(dataset: Any, column: str, where: str) -> list[Any]:
    """Return a column of a list-like dataset as a list."""
    cells = []
    for row in range(len(dataset)):
        item = dataset[row]
        if column not in item:
            found = ", ".join(str(name) for name in item if name != ROW)
            raise ValueError(
                f"{where}, row {row}: has {found} and no {column!r}: expected the same keys in every "
                "row. Write None where there is no label, -1 where a source abstains."
            )
        cells.append(item[column])
    return cells


def is_list_type(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def list_table(stored: pa.Array, width: int) -> np.ndarray | None:
    """Convert a column of lists to a (rows, width) array, without one Python object per row.

    Returns None if the column holds no lists, a list of another length, or a missing value.
    """
    if not is_list_type(stored.type) or stored.flatten().null_count:
        return None
    lengths = np.asarray(pc.list_value_length(stored).fill_null(-1))
    return None if (lengths != width).any() else np.asarray(stored.flatten()).reshape(len(stored), width)


_FILL_VALUES = {"i": -100, "f": 0.0, "u": 0, "b": False}  # stored in rows that a filter left out; never read


def stored_column(dataset: datasets.Dataset, column: str) -> pa.Array:
    """Return a column (rows,) in row order, regardless of the dataset's format or transform.

    A shuffled or filtered dataset is read as a whole and then reordered. This is far faster than reading it row by row.
    """
    stored = dataset.data.column(column)
    order = row_order(dataset)
    if order is not None:
        stored = stored.take(pa.array(order))
    return stored.combine_chunks()


def row_order(dataset: datasets.Dataset) -> np.ndarray | None:
    """Return the index (rows,) of the stored row behind each row, or None if rows are stored in row order."""
    return None if dataset._indices is None else np.asarray(dataset._indices.column(0)).astype(np.int64)


def with_columns(dataset: datasets.Dataset, columns: Mapping[str, np.ndarray]) -> datasets.Dataset:
    """Add columns, (rows,) or (rows, width), to a dataset without copying its own columns.

    `Dataset.add_column` first rewrites a shuffled or filtered dataset, row by row. This function stores the new columns
    in the order of the stored ones instead. If a row occurs twice, it has to use `Dataset.add_column`.
    """
    order, size = row_order(dataset), len(dataset.data)
    if order is not None and _distinct(order, size):
        in_stored_order = {name: _in_stored_order(values, order, size) for name, values in columns.items()}
        whole = datasets.Dataset(dataset.data, info=dataset.info.copy(), fingerprint=dataset._fingerprint)
        added = _add_columns(whole, in_stored_order)
        found = datasets.Dataset(
            added.data,
            info=added.info,
            split=dataset.split,
            indices_table=dataset._indices,
            fingerprint=added._fingerprint,
        )
    else:
        found = _add_columns(dataset.with_format(None), columns)
    shown = dataset.format["columns"]
    return found.with_format(dataset.format["type"], columns=[*shown, *columns], **dataset.format["format_kwargs"])


def _distinct(order: np.ndarray, size: int) -> bool:
    """Whether no row occurs twice."""
    present = np.zeros(size, dtype=bool)
    present[order] = True
    return int(present.sum()) == len(order)


def _in_stored_order(values: np.ndarray, order: np.ndarray, size: int) -> np.ndarray:
    """Return a (size, ...) array with row k of `values` at position `order[k]`."""
    stored = np.full((size, *values.shape[1:]), _FILL_VALUES[values.dtype.kind], dtype=values.dtype)
    stored[order] = values
    return stored


def _add_columns(dataset: datasets.Dataset, columns: Mapping[str, np.ndarray]) -> datasets.Dataset:
    for name, values in columns.items():
        dataset = dataset.add_column(name, values if values.ndim == 1 else lists_of(values))
    return dataset


def dataset_of(columns: Mapping[str, Any]) -> datasets.Dataset:
    """Build a dataset of arrays, (rows,) or (rows, width), like `Dataset.from_dict` but without Python objects per row.

    >>> dataset_of({"index": np.arange(2), "weight": np.ones((2, 3), dtype=np.float32)})[1]
    {'index': 1, 'weight': [1.0, 1.0, 1.0]}
    """
    table = pa.table({name: _as_column(values) for name, values in columns.items()})
    # without a fingerprint, `datasets` would read all data to compute one
    return datasets.Dataset(InMemoryTable(table), fingerprint=generate_random_fingerprint())


def _as_column(values: Any) -> Any:
    if not isinstance(values, np.ndarray):
        return values
    return pa.array(values) if values.ndim == 1 else lists_of(values) if values.ndim == 2 else values.tolist()


def lists_of(values: np.ndarray) -> pa.Array:
    """Convert a (rows, width) array to a column of lists, without one Python object per row."""
    offsets = np.arange(0, values.size + 1, values.shape[1], dtype=np.int32)
    return pa.ListArray.from_arrays(offsets, np.ascontiguousarray(values).ravel())
