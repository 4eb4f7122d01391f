"""The rows that labeling functions see: a pandas Series to the function, a namespace in speed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset, DatasetInfo, Features


class Row(SimpleNamespace):
    """One example, which a function reads as it reads a row of a DataFrame.

    The columns are the namespace, so that `x.text` costs what it costs in plain Python, and so that Snorkel's
    memoisation reads them. What else a Series can do is done by a Series that is made for it. As in pandas, a name of
    a Series hides a column of that name: `x.name` is the row number, and `x["name"]` the column.

    >>> row = rows_of(pa.table({"text": ["a song"], "name": ["Ann"]}), [7])[0]
    >>> row.text, row["text"], row.get("title"), row.name, row["name"], row.isna().any()
    ('a song', 'a song', None, 7, 'Ann', np.False_)
    """

    __slots__ = ("__dtype", "__hiding", "__number")  # two underscores: no column has such a name

    def __getitem__(self, key: Any) -> Any:
        try:
            return self.__dict__[key]
        except (KeyError, TypeError):  # a list, a slice, a mask; or the KeyError of pandas
            return series_of(self)[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        if isinstance(key, str):
            self.__dict__[key] = value
            _set_dtype(self, object)
        else:
            _change(self, lambda series: series.__setitem__(key, value))

    def __delitem__(self, key: str) -> None:
        del self.__dict__[key]

    @property
    def get(self) -> Callable[..., Any]:
        return self.__dict__.get

    def __setattr__(self, name: str, value: Any) -> None:
        _set_dtype(self, object)
        object.__setattr__(self, name, value)

    def __contains__(self, key: Any) -> bool:
        return key in self.__dict__

    def __len__(self) -> int:
        return len(self.__dict__)

    def __reduce__(self) -> tuple[Any, ...]:  # a preprocessor reads a pickled copy of the row
        return _row, (self.__dict__, _number(self), _dtype(self), _hiding(self))


# What a row knows besides its columns: its number, the type of the Series, and the attributes that a function wrote over
# methods of a Series. Read and written past `__setattr__`, which would take half of the time.
_SLOTS = [vars(Row)[f"_Row{name}"] for name in Row.__slots__]
_dtype, _hiding, _number = (slot.__get__ for slot in _SLOTS)
_set_dtype, _set_hiding, _set_number = (slot.__set__ for slot in _SLOTS)


def _row(values: dict[str, Any], number: Any, dtype: Any, hiding: frozenset[str] = frozenset()) -> Row:
    row = Row(**values)
    _set_dtype(row, dtype)
    _set_hiding(row, hiding)
    _set_number(row, number)
    return row


def series_of(row: Row) -> pd.Series:
    """A Series of the row's values, as `DataFrame.apply` passes it to a function. Writing to it leaves the row as it is."""
    values = vars(row)
    return pd.Series(list(values.values()), index=list(values), name=_number(row), dtype=_dtype(row))


def _change(row: Row, write: Callable[[pd.Series], Any]) -> None:
    series = series_of(row)
    write(series)
    vars(row).clear()
    vars(row).update(zip(series.index, series.array, strict=True))
    _set_dtype(row, series.dtype)


class _OfSeries:
    """An attribute of a Series. It goes before a column of its name, so it is a descriptor that can be written to."""

    def __init__(self, name: str, read: Callable[[Row], Any] | None = None) -> None:
        self.name = name
        self.read = read or (lambda row: getattr(series_of(row), name))

    def __get__(self, row: Row | None, _: type[Row] | None = None) -> Any:
        if row is None:
            return self
        return vars(row)[self.name] if self.name in _hiding(row) else self.read(row)

    def __set__(self, row: Row, value: Any) -> None:
        if self.name == "name":
            _set_number(row, value)
        elif hasattr(getattr(pd.Series, self.name), "__set__"):
            raise AttributeError(
                f"{self.name!r} is a property of a pandas Series: expected another name. "
                f"Write x[{self.name!r}] = ... for a column of that name."
            )
        else:
            vars(row)[self.name] = value
            _set_hiding(row, _hiding(row) | {self.name})


class _Indexer:
    """`x.loc` and its like, which can also be written to."""

    def __init__(self, name: str, row: Row) -> None:
        self.row, self.name = row, name

    def __getitem__(self, key: Any) -> Any:
        return getattr(series_of(self.row), self.name)[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        _change(self.row, lambda series: getattr(series, self.name).__setitem__(key, value))


# What is faster than a Series, or writes to the row. All else is read from a Series.
_OWN: dict[str, Callable[[Row], Any]] = {
    "name": _number,
    "pop": lambda row: vars(row).pop,
    "update": lambda row: lambda other: _change(row, lambda series: series.update(other)),
    **{name: partial(_Indexer, name) for name in ("at", "iat", "iloc", "loc")},
}
_OPERATORS = {"__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__", "__repr__", "__str__"}
_OF_EVERY_OBJECT = {*dir(SimpleNamespace), "__annotations__", "__copy__", "__deepcopy__", "__getattr__", "__setstate__"}
for _name in (set(dir(pd.Series)) - _OF_EVERY_OBJECT | _OPERATORS) - set(vars(Row)):
    setattr(Row, _name, _OfSeries(_name, _OWN.get(_name)))


def rows_of(
    table: pa.Table, numbers: Sequence[int], features: Features | None = None, missing: pa.Table | None = None
) -> list[Row]:
    """The rows of a part of a dataset, with the values that `Dataset.to_pandas` of the whole gives.

    Args:
        table: rows of the dataset.
        numbers: (rows,) the number of each in the dataset.
        features: those of the dataset.
        missing: what `rows_with_missing` of the whole dataset returns. One missing number makes its column floats.
    """
    frame = _frame(pa.concat_tables([missing, table]) if missing else table, features).iloc[-len(numbers) :]
    dtype = frame.iloc[0].dtype  # one for all columns, as `DataFrame.apply` has it
    numeric = isinstance(dtype, np.dtype) and dtype.kind in "biufc"
    rows = map(list, frame.to_numpy()) if numeric else frame.astype(object).to_numpy().tolist()
    names = list(frame)
    return [_row(dict(zip(names, row)), number, dtype) for number, row in zip(numbers, rows, strict=True)]  # noqa: B905


def _frame(table: pa.Table, features: Features | None) -> pd.DataFrame:
    if "Json(" in repr(features):  # datasets decodes these; for all others its way takes twice the time
        return Dataset(table, DatasetInfo(features=features), fingerprint="rows").to_pandas()
    for place, cells in enumerate(table.columns):
        if isinstance(cells.type, pa.ExtensionType):  # Array2D and its like, of which pandas 3 makes no rows
            table = table.set_column(place, table.column_names[place], cells.cast(cells.type.storage_type))
    return table.to_pandas(use_threads=False)  # a batch is small


def rows_with_missing(dataset: Dataset) -> pa.Table:
    """For every column with missing values, in cells or inside lists, the first row that has one. Often no row."""
    found: dict[tuple[str, int], int] = {}
    names = [name for name in dataset.column_names if _any_missing(dataset.data.column(name))]
    table = dataset.select_columns(names).with_format("arrow")  # filtered and shuffled ones are slow to read
    for start in range(0, len(dataset), 10_000) if names else ():
        part = table[start : start + 10_000]
        for name in names:
            for depth, row in _first_missing(part.column(name)):
                found.setdefault((name, depth), start + row)
    return dataset.with_format("arrow")[sorted(set(found.values()))]


def _any_missing(cells: pa.ChunkedArray) -> bool:
    return cells.null_count > 0 or (_is_list(cells.type) and _any_missing(pc.list_flatten(cells)))


def _first_missing(cells: pa.ChunkedArray) -> Iterator[tuple[int, int]]:
    # (depth, row): depth 0 is a missing cell, depth 1 a missing element of a list, depth 2 one in a list of lists
    depth, rows = 0, np.arange(len(cells))
    while True:
        if cells.null_count:
            yield depth, int(rows[pc.index(pc.is_null(cells), True).as_py()])
        if not _is_list(cells.type):
            return
        depth, rows, cells = depth + 1, rows[pc.list_parent_indices(cells)], pc.list_flatten(cells)


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
