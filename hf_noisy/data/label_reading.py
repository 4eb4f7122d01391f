"""Reads a column of labels of any form from a dataset: ids, names or soft labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import torch

from hf_noisy.data.columns import cells_of, is_list_type, list_table, stored_column
from hf_noisy.data.label_encoding import IGNORED, check_hard, one_hot, refuse_label


def read_column(dataset: Any, column: str, classes: int, where: str) -> np.ndarray:
    """Read a column of labels, (rows,) or (rows, classes). A missing id becomes -100, a missing soft label zeros."""
    if not isinstance(dataset, datasets.Dataset):
        return _stack(cells_of(dataset, column, where), classes, where)
    stored = stored_column(dataset, column)
    if is_list_type(stored.type):
        rows = list_table(stored, classes)
        return rows if rows is not None and rows.dtype.kind == "f" else _stack(stored.to_pylist(), classes, where)
    whole = pa.types.is_integer(stored.type)
    if stored.null_count and (whole or pa.types.is_floating(stored.type)):
        stored = stored.cast(pa.int64() if whole else pa.float64()).fill_null(IGNORED)
    if whole or pa.types.is_floating(stored.type):
        return np.asarray(stored)
    return np.asarray(dataset.with_format("numpy")[column][:])


def _stack(values: Sequence[Any], classes: int, where: str) -> np.ndarray:
    """Stack labels into one array. If some are soft, ids become one-hot rows and missing labels rows of zeros."""
    forms = [form_of(value) for value in values]
    first = next((form for form in forms if form), "id")
    fitting = {"name": ("name",), "id": ("id", "row"), "row": ("id", "row")}
    for row, form in enumerate(forms):
        if form == "other" or (form and form not in fitting[first]):
            fix = "Unwrap the list." if np.shape(values[row]) == (1,) else "Give every row a label of one form."
            refuse_label(where, row, values[row], classes, fix)
    if first == "name":
        return np.array(["" if value is None else str(value) for value in values], dtype=object)
    if "row" not in forms:
        return np.array([IGNORED if value is None else value for value in values])
    ids = np.array([value if form == "id" else IGNORED for value, form in zip(values, forms, strict=True)])
    rows = np.asarray(one_hot(torch.from_numpy(check_hard(ids, classes, where)), classes), dtype=np.float64)
    vectors = {row: np.asarray(values[row]) for row, form in enumerate(forms) if form == "row"}
    widths = {len(vector) for vector in vectors.values()}
    if len(vectors) == len(rows) and len(widths) == 1:
        return np.stack(list(vectors.values()))
    for row, vector in vectors.items():
        if len(vector) != classes:
            refuse_label(where, row, values[row], classes, "Give every row a label of one form.")
        rows[row] = vector
    return rows


def form_of(value: Any) -> str:
    """Return the form of a label: "id", "name", "row" (of probabilities), "other", or "" if it is missing."""
    if value is None or isinstance(value, str):
        return "" if value is None else "name"
    try:
        array = np.asarray(value)
    except ValueError:  # lists of different lengths
        return "other"
    if array.dtype.kind == "U" and array.ndim == 0:
        return "name"
    numeric = array.dtype.kind in "iufb" and array.shape not in ((0,), (1,))
    return {0: "id", 1: "row"}.get(array.ndim, "other") if numeric else "other"
