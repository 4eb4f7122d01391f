"""Evaluation rows that come as a stream: their labels are checked as they come. Training rows may not be a stream."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import datasets
import torch
from transformers import PretrainedConfig

from hf_noisy.data import labels
from hf_noisy.data.columns import LABEL_COLUMNS
from hf_noisy.data.labels import label_dataset


def is_stream(dataset: Any) -> bool:
    """Whether rows come one after the other, without a number or a length."""
    return isinstance(dataset, datasets.IterableDataset | torch.utils.data.IterableDataset)


def label_evaluation(dataset: Any, config: PretrainedConfig, *, where: str) -> Any:
    """An evaluation set with its labels checked and encoded; those of a stream as they come.

    Args:
        dataset: rows with or without labels.
        config: of the model; gives the number and the names of classes.
        where: what the dataset is called in errors.

    Raises:
        ValueError, TypeError: as `hf_noisy.data.labels.label_dataset`; of a stream, when it comes to the row.
    """
    if isinstance(dataset, LabelledStream):
        return dataset
    if is_stream(dataset):
        return LabelledStream(dataset, config, where)
    return labels.label_evaluation(dataset, config, where=where)


class LabelledStream(torch.utils.data.IterableDataset[Any]):
    """A stream whose items have checked labels, numbered as the model numbers its classes; without labels, as they are.

    A `ClassLabel` is read by its names where they are the model's, so that its order does not matter.

    Raises:
        ValueError: while it is read, a label that `hf_noisy.data.label_encoding.encode_labels` refuses, by the number of its row.
    """

    def __init__(self, rows: Any, config: PretrainedConfig, where: str) -> None:
        self.rows, self.config, self.where = rows, config, where

    def __len__(self) -> int:
        return len(self.rows)  # of most streams a TypeError, by which callers know that there is none

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
        except ValueError as error:  # it has seen one row, and calls it the first
            raise ValueError(str(error).replace(", row 0", f", row {row}", 1)) from None
