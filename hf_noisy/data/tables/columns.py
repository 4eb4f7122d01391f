"""Which columns of a table hold the texts, the labels, the true labels and the ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hf_noisy.common.checks import nearest
from hf_noisy.data.columns import LABEL_COLUMNS
from hf_noisy.data.pairs import check_pair_columns, label_columns_of
from hf_noisy.data.reading.dialects import tidy
from hf_noisy.data.reading.options import listed
from hf_noisy.data.reading.table import Table, cells

CLASS_COLUMNS = "class_columns"  # the name of a label column that is made from one column a class
_TEXT_NAMES = [
    "text",
    "sentence",
    "review",
    "comment",
    "tweet",
    "message",
    "content",
    "body",
    "document",
    "utterance",
    "title",
]


@dataclass(frozen=True)
class Columns:
    """The names of the columns of texts, labels, votes, gold labels and ids, as a caller asks for them."""

    text: str = "text"
    label: str | None = None
    votes: Sequence[str] | None = None
    gold: str | None = None
    id: str = "id"
    classes: Sequence[str] | None = None
    pair: str | None = None

    def __post_init__(self) -> None:
        given = {"label_column": self.label, "votes_columns": self.votes, "class_columns": self.classes}
        named = [f"{name}={value!r}" for name, value in given.items() if value is not None]
        if len(named) > 1:
            raise ValueError(
                f"{' and '.join(named)}: expected one of them. Use label_column for one source, votes_columns for several, "
                "class_columns for one column a class."
            )
        if isinstance(self.votes, str) or (self.votes is not None and not self.votes):
            raise ValueError(f"votes_columns={self.votes!r}: expected a list of at least one column name.")
        if self.classes is not None and (isinstance(self.classes, str) or len(self.classes) < 2):
            raise ValueError(
                f"class_columns={self.classes!r}: expected a list of at least two column names, one a class."
            )

    @property
    def named(self) -> frozenset[str]:
        """The names that the caller asks for."""
        single = (self.text, self.pair, self.label, self.gold, self.id)
        return frozenset(name for name in (*single, *(self.votes or ()), *(self.classes or ())) if name)

    def find(self, tables: Mapping[str, Table]) -> tuple[dict[str, Table], list[str]]:
        """Return the tables with the columns under the names that were asked for, and the columns of labels.

        A name fits also in other capitals or with spaces around it. The labels are by default the first of
        `LABEL_COLUMNS` that exists; without one, the columns of 0, 1 and probabilities that sum to 1 in every row, a
        column a class. Every table needs the texts, and `train` the labels. One table with the gold column is enough.

        Raises:
            ValueError: a column does not exist. The message names those that do.
        """
        found = {split: self._renamed(table) for split, table in tables.items()}
        train = found["train"]
        for table in found.values():
            known = list(table.columns)
            labels = label_columns_of(list(train.columns), self.text, self.label, self.votes, self.gold)
            labels |= {"class_columns": list(self.classes or ())}
            check_pair_columns(table.where, known, self.text, self.pair, labels)
            self._check(table, self.text, "text_column")
        usual = [name for name in LABEL_COLUMNS if name in train.columns and name not in (self.text, self.gold)]
        sources = list(self.votes or ([self.label] if self.label is not None else usual[:1]))
        classes = list(self.classes or ())
        if not sources and not classes:
            classes = self._one_hot(train)
            if not classes:
                raise ValueError(
                    f"{train.where}: has no column {' or '.join(LABEL_COLUMNS)}, and its columns are {listed(train.columns)}. Name "
                    "the untrusted labels with label_column, or several sources with votes_columns."
                )
            note = f"labels from the columns {listed(classes)}, one a class"
            found["train"] = train = train.with_notes(note)
        for name in classes:
            self._check(train, name, "class_columns")
        if classes:
            found = {split: _with_class_column(table, classes) for split, table in found.items()}
            sources = [CLASS_COLUMNS]
            train = found["train"]
        for source in sources:
            self._check(train, source, "label_column" if self.votes is None else "votes_columns")
        if self.gold is not None and not any(self.gold in table.columns for table in found.values()):
            self._check(train, self.gold, "gold_column")
        return found, sources

    def _renamed(self, table: Table) -> Table:
        """Return the table with columns that differ from a wanted name only in capitals and spaces under that name."""
        wanted = [*self.named, *(LABEL_COLUMNS if self.label is None and not self.votes and not self.classes else ())]
        names = {}
        for name in wanted:
            if name in table.columns:
                continue
            close = [column for column in table.columns if tidy(column) == tidy(name) and column not in wanted]
            if len(close) == 1:
                names[close[0]] = name
        if not names:
            return table
        columns = {names.get(name, name): column for name, column in table.columns.items()}
        class_names = {names.get(name, name): known for name, known in table.class_names.items()}
        note = ", ".join(f"{column!r} is {name}" for column, name in names.items())
        return replace(table, columns=columns, class_names=class_names).with_notes(f"columns: {note}")

    def _check(self, table: Table, column: str, option: str) -> None:
        if column in table.columns:
            return
        hint = ""
        if option == "text_column":
            texts = [name for name in table.columns if tidy(name) in _TEXT_NAMES and tidy(name) != "text"]
            hint = f" The texts may be in {texts[0]!r}." if texts else ""
            if (
                self.label is None
                and not self.votes
                and not self.classes
                and not set(LABEL_COLUMNS) & set(table.columns)
            ):
                hint += " Its labels are in no column label: name it with label_column, or several sources with votes_columns."
        if len(table.columns) == 1 and any(mark in next(iter(table.columns)) for mark in ",;|\t "):
            hint += " It has one column only: name the separator with separator= if there are more."
        raise ValueError(
            f"{table.where}: no column {column!r}. {nearest(column, table.columns)} Name it with {option}.{hint}"
        )

    def _one_hot(self, table: Table) -> list[str]:
        """Return the columns that are shares of classes: 0 and 1, or probabilities, with a sum of 1 in every row."""
        others = [name for name in table.columns if name not in (self.text, self.pair, self.gold, self.id)]
        numeric = []
        for name in others:
            values = _numbers(table.columns[name])
            if values is not None and len(values) and ((values >= 0) & (values <= 1)).all():
                numeric.append((name, values))
        if len(numeric) < 2:
            return []
        total = np.sum([values for _, values in numeric], axis=0)
        fits = (np.abs(total - 1) < 1e-3) | (total == 0)
        return [name for name, _ in numeric] if fits.all() and (total > 0).any() else []


def _numbers(column: Any) -> np.ndarray | None:
    """Return a column as (rows,) float64, a missing cell as 0; None if it does not hold numbers."""
    if isinstance(column, list):
        return None
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = pc.if_else(pc.equal(column, ""), pa.scalar(None, column.type), column)
    try:
        return np.nan_to_num(column.cast(pa.float64()).to_numpy().astype(float))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None


def _with_class_column(table: Table, classes: Sequence[str]) -> Table:
    """Add a label column that is made from one column a class."""
    held = [name for name in classes if name in table.columns]
    if not held:
        return table
    columns = []
    for name in classes:
        values = _numbers(table.column(name)) if name in table.columns else np.zeros(table.rows)
        if values is None:
            shown = cells(table.columns[name], [0])[0]
            raise ValueError(
                f"{table.row(0)}: {name} is {shown!r}: expected 0, 1 or a probability in a column of class_columns."
            )
        columns.append(values)
    shares = np.stack(columns, axis=1)
    total = shares.sum(1)
    wrong = np.flatnonzero((np.abs(total - 1) > 1e-3) & (total != 0) | (shares < 0).any(1))
    if len(wrong):
        raise ValueError(
            f"{table.row(int(wrong[0]))}: {', '.join(classes)} are {shares[wrong[0]].tolist()}: expected a sum of 1, or of 0 where there "
            "is no label. Several classes a row are not supported."
        )
    if np.isin(shares, (0.0, 1.0)).all():
        labels: Any = pa.chunked_array([pa.array(np.where(total > 0, shares.argmax(1), -1))])
    else:
        labels = shares.tolist()
        return replace(
            table, columns={**table.columns, CLASS_COLUMNS: [dict(zip(classes, row, strict=True)) for row in labels]}
        )
    return replace(
        table,
        columns={**table.columns, CLASS_COLUMNS: labels},
        class_names={**table.class_names, CLASS_COLUMNS: tuple(classes)},
    )
