"""Rows with trusted labels (`clean_dataset`). Methods read them, or they are appended to the training set."""

from __future__ import annotations

from collections.abc import Callable, Container, Sized
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset
from transformers import PretrainedConfig

from hf_noisy.data.class_names import class_count
from hf_noisy.data.columns import LABEL_COLUMNS, ROW, columns_of
from hf_noisy.data.label_encoding import one_hot
from hf_noisy.data.labels import Labelled, label_column_of, label_dataset, read_gold
from hf_noisy.models.context import CleanRows

_WHERE = "clean_dataset"


class CleanDataset:
    """The `clean_dataset` of a trainer. Its labels are checked when they are first needed.

    Args:
        dataset: tokenized rows with `labels` and, if known, the untrusted labels of the same rows in the column `given`.
    """

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset
        self._labelled: Labelled | None = None

    def labelled(self, config: PretrainedConfig, check: Callable[[Any, str], None]) -> Labelled:
        """The rows with checked labels and row numbers.

        Args:
            config: the model's configuration.
            check: called with the dataset and its name; refuses rows that are not tokenized for the model.

        Raises:
            ValueError, TypeError: as `hf_noisy.data.labels.label_dataset`, or no row has a label.
        """
        if self._labelled is None:
            check(self.dataset, _WHERE)
            self._labelled = label_dataset(self.dataset, config, where=_WHERE, with_index=True, number_names=False)
            self._labelled.check_covered(_WHERE)
        return self._labelled

    def for_methods(self, config: PretrainedConfig, device: torch.device, look: Callable[[], Tensor]) -> CleanRows:
        """The `CleanRows` that methods read. `labelled` must be called first.

        Args:
            config: the model's configuration.
            device: the device of the labels.
            look: returns (networks, rows, classes) log-probabilities of the rows.
        """
        assert self._labelled is not None
        labels = one_hot(torch.from_numpy(self._labelled.labels), class_count(config)).to(device)
        given = torch.zeros_like(labels)
        if "given" in columns_of(self.dataset):
            untrusted = read_gold(self.dataset, "given", config, where=_WHERE)
            given = one_hot(torch.from_numpy(untrusted), class_count(config)).to(device)
        return CleanRows(labels, given, look)


def check_columns(rows: Any, clean: Any, read_columns: Container[str]) -> None:
    """Refuse clean rows that lack a column of the training set.

    Args:
        rows, clean: the training set, and the clean rows.
        read_columns: the columns that the model reads.

    Raises:
        ValueError: a column is missing. The message names it.
    """
    read = [name for name in columns_of(rows) if name in read_columns and name not in (*LABEL_COLUMNS, ROW)]
    missing = sorted(set(read) - set(columns_of(clean)))
    if missing:
        raise ValueError(
            f"clean_dataset has no column {missing[0]!r}, which train_dataset has and the model reads. Tokenize both with "
            "the same tokenizer and the same columns."
        )


class JoinedRows(Dataset[Any]):
    """The rows of the training set followed by the clean rows, numbered consecutively.

    Args:
        rows: of the training set.
        clean: the clean rows.
        labels: (rows + clean rows,) or (rows + clean rows, classes).
    """

    def __init__(self, rows: Sized, clean: Sized, labels: np.ndarray) -> None:
        self.parts: tuple[Any, Any] = (rows, clean)
        self.labels, self.hf_noisy_label_column = labels, label_column_of(rows)
        self.column_names = sorted(set(columns_of(rows)) & set(columns_of(clean)))

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> dict[str, Any]:
        first, clean = self.parts
        item = first[row] if row < len(first) else clean[row - len(first)]
        item = {name: item[name] for name in self.column_names}
        return {**item, "labels": self.labels[row].tolist(), ROW: row}
