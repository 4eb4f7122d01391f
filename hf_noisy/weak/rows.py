"""A row as labeling functions of Snorkel know it from `PandasLFApplier`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas
    from datasets import Dataset


class Row(SimpleNamespace):
    """The cells of one row, read as `x.text`, `x["text"]` or `x.get("text")`, like those of a pandas Series.

    >>> row = Row(text="see http://a.b", stars=4)
    >>> row.text == row["text"] == row.get("text"), row.get("title", "none"), "stars" in row
    (True, 'none', True)
    """

    def __getitem__(self, name: str) -> Any:
        return self.__dict__[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self.__dict__[name] = value

    def __contains__(self, name: object) -> bool:
        return name in self.__dict__

    def __iter__(self) -> Iterator[Any]:
        return iter(self.__dict__.values())

    def __len__(self) -> int:
        return len(self.__dict__)

    def get(self, name: str, default: Any = None) -> Any:
        """Return a cell, or `default` if there is no such column."""
        return self.__dict__.get(name, default)

    def keys(self) -> Sequence[str]:
        """Return the names of the columns."""
        return list(self.__dict__)

    def items(self) -> Sequence[tuple[str, Any]]:
        """Return name and cell of each column."""
        return list(self.__dict__.items())

    def to_dict(self) -> dict[str, Any]:
        """Return the cells by the names of their columns."""
        return dict(self.__dict__)


def float_columns(dataset: Dataset) -> frozenset[str]:
    """Return the columns of whole numbers whose cells pandas gives as floats.

    They are those with a missing cell anywhere, and all of them if there are only numbers of both kinds.
    """
    import pyarrow as pa
    from datasets import Value

    kinds = {name: feature.pa_type for name, feature in dataset.features.items() if isinstance(feature, Value)}
    whole = [name for name, kind in kinds.items() if pa.types.is_integer(kind)]
    if not whole:
        return frozenset()
    floats = [name for name, kind in kinds.items() if pa.types.is_floating(kind)]
    missing = _with_missing(dataset, whole)
    only_numbers = len(whole) + len(floats) == len(dataset.column_names)
    return frozenset(whole if only_numbers and (floats or missing) else missing)


def _with_missing(dataset: Dataset, names: Sequence[str]) -> list[str]:
    """Return the columns of which some row has no cell."""
    table = dataset.with_format("arrow").select_columns(list(names))
    if not any(table.data.column(name).null_count for name in names):
        return []
    columns = table[:]
    return [name for name in names if columns.column(name).null_count]


def rows_of_frame(frame: pandas.DataFrame, floats: frozenset[str]) -> list[Row]:
    """Return the rows of a batch with the cells that pandas gives, as Python scalars.

    Args:
        frame: the batch.
        floats: `float_columns` of the whole dataset, since a batch may have no missing cell.
    """
    columns: Mapping[str, list[Any]] = {
        name: frame[name].astype(float).tolist() if name in floats else frame[name].tolist() for name in frame.columns
    }
    names = list(columns)
    return [Row(**dict(zip(names, cells, strict=True))) for cells in zip(*columns.values(), strict=True)]
