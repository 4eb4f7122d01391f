"""A Trainer that is given rows with trusted labels beside its training set, to look at or to train on."""

from __future__ import annotations

from collections.abc import Iterator, Sized
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler
from transformers import Trainer

from hf_noisy.common.randomness import keyed_generator
from hf_noisy.data.columns import INDEX, LABEL_COLUMNS, columns_of
from hf_noisy.data.label_encoding import one_hot
from hf_noisy.data.labels import label_dataset, read_gold
from hf_noisy.data.token_checks import check_tokens
from hf_noisy.models.context import CleanRows
from hf_noisy.trainer.survey_trainer import SurveyTrainer

_WHERE = "clean_dataset"


class CleanRowsTrainer(SurveyTrainer):
    """What `NoisyTrainer` needs of a clean subset. Where a method trains on it, its rows follow the training set's."""

    _clean_dataset: Any = None
    _given_part: tuple[Any, np.ndarray, Tensor | None] | None = None  # the training set as it was passed
    _clean_first: CleanFirst | None = None  # the sampler, where some epochs are of clean rows alone
    _clean_part: Any = None  # `_clean_dataset` with checked labels
    trusted: np.ndarray | None = None  # (rows,) True for clean rows that are trained on; None where there are none

    def _clean_epochs(self) -> int | None:
        """For how many epochs the clean rows are trained on alone; None where they are not trained on at all."""
        return None

    def _label_training_set(self) -> None:
        super()._label_training_set()
        self._given_part, self.trusted = (self.train_dataset, self.labels, self.votes), None

    def _make_networks(self) -> None:
        super()._make_networks()
        self._join_clean_rows()

    def get_train_dataloader(self) -> Any:
        if self.train_dataset is not None:
            self._make_networks()  # a hyperparameter search has changed what is trained on by now
        return super().get_train_dataloader()

    def _start_epoch(self) -> None:
        super()._start_epoch()
        if self._clean_first is not None:
            self._clean_first.set_epoch(self._epoch or 0)  # accelerate does not always reach it where a run resumes

    def _join_clean_rows(self) -> None:
        """Let the clean rows follow the training set where a method trains on them, and only there."""
        self._label_replaced_set()
        wanted = self._clean_dataset is not None and self._clean_epochs() is not None
        if self._given_part is None or wanted == (self.trusted is not None):
            return
        dataset, labels, votes = self._given_part
        self.trusted = None
        if wanted:
            clean = self._labelled_clean()
            count, classes = len(labels), self.model.config.num_labels
            if labels.ndim != clean.labels.ndim:
                labels, trusted_labels = (
                    one_hot(torch.from_numpy(part), classes).numpy() for part in (labels, clean.labels)
                )
            else:
                trusted_labels = clean.labels
            labels = np.concatenate([labels, trusted_labels])
            if votes is not None:
                votes = torch.cat([votes, votes.new_full((len(trusted_labels), votes.shape[1]), -1)])
            self._check_columns(dataset, clean.dataset)
            dataset = _Joined(dataset, clean.dataset, labels)
            self.trusted = np.arange(len(labels)) >= count
        self.train_dataset, self.labels, self.votes, self._labelled_dataset = dataset, labels, votes, dataset

    def _check_columns(self, rows: Any, clean: Any) -> None:
        """Raise where the model would be given a column of one part and not of the other."""
        self._set_signature_columns_if_needed()
        read = set(self._signature_columns or ()) - {*LABEL_COLUMNS, "labels", INDEX}
        missing = sorted((set(columns_of(rows)) & read) - set(columns_of(clean)))
        if missing:
            raise ValueError(
                f"clean_dataset has no column {missing[0]!r}, which train_dataset has and the model reads. Tokenize both with "
                "the same tokenizer and the same columns."
            )

    def _labelled_clean(self) -> Any:
        if self._clean_part is None:
            if self.args.remove_unused_columns:
                check_tokens(self._clean_dataset, self.model, self.data_collator, where=_WHERE)
            self._clean_part = label_dataset(
                self._clean_dataset, self.model.config, where=_WHERE, with_index=True, number_names=False
            )
            self._clean_part.check_covered(_WHERE)
        return self._clean_part

    def _clean_rows(self) -> CleanRows | None:
        if self._clean_dataset is None:
            return None
        config, labelled = self.model.config, self._labelled_clean()
        labels = one_hot(torch.from_numpy(labelled.labels), config.num_labels).to(self.args.device)
        given = torch.zeros_like(labels)
        if "given" in columns_of(self._clean_dataset):
            untrusted = read_gold(self._clean_dataset, "given", config, where=_WHERE)
            given = one_hot(torch.from_numpy(untrusted), config.num_labels).to(self.args.device)
        loader = Trainer.get_test_dataloader(self, labelled.dataset)  # ours labels anew, and drops the numbers
        return CleanRows(labels, given, lambda: self._look_at(loader, len(labels)))

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        epochs, self._clean_first = self._clean_epochs(), None
        if self.trusted is None or not epochs:
            return super()._get_train_sampler(train_dataset)
        seed = self.args.data_seed if self.args.data_seed is not None else self.args.seed
        self._clean_first = CleanFirst(self.trusted, epochs, seed)
        return self._clean_first


class CleanFirst(Sampler[int]):
    """The trusted rows alone, again and again, in the first epochs; then all rows. Every epoch has the same length.

    Args:
        trusted: (rows,) bool.
        epochs: how many are of trusted rows.
        seed: of the order.

    >>> order = CleanFirst(np.array([False, False, False, True]), epochs=1, seed=0)
    >>> list(order)
    [3, 3, 3, 3]
    >>> order.set_epoch(1)
    >>> sorted(order)
    [0, 1, 2, 3]
    """

    def __init__(self, trusted: np.ndarray, epochs: int, seed: int) -> None:
        self.trusted, self.epochs, self.seed, self.epoch = trusted, epochs, seed, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.trusted)

    def __iter__(self) -> Iterator[int]:
        generator = keyed_generator(self.seed, self.epoch, "clean first")
        rows = np.flatnonzero(self.trusted) if self.epoch < self.epochs else np.arange(len(self.trusted))
        passes = -(-len(self.trusted) // len(rows))
        order = torch.cat([torch.randperm(len(rows), generator=generator) for _ in range(passes)])
        return iter(rows[order[: len(self.trusted)].numpy()].tolist())


class _Joined(Dataset[Any]):
    """The rows of the training set, then the clean ones, numbered through."""

    def __init__(self, rows: Sized, clean: Sized, labels: np.ndarray) -> None:
        self.parts: tuple[Any, Any] = (rows, clean)
        self.labels = labels
        self.column_names = sorted(set(columns_of(rows)) & set(columns_of(clean)))

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> dict[str, Any]:
        first, clean = self.parts
        item = first[row] if row < len(first) else clean[row - len(first)]
        item = {name: item[name] for name in self.column_names}
        return {**item, "labels": self.labels[row].tolist(), INDEX: row}
