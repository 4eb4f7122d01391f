"""Evaluation sets that are streams. Labels are checked when rows are read. Training sets cannot be streams."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import datasets
import torch
from transformers import PretrainedConfig

from hf_noisy.data import labels
from hf_noisy.data.columns import LABEL_COLUMNS
from hf_noisy.data.labels import label_dataset
from hf_noisy.trainer.naming import with_any


def is_stream(dataset: Any) -> bool:
    """Whether a dataset is iterable only, without row access by number."""
    return isinstance(dataset, datasets.IterableDataset | torch.utils.data.IterableDataset)


def check_no_stream(dataset: Any, methods: str) -> None:
    """Refuse a training set that is a stream.

    Args:
        dataset: the training set that was passed.
        methods: how to name the methods (`hf_noisy.trainer.naming.asked_for`).

    Raises:
        TypeError: it has no row access by number.
    """
    if methods and is_stream(dataset):  # without a method, `label_dataset` says it
        raise TypeError(
            f"train_dataset is a stream{with_any(methods)}: its rows have no number, so nothing can be remembered of them. "
            "Load it with streaming=False."
        )


def label_evaluation(dataset: Any, config: PretrainedConfig, *, where: str, label_column: str | None = None) -> Any:
    """Check and encode the labels of an evaluation set. Labels of a stream are checked when rows are read.

    Args:
        dataset: rows with or without labels.
        config: the model's configuration; gives the number and the names of the classes.
        where: name of the dataset in error messages.
        label_column: the column of the labels; None for the first of `LABEL_COLUMNS`.

    Raises:
        ValueError, TypeError: as `hf_noisy.data.labels.label_dataset`. A stream raises them when the row is read.
    """
    if isinstance(dataset, LabelledStream):
        return dataset
    dataset = labels.with_label_column(dataset, label_column)
    if is_stream(dataset):
        return LabelledStream(dataset, config, where)
    return labels.label_evaluation(dataset, config, where=where)


class LabelledStream(torch.utils.data.IterableDataset[Any]):
    """A stream whose labels are checked and encoded as the model's class ids. Items without labels are unchanged.

    If the names of a `ClassLabel` are the model's class names, labels are matched by name, so their order does not matter.

    Raises:
        ValueError: during iteration, for a label that `hf_noisy.data.label_encoding.encode_labels` refuses. The message
            gives the number of the row.
    """

    def __init__(self, rows: Any, config: PretrainedConfig, where: str) -> None:
        self.rows, self.config, self.where = rows, config, where

    def __getattr__(self, name: str) -> Any:
        return labels.attribute_of_rows(self, name)

    def __len__(self) -> int:
        return len(self.rows)  # most streams raise a TypeError, which tells callers that there is no length

    def __iter__(self) -> Iterator[dict[str, Any]]:
        features = getattr(self.rows, "features", None) or {}
        for row, item in enumerate(self.rows):
            column = next((name for name in LABEL_COLUMNS if name in item), None)
            yield item if column is None else self._labelled(row, item, column, features.get(column))

    def _labelled(self, row: int, item: dict[str, Any], column: str, feature: Any) -> dict[str, Any]:
        value = item[column]
        value = value.tolist() if hasattr(value, "tolist") else value
        if isinstance(feature, datasets.ClassLabel) and set(feature.names) == set(self.config.label2id or {}):
            value = feature.names[value] if isinstance(value, int) and value >= 0 else value
        try:
            return label_dataset([{**item, column: value}], self.config, where=self.where, with_index=False).dataset[0]
        except ValueError as error:  # each row is encoded alone, so the message says row 0
            raise ValueError(str(error).replace(", row 0", f", row {row}", 1)) from None
