"""Reads tables of texts and labels (CSV, JSON, Parquet, `datasets`) and finds the classes of their labels."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_noisy.common.checks import nearest
from hf_noisy.data.columns import LABEL_COLUMNS

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True)
class Table:
    """Columns of plain Python values, and the name of their origin for errors."""

    where: str
    rows: int
    columns: Mapping[str, Sequence[Any]]
    class_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # for columns of a ClassLabel

    def column(self, name: str) -> Sequence[Any]:
        """Return the cells of a column. They are all None if the table has no such column."""
        return self.columns.get(name, [None] * self.rows)

    @property
    def ids(self) -> list[str]:
        """The cells of the column `id`, or the row numbers if there is no such column."""
        return [str(row_id) for row_id in self.columns.get("id", range(self.rows))]

    def row(self, number: int) -> str:
        """Return the name of a row for errors."""
        row_id = self.columns["id"][number] if "id" in self.columns else number
        return f"{self.where}, row {str(row_id)!r}"


@dataclass(frozen=True)
class Columns:
    """The names of the columns of texts, labels, votes and gold labels."""

    text: str
    label: str | None = None
    votes: Sequence[str] | None = None
    gold: str | None = None
    text_pair: str | None = None  # checked by `hf_noisy.data.pairs.check_pair_columns`

    def __post_init__(self) -> None:
        if self.label is not None and self.votes is not None:
            raise ValueError(
                f"label_column={self.label!r} and votes_columns={self.votes!r}: expected one of the two. "
                "Use label_column for one source, votes_columns for several."
            )
        if isinstance(self.votes, str) or (self.votes is not None and not self.votes):
            raise ValueError(f"votes_columns={self.votes!r}: expected a list of at least one column name.")

    def check(self, tables: Mapping[str, Table]) -> list[str]:
        """Return the columns of votes, by default the first of `LABEL_COLUMNS` that exists. Raise if one is missing.

        Every table needs the text column, and `train` the columns of votes. One table with the gold column is enough.
        """
        train = tables["train"]
        usual = [name for name in LABEL_COLUMNS if name in train.columns and name not in (self.text, self.gold)]
        sources = list(self.votes or ([self.label] if self.label is not None else usual[:1]))
        if not sources:
            raise ValueError(
                f"{train.where}: has no column {' or '.join(LABEL_COLUMNS)}, and its columns are {', '.join(train.columns)}. "
                "Name the untrusted labels with label_column, or several sources with votes_columns"
                f"{'' if self.text in train.columns else ', and the texts with text_column'}."
            )
        for table in tables.values():
            _check_column(table.where, self.text, table.columns, "text_column")
        for source in sources:
            _check_column(train.where, source, train.columns, "label_column" if self.votes is None else "votes_columns")
        if self.gold is not None and not any(self.gold in table.columns for table in tables.values()):
            _check_column(train.where, self.gold, train.columns, "gold_column")
        return sources


@dataclass(frozen=True)
class Classes:
    """The class names, and a mapping from every spelling of a class in the data to its id."""

    names: tuple[str, ...]
    numbers: Mapping[Any, int]

    def encode(self, table: Table, column: str) -> list[int]:
        """Return the class id of each cell, -1 where it is empty."""
        return [self._encode(table, column, number, cell) for number, cell in enumerate(table.column(column))]

    def _encode(self, table: Table, column: str, number: int, cell: Any) -> int:
        value = _normalized(cell)
        if value is None:
            return -1
        if not isinstance(value, int | str) or value not in self.numbers:
            raise ValueError(
                f"{table.row(number)}: {column} is {cell!r}: expected a class from 0 to {len(self.names) - 1} or its "
                f"name, or -1 to abstain. {nearest(str(cell), self.names)}"
            )
        return self.numbers[value]


def find_classes(tables: Sequence[Table], columns: Sequence[str]) -> Classes:
    """Return the classes of all label columns: the names of a ClassLabel, else the sorted values.

    Raises:
        ValueError: two ClassLabels differ, there are fewer than two classes, words are mixed with numbers, or a value
            is neither.
    """
    named = {table.class_names[column] for table in tables for column in columns if column in table.class_names}
    if len(named) > 1:
        raise ValueError(f"the label columns name different classes: {sorted(named)}. Cast them to one ClassLabel.")
    if named:
        names = named.pop()
        return Classes(names, {**{name: k for k, name in enumerate(names)}, **{k: k for k in range(len(names))}})
    values = _sorted_values(_label_values(tables, columns))
    if len(values) < 2:
        where = f"{tables[0].where}, {', '.join(columns)}"
        found = f"all labels are {values[0]!r}" if values else "no row has a label"
        raise ValueError(f"{where}: {found}: expected two classes or more. Check that label_column names the labels.")
    return Classes(tuple(map(str, values)), {value: number for number, value in enumerate(values)})


def read_table(path: Path) -> Table:
    """Reads a .csv, .jsonl, .json (a list of objects) or .parquet file.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: the file has another ending, or its content does not match its ending. JSON errors give the line.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{str(path)!r}: no such file, seen from {os.getcwd()}. Check the path.")
    ending = path.suffix.lower()
    if ending not in READERS:
        raise ValueError(f"{path}: cannot read {ending!r}. {nearest(ending, READERS)}")
    return READERS[ending](path)


def table_of_dataset(where: str, dataset: Dataset) -> Table:
    """Converts a `datasets.Dataset` to a table. Its ClassLabels give the class names."""
    from datasets import ClassLabel

    names = {key: tuple(feature.names) for key, feature in dataset.features.items() if isinstance(feature, ClassLabel)}
    plain = dataset.with_format(None)
    return Table(where, len(plain), {column: plain[column][:] for column in plain.column_names}, names)


def read_json(path: Path) -> Any:
    """Reads a JSON file. An error gives the line and column."""
    return _parse_json(str(path), _read_text(path))


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not in UTF-8: {error}. Save it in that encoding.") from error


def _parse_json(where: str, text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{where}: not JSON: {error}") from error  # the error gives line and column


def _read_csv(path: Path) -> Table:
    import pandas

    try:
        frame = pandas.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except pandas.errors.EmptyDataError as error:
        raise ValueError(f"{path}: the file is empty: expected a header and a line for each row.") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not in UTF-8 ({error}). Save the file in that encoding.") from error
    except pandas.errors.ParserError as error:
        raise ValueError(f"{path}: not a table of comma-separated values: {error}") from error
    if len(frame.columns) == 1 and (mark := next((mark for mark in ";\t|" if mark in frame.columns[0]), None)):
        raise ValueError(
            f"{path}: its columns are separated by {mark!r}: expected commas. Save it so, or as JSONL or Parquet."
        )
    if not isinstance(frame.index, pandas.RangeIndex):
        raise ValueError(f"{path}: rows have more cells than the header has names. Put text with commas in quotes.")
    return Table(str(path), len(frame), {column: frame[column].tolist() for column in frame.columns})


def _read_lines(path: Path) -> Table:
    lines = enumerate(_read_text(path).split("\n"), start=1)
    return _table_of_rows(path, [_parse_json(f"{path}, line {n}", line) for n, line in lines if line.strip()])


def _read_list(path: Path) -> Table:
    return _table_of_rows(path, read_json(path))


def _table_of_rows(path: Path, rows: Any) -> Table:
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError(f"{path}: expected a list of objects (or one object a line, in a file that ends in .jsonl).")
    columns = dict.fromkeys(key for row in rows for key in row)
    return Table(str(path), len(rows), {column: [row.get(column) for row in rows] for column in columns})


def _read_parquet(path: Path) -> Table:
    import pyarrow.parquet
    from datasets import Dataset

    try:
        table = pyarrow.parquet.read_table(path)
    except pyarrow.ArrowInvalid as error:
        raise ValueError(f"{path}: not a parquet file: {error}") from error
    return table_of_dataset(str(path), Dataset(table))  # keeps the ClassLabels that datasets writes into the file


READERS: dict[str, Callable[[Path], Table]] = {
    ".csv": _read_csv,
    ".jsonl": _read_lines,
    ".json": _read_list,
    ".parquet": _read_parquet,
}


def _check_column(where: str, column: str, known: Mapping[str, Any], option: str) -> None:
    if column not in known:
        raise ValueError(f"{where}: no column {column!r}. {nearest(column, known)} Name it with {option}.")


def _normalized(cell: Any) -> Any:
    """Return the normalized value of a label cell, or None where it abstains."""
    if cell is None or cell != cell:  # NaN is not itself
        return None
    if isinstance(cell, bool):
        return str(cell)
    if isinstance(cell, str):
        cell = cell.strip()
    elif isinstance(cell, float) and cell.is_integer():
        cell = int(cell)  # pandas and parquet store integers with missing values as floats
    return None if cell in ("", "-1", -1) else cell


def _label_values(tables: Sequence[Table], columns: Sequence[str]) -> set[Any]:
    values: dict[Any, str] = {}  # value -> its first occurrence, for errors
    for table in tables:
        for column in columns:
            for number, cell in enumerate(table.column(column)):
                value = _normalized(cell)
                if value is None or (isinstance(value, int | str) and value in values):
                    continue
                if not isinstance(value, int | str) or re.fullmatch(r"-\d+", str(value)):
                    raise ValueError(
                        f"{table.row(number)}: {column} is {cell!r}: expected a word or a whole number >= 0; "
                        "-1, None or an empty cell abstains."
                    )
                values[value] = f"{table.row(number)}: {column} is {cell!r}"
    kinds = {type(value): place for value, place in values.items()}
    if len(kinds) > 1:
        raise ValueError(f"words and numbers are mixed: {'; '.join(kinds.values())}. Write all labels in one way.")
    return set(values)


def _sorted_values(values: set[Any]) -> list[Any]:
    """Sort numbers by size, also if they are strings from a CSV file, and words alphabetically."""
    spelled = all(isinstance(value, str) and value.isdecimal() for value in values)
    return sorted(values, key=int) if spelled else sorted(values)
