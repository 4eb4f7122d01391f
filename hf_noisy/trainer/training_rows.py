"""The rows of the training set: row numbers, labels, votes, trusted rows and gold classes."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PretrainedConfig

from hf_noisy.data.class_names import class_count
from hf_noisy.data.columns import columns_of
from hf_noisy.data.label_encoding import one_hot
from hf_noisy.data.labels import label_column_of, label_dataset, read_gold, with_label_column
from hf_noisy.data.vote_column import read_votes
from hf_noisy.trainer.clean_rows import CleanDataset, JoinedRows, check_columns

Check = Callable[[Any, str], None]
_WHERE = "train_dataset"


def no_check(dataset: Any, where: str) -> None:
    """Accept any rows."""


class TrainingRows:
    """Reads a training set once, and again if it is replaced. Appends clean rows if a method trains on them.

    Args:
        gold_column: column with the true classes, for measuring only; None if there is none.
        clean: rows with trusted labels; None if there are none.

    Attributes:
        label_column: the column of the labels; None for the first of `LABEL_COLUMNS`.
    """

    def __init__(self, gold_column: str | None = None, clean: CleanDataset | None = None) -> None:
        self.gold_column, self.clean = gold_column, clean
        self.label_column: str | None = None
        self.config: PretrainedConfig | None = None  # of the model that the rows were read for
        self.labels = np.empty(0, dtype=np.int64)  # (rows,) -100 abstains; or (rows, classes), zero rows abstain
        self.votes: Tensor | None = None  # (rows, sources) int16, -1 abstains
        self.trusted: np.ndarray | None = None  # (rows,) bool, True for clean rows; None where none are trained on
        self.class_names: list[str] | None = None  # names from the labels, if the model had none
        self.dataset: Any = None  # the rows to train on, with checked `labels` and the row number `index`
        self._given_gold: np.ndarray | None = None  # (rows of the passed training set,)
        self._as_passed: tuple[Any, np.ndarray, Tensor | None] | None = (
            None  # dataset, labels, votes without clean rows
        )

    def read(self, dataset: Any, config: PretrainedConfig, check: Check = no_check) -> Any:
        """Check the labels, votes and gold classes of `dataset`, and number its rows. Returns the rows to train on.

        Args:
            dataset: the training set.
            config: the model's configuration.
            check: called with the dataset and its name; refuses rows that are not tokenized for the model.

        Raises:
            ValueError, TypeError: as `hf_noisy.data.labels.label_dataset`, `read_votes` and `read_gold`.
        """
        check(dataset, _WHERE)
        self._check_label_column(dataset)
        dataset = with_label_column(dataset, self.label_column)
        labelled = label_dataset(dataset, config, where=_WHERE, with_index=True)
        labelled.check_covered(_WHERE)
        self.votes = read_votes(dataset, class_count(config), where=_WHERE)
        self.class_names, self.labels, self.dataset = labelled.class_names, labelled.labels, labelled.dataset
        self.config = config
        self.name_classes(config)
        self._as_passed, self.trusted = (self.dataset, self.labels, self.votes), None
        self._given_gold = None if self.gold_column is None else read_gold(self.dataset, self.gold_column, config)
        return self.dataset

    def _check_label_column(self, dataset: Any) -> None:
        name = self.label_column
        if name is None or name == label_column_of(dataset):
            return
        found = columns_of(dataset) if len(dataset) else []
        if found and name not in found:
            raise ValueError(
                f"label_names={[name]}: {_WHERE} has no such column, but {', '.join(found)}. Expected the name of the label column."
            )

    def is_replaced(self, dataset: Any) -> bool:
        """Whether `dataset` differs from the training set that was read."""
        return dataset is not None and dataset is not self.dataset

    def name_classes(self, config: PretrainedConfig) -> None:
        """Write the class names of the labels into the model's configuration, if the labels have names."""
        if self.class_names is not None:
            config.id2label = dict(enumerate(self.class_names))
            config.label2id = {name: k for k, name in enumerate(self.class_names)}

    def join_clean(
        self, wanted: bool, config: PretrainedConfig, read_columns: Container[str], check: Check = no_check
    ) -> Any:
        """Append the clean rows to the training set if `wanted`; else remove them.

        Args:
            wanted: whether a method trains on the clean rows.
            config: the model's configuration.
            read_columns: the columns that the model reads.
            check: as for `read`, for the clean rows.

        Returns:
            the rows to train on.
        """
        wanted = wanted and self.clean is not None
        if self._as_passed is None or wanted == (self.trusted is not None):
            return self.dataset
        dataset, labels, votes = self._as_passed
        self.trusted = None
        if wanted:
            assert self.clean is not None
            clean, count = self.clean.labelled(config, check), len(labels)
            labels, of_clean = _alike(labels, clean.labels, class_count(config))
            labels = np.concatenate([labels, of_clean])
            if votes is not None:
                votes = torch.cat([votes, votes.new_full((len(of_clean), votes.shape[1]), -1)])
            check_columns(dataset, clean.dataset, read_columns)
            dataset = JoinedRows(dataset, clean.dataset, labels)
            self.trusted = np.arange(len(labels)) >= count
        self.dataset, self.labels, self.votes = dataset, labels, votes
        return dataset

    def is_numbered(self, dataset: Any) -> bool:
        """Whether `dataset` is the dataset whose rows were numbered here."""
        return dataset is not None and dataset is self.dataset

    def one_hot(self, classes: int) -> Tensor:
        """(rows, classes) float32 labels; zero for rows without a label."""
        return one_hot(torch.from_numpy(self.labels), classes)

    def gold(self, clean_labels: Tensor | None) -> np.ndarray | None:
        """(rows,) true classes, negative where unknown; None without a gold column.

        Args:
            clean_labels: (clean rows, classes). The argmax is the true class of a clean row.
        """
        if self._given_gold is None or self.trusted is None or clean_labels is None:
            return self._given_gold
        return np.concatenate([self._given_gold, clean_labels.argmax(-1).cpu().numpy()])


def _alike(labels: np.ndarray, clean: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Both unchanged; if only one is soft, both as soft labels."""
    if labels.ndim == clean.ndim:
        return labels, clean
    first, second = (one_hot(torch.from_numpy(part), classes).numpy() for part in (labels, clean))
    return first, second
