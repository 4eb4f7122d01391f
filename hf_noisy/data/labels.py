"""Datasets with checked labels, and with row numbers for training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
from transformers import PretrainedConfig
from transformers.utils import logging

from hf_noisy.common.checks import nearest
from hf_noisy.data.class_names import class_count, ids_by_name
from hf_noisy.data.columns import LABEL_COLUMNS, ROW, cells_of, columns_of, lists_of
from hf_noisy.data.label_encoding import encode_labels, has_label
from hf_noisy.data.label_reading import read_column

logger = logging.get_logger(__name__)


@dataclass(frozen=True)
class Labelled:
    """A dataset with checked `labels`, and these labels as one array."""

    dataset: Any  # yields dictionaries with `labels` (and `index`)
    labels: np.ndarray  # (rows,) int64, -100 abstains; or (rows, classes) float32, zero rows abstain
    class_names: list[str] | None  # set if the labels have names and the model has only default names

    @property
    def covered(self) -> np.ndarray:
        """(rows,) bool. True where the row has a label."""
        return has_label(self.labels)

    def check_covered(self, where: str) -> None:
        """Raise if no row has a label."""
        if not self.covered.any():
            raise ValueError(
                f"{where}: all {len(self.labels)} rows abstain: expected at least one label. Check the labeling functions "
                "or the label column."
            )


def check_rows(dataset: Any, *, where: str) -> None:
    """Check that `dataset` has a length and rows that can be indexed.

    Raises:
        TypeError: `dataset` is a stream, a name, several splits, a dictionary of columns, a data frame or a generator.
    """
    if isinstance(dataset, datasets.IterableDataset | torch.utils.data.IterableDataset):
        raise TypeError(
            f"{where} is a stream: its rows have no number, so nothing can be remembered of them. "
            "Load it with streaming=False."
        )
    kind, fix = type(dataset).__name__, "Pass a datasets.Dataset, or a list of dictionaries."
    if isinstance(dataset, str | Path):
        kind, fix = repr(str(dataset)), "Load it with datasets.load_dataset or hf_noisy.load_corpus."
    elif isinstance(dataset, datasets.DatasetDict):
        kind, fix = f"a DatasetDict of {', '.join(dataset)}", "Pass one split: datasets['train']."
    elif isinstance(dataset, Mapping):
        kind, fix = f"a dictionary of {', '.join(map(str, dataset))}", "Pass datasets.Dataset.from_dict(...) of it."
    elif hasattr(dataset, "iloc"):
        kind, fix = f"a {kind}", "Pass datasets.Dataset.from_pandas(...) of it."
    elif hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__"):
        return
    raise TypeError(f"{where} is {kind}: expected rows that have a number and a length. {fix}")


def label_dataset(
    dataset: Any, config: PretrainedConfig, *, where: str, with_index: bool, number_names: bool | None = None
) -> Labelled:
    """Check and encode the labels of `dataset`; `with_index` also adds the row number of each row.

    The dataset itself is not changed. A `datasets.Dataset` is copied with new columns, and the copy shares its data.
    Any other dataset is wrapped.

    Args:
        dataset: a `datasets.Dataset`, or anything with a length whose items are dictionaries.
        config: the configuration of the model, with the number and the names of classes.
        where: the name of the dataset in errors.
        with_index: whether to add the column `index`. An existing column of that name is replaced in the copy.
        number_names: whether class names unknown to the model are numbered in sorted order; None means `with_index`.

    Raises:
        ValueError, TypeError: the dataset is a stream, empty or without a label column, or `encode_labels` refuses a
            label.
    """
    check_rows(dataset, where=where)
    if len(dataset) == 0:
        raise ValueError(f"{where} is empty: expected at least one row. Check the split's name and your filters.")
    columns = columns_of(dataset)
    column = next((name for name in LABEL_COLUMNS if name in columns), None)
    if column is None:
        raise ValueError(
            f"{where} has no label column: expected one of {', '.join(LABEL_COLUMNS)}, found {', '.join(columns)}. Rename "
            f"yours with dataset.rename_column(..., 'labels'); from votes, make them with hf_noisy.labels_from_votes."
        )
    values = read_column(dataset, column, class_count(config), where)
    labels, names = encode_labels(
        values, config, where=where, number_names=with_index if number_names is None else number_names
    )
    if isinstance(dataset, datasets.Dataset) and isinstance(dataset.features[column], datasets.ClassLabel):
        labels, names = ids_by_name(labels, dataset.features[column].names, config, where)
    if with_index:
        _warn_about_labels(labels, column, columns, class_count(config), where)
    found = _with_labels(dataset, labels, with_index)
    found.hf_noisy_label_column = column if column != "labels" else label_column_of(dataset)  # it may be read again
    return Labelled(found, labels, names)


def with_label_column(dataset: Any, name: str | None) -> Any:
    """`dataset` with its column `name` as the labels; `dataset` itself if it has no such column, or `name` is None.

    Args:
        dataset: rows, or a stream of rows.
        name: of the label column. Other columns that could be labels are left out.
    """
    if name is None or dataset is None or name == "labels":
        return dataset
    if hasattr(dataset, "__iter__") and not hasattr(dataset, "__getitem__"):
        return _RenamedStream(dataset, name)
    if len(dataset) == 0 or name not in columns_of(dataset):
        return dataset
    if isinstance(dataset, datasets.Dataset) and dataset.format["type"] != "custom":
        others = [column for column in LABEL_COLUMNS if column in dataset.column_names and column != name]
        found: Any = dataset.remove_columns(others).rename_column(name, "labels")
    else:
        found = _RenamedRows(dataset, name)
    found.hf_noisy_label_column = name
    return found


def _renamed(item: Mapping[str, Any], name: str) -> dict[str, Any]:
    if name not in item:
        return dict(item)
    kept = {key: value for key, value in item.items() if key != name and key not in LABEL_COLUMNS}
    return {**kept, "labels": item[name]}


def attribute_of_rows(wrapper: Any, name: str) -> Any:
    """An attribute of the user's dataset, which a wrapper passes on."""
    if name.startswith("__") or "rows" not in vars(wrapper):  # it is being copied or unpickled
        raise AttributeError(name)
    return getattr(wrapper.rows, name)


class _RenamedRows(torch.utils.data.Dataset[Any]):
    """Rows whose labels are in a column of another name."""

    def __init__(self, rows: Any, name: str) -> None:
        self.rows, self.name = rows, name

    def __len__(self) -> int:
        return len(self.rows)

    def __getattr__(self, name: str) -> Any:
        return attribute_of_rows(self, name)

    def __getitem__(self, row: int) -> dict[str, Any]:
        return _renamed(self.rows[row], self.name)


class _RenamedStream(torch.utils.data.IterableDataset[Any]):
    """A stream whose labels are in a column of another name."""

    def __init__(self, rows: Any, name: str) -> None:
        self.rows, self.name = rows, name
        features = getattr(rows, "features", None) or {}
        self.features = {"labels" if key == name else key: value for key, value in features.items()}

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (_renamed(item, self.name) for item in self.rows)


def label_column_of(dataset: Any) -> str:
    """The name that the label column had in the dataset from which `label_dataset` made this one."""
    return str(getattr(dataset, "hf_noisy_label_column", "labels"))


def _warn_about_labels(labels: np.ndarray, column: str, columns: Sequence[str], classes: int, where: str) -> None:
    """Warn about labels that can be trained on but are probably a mistake."""
    others = [name for name in LABEL_COLUMNS if name in columns and name != column]
    if others:
        logger.warning(f"{where} has columns {column!r} and {others[0]!r}: the labels are those of {column!r}.")
    shares = np.bincount(labels[labels >= 0], minlength=classes) if labels.ndim == 1 else labels.sum(0)
    absent = np.flatnonzero(shares == 0).tolist()
    if classes - len(absent) == 1:
        logger.warning(f"{where}: all labels are of one class. -1 abstains here: if it is a class of yours, recode it.")
    elif absent and classes > len(absent):
        logger.warning(
            f"{where}: no row is of class {', '.join(map(str, absent[:10]))}{', ...' * (len(absent) > 10)}, which the model "
            f"has ({classes} classes). Check num_labels, or how classes are numbered."
        )


def label_evaluation(dataset: Any, config: PretrainedConfig, *, where: str) -> Any:
    """Check and encode the labels of an evaluation set. A set without labels is returned without encoding.

    Streams are not accepted; see `hf_noisy.trainer.streaming`.
    """
    check_rows(dataset, where=where)
    if isinstance(dataset, datasets.Dataset) and ROW in dataset.column_names:
        dataset = dataset.remove_columns(ROW)  # a column of the user; it would be taken for the row number
    if len(dataset) and not set(LABEL_COLUMNS) & set(columns_of(dataset)):
        return dataset
    labelled = label_dataset(dataset, config, where=where, with_index=False)
    return dataset if _are_ids(dataset, labelled.labels) else labelled.dataset


def _are_ids(dataset: Any, labels: np.ndarray) -> bool:
    """Whether rows that are no `datasets.Dataset` hold the checked class ids as they are, so that no copy is needed."""
    if isinstance(dataset, datasets.Dataset) or labels.ndim != 1 or (labels < 0).any():
        return False
    if [name for name in columns_of(dataset) if name in LABEL_COLUMNS] != ["labels"]:
        return False
    cells = cells_of(dataset, "labels", "eval_dataset")  # a row may be tokenized when it is read, so each is read once
    return all(np.ndim(cell) == 0 for cell in cells) and cells == labels.tolist()


def read_gold(dataset: Any, column: str, config: PretrainedConfig, *, where: str = "train_dataset") -> np.ndarray:
    """Read `column` as (rows,) int64 class ids, negative where unknown, encoded by `encode_labels`.

    Raises:
        ValueError: the column does not exist, or `encode_labels` refuses it.
    """
    columns = [name for name in columns_of(dataset) if name != ROW]
    if column not in columns:
        raise ValueError(f"gold_column={column!r}: {where} has no such column. {nearest(column, columns)}")
    where = f"{where}, column {column!r}"
    values = read_column(dataset, column, class_count(config), where)
    if values.ndim != 1:
        raise ValueError(
            f"{where}, row 0: holds {values[0].tolist()}: expected one class a row. Write -1 where it is unknown."
        )
    return encode_labels(values, config, where=where, number_names=False)[0]


def _with_labels(dataset: Any, labels: np.ndarray, with_index: bool) -> Any:
    if not isinstance(dataset, datasets.Dataset) or dataset.format["type"] == "custom":
        return _LabelledRows(dataset, labels, with_index)
    shown = dataset.format["columns"]  # the columns that the user's format shows; the others stay hidden
    dataset = dataset.with_format(dataset.format["type"], **dataset.format["format_kwargs"]).select_columns(shown)
    columns: dict[str, np.ndarray] = {"labels": labels}
    if with_index:
        columns[ROW] = np.arange(len(labels))
    dataset = dataset.remove_columns(sorted({*LABEL_COLUMNS, *columns} & set(dataset.column_names)))
    for name, column in columns.items():
        dataset = dataset.add_column(name, column if column.ndim == 1 else lists_of(column))
    return dataset


class _LabelledRows(torch.utils.data.Dataset[Any]):
    """Wraps a list-like dataset and puts checked labels and row numbers into its items."""

    def __init__(self, rows: Any, labels: np.ndarray, with_index: bool) -> None:
        self.rows, self.labels, self.with_index = rows, labels, with_index

    def __len__(self) -> int:
        return len(self.labels)

    def __getattr__(self, name: str) -> Any:
        return attribute_of_rows(self, name)

    def __getitem__(self, row: int) -> dict[str, Any]:
        item = {name: value for name, value in self.rows[row].items() if name not in LABEL_COLUMNS}
        item["labels"] = self.labels[row].tolist()
        if self.with_index:
            item[ROW] = row
        return item
